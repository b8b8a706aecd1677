"""What the network must beat: a threshold, a watershed, and a regression that names the regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.processing import as_rows

from .boxes import letterbox
from .metrics import intersection_over_union
from .processing import ImageDetectionProcessor

Array = NDArray[np.floating]

MOST_TRIALS = 20
"""Training images, evenly spaced, on which the channel and the distance are chosen."""
DISTANCES = (0.15, 0.25, 0.4)
"""Least distances of two objects' middles that are tried, as part of the training boxes' median side."""
SMALLEST = 12
"""Pixels of a region that is looked at."""
CHANNELS: dict[str, Callable[[Array], Array]] = {
    "darkness": lambda colours: 1 - colours.mean(-1),
    "brightness": lambda colours: colours.mean(-1),
    "saturation": lambda colours: np.ptp(colours, axis=-1) / (colours.max(-1) + 1e-6),
}
"""What may stand out against the background, of colours (rows, columns, channels) from 0 to 1."""


def threshold_and_watershed(
    train: Dataset,
    test: Dataset,
    *,
    labels: tuple[str, ...],
    processor: ImageDetectionProcessor,
    seed: int,
) -> NDArray:
    """Return boxes of the test rows, as `ImageDetectionProcessor.scores` does.

    Otsu's threshold on a channel finds the foreground, a watershed on the distance to the background divides it, and
    logistic regression on each region's size, shape and colour says what it is, if anything. The channel and the least
    distance of two objects are those that find most of the training rows' boxes. `processor` is the network's: boxes
    are told in its input pixels.
    """
    cut = _choose_cut(train, processor)
    regressor = _fit_regressor(train, processor, cut, seed=seed)
    return as_rows([_named(cut(_colours(raw, processor)), regressor, count=len(labels)) for raw in test["input"]])


@dataclass(frozen=True)
class _Cut:
    """Divides an image into regions."""

    channel: str
    distance: int
    """Least distance of two objects' middles in pixels."""

    def __call__(self, colours: Array) -> tuple[Array, Array]:
        """Return the regions' boxes (n, 4) and features (n, f)."""
        from skimage.measure import regionprops

        channel = CHANNELS[self.channel](colours)
        regions = regionprops(self._regions(channel), intensity_image=np.dstack([colours, channel]))
        kept = [region for region in regions if region.area >= SMALLEST]
        boxes = [[left, top, right, bottom] for top, left, bottom, right in (region.bbox for region in kept)]
        features = [_features(region, channel.shape) for region in kept]
        return np.array(boxes, float).reshape(-1, 4), np.array(features, float).reshape(len(kept), -1)

    def _regions(self, channel: Array) -> NDArray[np.int32]:
        from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label
        from skimage.feature import peak_local_max
        from skimage.filters import threshold_otsu
        from skimage.segmentation import watershed

        smooth = gaussian_filter(channel, 1)
        foreground = binary_fill_holes(smooth > threshold_otsu(smooth)) if np.ptp(smooth) else smooth > smooth
        depth = gaussian_filter(distance_transform_edt(foreground), 1)
        markers = np.zeros(channel.shape, np.int32)
        # a small object beside a large one keeps its own peak, as long as background lies between them
        parts = label(foreground)[0]
        peaks = peak_local_max(depth, min_distance=self.distance, labels=parts, exclude_border=False)
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        return watershed(-depth, markers, mask=foreground)


def _features(region: Any, shape: tuple[int, int]) -> list[float]:
    """Return what tells a region's kind: its size, its shape, its colour, and whether the image's edge cuts it."""
    top, left, bottom, right = region.bbox
    height, width = bottom - top, right - left
    cut_off = top == 0 or left == 0 or (bottom, right) == shape
    return [
        np.log(region.area), np.log(height), np.log(width), abs(np.log(height / width)),
        region.extent, float(cut_off), *region.intensity_mean, *region.intensity_std,
    ]  # fmt: skip


def _colours(raw: Any, processor: ImageDetectionProcessor) -> Array:
    """Return an image as the network sees it, without the grey beside it: (rows, columns, channels) from 0 to 1."""
    sample = processor.read(raw)
    height, width = letterbox(sample.pixels.shape[1:3], processor.image_size)
    return processor.features(sample)["pixel_values"][:, :height, :width].transpose(1, 2, 0) / 255


def _choose_cut(train: Dataset, processor: ImageDetectionProcessor) -> _Cut:
    """Return the cut whose regions agree best with the boxes of the training rows (F1 at an overlap of .5)."""
    places = np.linspace(0, len(train) - 1, min(len(train), MOST_TRIALS)).round().astype(int)
    images = [_colours(raw, processor) for raw in train.select(places)["input"]]
    truths = [processor.targets(row)["labels"][:, 1:] for row in train.select(places)]
    side = float(np.median(np.concatenate([truth[:, 2:] - truth[:, :2] for truth in truths])))
    cuts = [_Cut(channel, max(1, round(share * side))) for channel, share in product(CHANNELS, DISTANCES)]
    return max(cuts, key=lambda cut: _agreement(cut, images, truths))


def _agreement(cut: _Cut, images: list[Array], truths: list[Array]) -> float:
    found = regions = 0
    for image, truth in zip(images, truths, strict=True):
        boxes, _ = cut(image)
        regions += len(boxes)
        found += int((intersection_over_union(boxes, truth) >= 0.5).any(axis=0).sum())
    return 2 * found / max(1, regions + sum(map(len, truths)))


def _fit_regressor(train: Dataset, processor: ImageDetectionProcessor, cut: _Cut, *, seed: int) -> Any:
    """Learn what the training rows' regions are: the label of the box that each overlaps by half, or -1."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, kinds = [], []
    for row in train:
        truth = processor.targets(row)["labels"]
        boxes, numbers = cut(_colours(row["input"], processor))
        overlaps = np.column_stack([np.full(len(boxes), 0.5), intersection_over_union(boxes, truth[:, 1:])])
        features.append(numbers)
        kinds.append(np.append(-1, truth[:, 0])[overlaps.argmax(axis=1)])
    kind = np.concatenate(kinds)
    if len(np.unique(kind)) < 2:  # a regression needs two kinds
        return DummyClassifier(strategy="prior").fit(kind, kind)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed))
    return model.fit(np.concatenate([numbers for numbers in features if len(numbers)]), kind)


def _named(regions: tuple[Array, Array], regressor: Any, *, count: int) -> NDArray[np.float32]:
    """Return every region's box once a label, with its probability: (n, 6), the most probable first."""
    boxes, features = regions
    if not len(boxes):
        return np.zeros((0, 6), np.float32)
    probabilities = np.zeros((len(boxes), count))
    for kind, column in zip(regressor.classes_, regressor.predict_proba(features).T, strict=True):
        if kind >= 0:
            probabilities[:, int(kind)] = column
    labels = np.tile(np.arange(count), len(boxes))
    rows = np.column_stack([np.repeat(boxes, count, axis=0), probabilities.ravel(), labels])
    return rows[np.argsort(-rows[:, 4], kind="stable")].astype(np.float32)


BASELINES = {"threshold and watershed": threshold_and_watershed}
