"""What the network must beat: a threshold on brightness, and the place where labels usually lie.

Both answer on the grid that the network sees, which is that of its processor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.processing import as_rows

from .label_map import SMALLEST_OBJECT, LabelMap
from .processing import ImageSegmentationProcessor

SMOOTHING = 1.0
"""Deviation, in pixels, of the Gaussian that a picture is smoothed with before a threshold is set."""
MOST_ROWS = 100
"""Training rows, evenly spaced, from which the few numbers of the threshold are learnt."""


def threshold(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: ImageSegmentationProcessor, seed: int
) -> NDArray:
    """Return the LabelMap of each test row by Otsu's threshold on its smoothed brightness (Otsu 1979).

    Whether bright or dark is foreground, and how bright each label is, is learnt from the training rows. Objects are
    what a watershed on the distance to the background divides, with seeds half a usual object's radius apart.
    """
    chosen = np.linspace(0, len(train) - 1, min(len(train), MOST_ROWS)).round().astype(int)
    brightness, radius = _learn(train.select(chosen), processor, count=len(labels))
    sign = 1 if np.nanmean(brightness[1:]) >= brightness[0] else -1
    maps = []
    for image in _images(test, processor):
        foreground = _above_otsu(sign * image)
        nearest = np.nanargmin(np.abs(image[..., None] - brightness[1:]), axis=-1)
        objects = _divide(foreground, apart=max(1, round(radius / 2))) if processor.instances else None
        maps.append(_as_map(np.where(foreground, 1 + nearest, 0), objects, processor))
    return as_rows(maps)


def atlas(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: ImageSegmentationProcessor, seed: int
) -> NDArray:
    """Return for each test row the label that most training rows have at a place, all images stretched to one size."""
    from scipy.ndimage import label, zoom

    classes = [_targets(train, row, processor)[0] for row in range(len(train))]
    shape = np.median([each.shape for each in classes], axis=0).round().astype(int)
    votes = np.zeros((len(labels) + 1, *shape))
    for each in classes:
        stretched = zoom(each, shape / each.shape, order=0, mode="nearest", grid_mode=True)
        votes += stretched == np.arange(len(labels) + 1).reshape(-1, *[1] * each.ndim)
    maps = []
    for image in _images(test, processor):
        stretch = np.array(image.shape) / shape
        found = np.stack([zoom(vote, stretch, order=1, mode="nearest", grid_mode=True) for vote in votes]).argmax(0)
        maps.append(_as_map(found, label(found > 0)[0] if processor.instances else None, processor))
    return as_rows(maps)


def _images(rows: Dataset, processor: ImageSegmentationProcessor) -> Iterator[NDArray[np.float32]]:
    """Yield each row's brightness on the network's grid, normalised and smoothed."""
    from scipy.ndimage import gaussian_filter

    for raw in rows["input"]:
        columns = processor.features(processor.read(raw))
        grey = columns["pixel_values"].astype(np.float32).mean(-1).reshape(columns["size"])
        yield gaussian_filter(grey, SMOOTHING)


def _targets(rows: Dataset, row: int, processor: ImageSegmentationProcessor) -> tuple[NDArray, NDArray]:
    """Return a row's classes and objects on the network's grid."""
    size = processor.features(processor.read(rows[row]["input"]))["size"]
    classes, objects = processor.targets(rows[row])["labels"].T.reshape(2, *size).astype(np.int64)
    return classes, objects


def _learn(rows: Dataset, processor: ImageSegmentationProcessor, *, count: int) -> tuple[NDArray[np.float64], float]:
    """Return the mean brightness of background and of each label, NaN for one that no row has, and objects' radius."""
    sums, sizes, areas = np.zeros(count + 1), np.zeros(count + 1), [1]
    for row, image in enumerate(_images(rows, processor)):
        classes, objects = _targets(rows, row, processor)
        sums += np.bincount(classes.ravel(), weights=image.ravel(), minlength=count + 1)
        sizes += np.bincount(classes.ravel(), minlength=count + 1)
        areas += [area for area in np.bincount(objects.ravel())[1:].tolist() if area]
    brightness = np.divide(sums, sizes, out=np.full(count + 1, np.nan), where=sizes > 0)
    return brightness, float(np.median(areas) / np.pi) ** 0.5


def _above_otsu(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    from skimage.filters import threshold_otsu

    return image > threshold_otsu(image)


def _divide(foreground: NDArray[np.bool_], *, apart: int) -> NDArray[np.int32]:
    """Number the objects of a foreground: basins of the distance to the background, around peaks so far `apart`."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.measure import label
    from skimage.segmentation import watershed

    distance = gaussian_filter(distance_transform_edt(foreground), SMOOTHING)
    seeds = np.zeros(foreground.shape, np.int32)
    peaks = peak_local_max(distance, min_distance=apart, labels=label(foreground), exclude_border=False)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, seeds, mask=foreground)


def _as_map(
    classes: NDArray[np.integer], objects: NDArray[np.integer] | None, processor: ImageSegmentationProcessor
) -> LabelMap:
    """Return the LabelMap, without objects that are as small as those which the network's answers leave out."""
    instances = None
    if objects is not None:
        kept = np.bincount(objects.ravel()) >= SMALLEST_OBJECT
        classes, instances = np.where(kept[objects], classes, 0), np.where(kept[objects], objects, 0).astype(np.int32)
    present = np.bincount(classes.ravel(), minlength=processor.labels + 1)[1:] > 0
    return LabelMap(
        classes=classes.astype(np.uint8), instances=instances, confidence=tuple(present.astype(float).tolist()),
        spacing=tuple(processor.spacing) if processor.spacing else None,
    )  # fmt: skip


BASELINES = {"threshold": threshold, "atlas": atlas}
