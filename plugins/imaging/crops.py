"""Which pictures of a data set show one field of view: crops that continue each other, and one field taken twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ALIKE, APART = 0.94, 0.2
"""Two borders continue each other when they correlate more than this, and differ on average by less than this share of
their own deviation. Of DSB2018's 541 pictures 357 pairs of borders do so; of borders that cannot meet (left on left),
which tell how often chance does it, one pair."""
SAME = 0.9
"""Two pictures, each made 32 by 32 pixels small, are one field when they correlate more than this."""


def crop_groups(pictures: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Return a group's number for each grey picture (height, width): one number for what shows one field of view.

    Only pictures of equal size are compared. Groups are numbered in the order of their first picture.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    places: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, picture in enumerate(pictures):
        places[picture.shape].append(place)
    linked = np.concatenate([np.asarray(of_size)[_links([pictures[place] for place in of_size])]
                             for of_size in places.values()])  # fmt: skip
    graph = coo_array((np.ones(len(linked)), linked.T), shape=(len(pictures), len(pictures)))
    return connected_components(graph, directed=False)[1].tolist()


def _links(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.intp]:
    """Return the pairs (n, 2) of pictures of one size that show one field."""
    planes = np.stack(pictures).astype(np.float32)
    small = np.stack([_shrink(picture) for picture in pictures])
    linked = _continue(planes[:, :, -1], planes[:, :, 0]) | _continue(planes[:, -1], planes[:, 0])
    linked |= _correlation(small, small) > SAME
    np.fill_diagonal(linked, False)
    return np.argwhere(linked)


def _continue(ends: NDArray[np.float32], starts: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say of each border (pictures, pixels) of `ends` and each of `starts` whether the two belong side by side."""
    apart = np.stack([np.abs(end - starts).mean(1) for end in ends])
    spread = np.minimum(ends.std(1)[:, None], starts.std(1)[None])
    return (_correlation(ends, starts) > ALIKE) & (apart < APART * spread)


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the correlation of every row of one table with every row of the other; 0 for a row of one value."""
    return _standard(first) @ _standard(second).T / first.shape[1]


def _standard(values: NDArray[np.float32]) -> NDArray[np.float32]:
    deviation = values.std(1, keepdims=True)
    return (values - values.mean(1, keepdims=True)) / np.where(deviation > 0, deviation, 1)


def _shrink(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    import PIL.Image

    small = PIL.Image.fromarray(picture).resize((32, 32), PIL.Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel()
