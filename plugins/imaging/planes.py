"""Where DICOM's slices lie in the patient: in which order they follow, and the affine of the volume that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .geometry import spacing_of

if TYPE_CHECKING:
    from pydicom import Dataset

SAME_PLACE = 1e-3
"""Millimetres below which two slices lie at one place."""
UNEVEN = 0.1
"""Share of the distance between slices by which one may lie off its even place: headers round."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """The order of slices along their normal, and what they tell of where they lie."""

    order: NDArray[np.intp]
    affine: NDArray[np.float64] | None = None
    """From (slice, row, column, 1), with slices in that order, to millimetres: to the left, back and head."""
    spacing: tuple[float, ...] | None = None
    """Millimetres between slices (of several), rows and columns."""


def stack_series(datasets: Sequence[Dataset], names: Sequence[str], source: str) -> Stack:
    """Return how a series' files, of one slice each, follow; `names` are the files', for errors.

    Raises InputError when the files belong to several series, when one does not tell its place, when two share one, and
    when slices differ in orientation or distance.
    """
    series = {str(dataset.get("SeriesInstanceUID", "")) for dataset in datasets}
    if len(series) > 1:
        raise InputError(f"{source} holds {len(datasets)} files of {len(series)} series; keep one series a folder")
    positions = [_position(dataset, 0, frames=1) for dataset in datasets]
    directions = [_directions(dataset, 0) for dataset in datasets]
    for element, found in (("ImagePositionPatient", positions), ("ImageOrientationPatient", directions)):
        if lacking := [name for name, values in zip(names, found, strict=True) if values is None]:
            raise InputError(
                f"{source}: {lacking[0]} lacks {element} or has an invalid one, so that the order of slices is "
                "unknown; leave out what is no slice"
            )
    spacings = [_pixel_spacing(dataset, 0) for dataset in datasets]
    return _stack(np.array(positions), np.array(directions), spacings, _thickness(datasets[0]), source)


def stack_frames(dataset: Dataset, source: str, *, frames: int) -> Stack:
    """Return how one file's frames follow: by their places in an enhanced file, as they stand in any other.

    Raises InputError as `stack_series` does.
    """
    positions = [_position(dataset, frame, frames=frames) for frame in range(frames)]
    directions = [_directions(dataset, frame) for frame in range(frames)]
    known = [p is not None and d is not None for p, d in zip(positions, directions, strict=True)]
    if not any(known):
        return Stack(order=np.arange(frames), spacing=_told_spacing(dataset, frames=frames))
    if not all(known):
        raise InputError(f"{source}: frame {known.index(False) + 1} does not tell its place; export the file again")
    spacings = [_pixel_spacing(dataset, frame) for frame in range(frames)]
    return _stack(np.array(positions), np.array(directions), spacings, _thickness(dataset), source)


def functional_group(dataset: Dataset, sequence: str, frame: int) -> Dataset:
    """Return what holds a frame's values: its own or the shared functional group of an enhanced file, or the file."""
    for groups, number in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(groups) or []
        if number < len(items) and items[number].get(sequence):
            return items[number][sequence][0]
    return dataset


def _stack(
    positions: NDArray, directions: NDArray, spacings: list[tuple[float, ...]], thickness: float, source: str
) -> Stack:
    """Put slices at `positions` (slices, 3), of whose rows and columns `directions` (slices, 2, 3) tell, in order."""
    if not np.allclose(directions, directions[0], atol=1e-3):
        raise InputError(f"{source} holds slices of several orientations; leave out localisers and other planes")
    if len(set(spacings)) > 1:
        raise InputError(f"{source} holds slices whose pixels differ in size; keep one series a folder")
    along_row, along_column = directions[0]
    normal = np.cross(along_row, along_column)
    places = positions @ normal
    order = np.argsort(places, kind="stable")
    step = _step(positions[order], places[order], source) if len(order) > 1 else normal * thickness
    in_plane = spacings[0]
    if not in_plane or not step.any():
        return Stack(order=order, spacing=in_plane if in_plane and len(order) == 1 else None)
    affine = np.eye(4)
    affine[:3] = np.stack([step, along_column * in_plane[0], along_row * in_plane[1], positions[order[0]]], axis=1)
    return Stack(order=order, affine=affine, spacing=spacing_of(affine) if len(order) > 1 else in_plane)


def _step(positions: NDArray, places: NDArray, source: str) -> NDArray[np.float64]:
    """Return the way from one slice to the next; raise InputError where it is not the same between all of them."""
    gaps = np.diff(places)
    if gaps.min() < SAME_PLACE:
        raise InputError(f"{source} holds two slices at one place; keep one time point or contrast a series")
    step = (positions[-1] - positions[0]) / len(gaps)
    even = positions[0] + np.arange(len(positions))[:, None] * step
    if np.linalg.norm(positions - even, axis=1).max() > UNEVEN * np.linalg.norm(step):
        raise InputError(
            f"{source} holds slices that do not follow evenly, but {gaps.min():.4g} to {gaps.max():.4g} mm apart. "
            "One may be missing; copy the series again, or resample it to even slices"
        )
    return step


def _position(dataset: Dataset, frame: int, *, frames: int) -> NDArray[np.float64] | None:
    holder = functional_group(dataset, "PlanePositionSequence", frame)
    if holder is dataset and frames > 1:  # one place in the file's head is not that of every frame
        return None
    return _numbers(holder, "ImagePositionPatient", 3)


def _directions(dataset: Dataset, frame: int) -> NDArray[np.float64] | None:
    """Return where a slice's rows and its columns run, as two unit vectors (PS3.3 C.7.6.2.1.1)."""
    holder = functional_group(dataset, "PlaneOrientationSequence", frame)
    values = _numbers(holder, "ImageOrientationPatient", 6)
    if values is None:
        return None
    directions = values.reshape(2, 3)
    return directions if np.allclose(directions @ directions.T, np.eye(2), atol=0.01) else None


def _thickness(dataset: Dataset) -> float:
    """Return the millimetres that a single slice is thick; 0 where the file does not tell."""
    thickness = _positive(functional_group(dataset, "PixelMeasuresSequence", 0), "SliceThickness", 1)
    return thickness[0] if thickness else 0.0


def _pixel_spacing(dataset: Dataset, frame: int) -> tuple[float, ...]:
    """Return the millimetres between a frame's rows and columns in the patient; empty where the file does not tell."""
    return _positive(functional_group(dataset, "PixelMeasuresSequence", frame), "PixelSpacing", 2)


def _told_spacing(dataset: Dataset, *, frames: int) -> tuple[float, ...] | None:
    """Return the spacing that a file without places states; how thick slices are does not say how far apart."""
    measures = functional_group(dataset, "PixelMeasuresSequence", 0)
    in_plane = _pixel_spacing(dataset, 0) or _positive(measures, "ImagerPixelSpacing", 2)
    between = _positive(measures, "SpacingBetweenSlices", 1) if frames > 1 else ()
    return (*between, *in_plane) if in_plane and (between or frames == 1) else None


def _positive(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    values = _numbers(dataset, keyword, count)
    return tuple(values.tolist()) if values is not None and (values > 0).all() else ()


def _numbers(dataset: Dataset, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Return an element's numbers; None where it is absent, or is not so many finite numbers."""
    try:
        values = np.atleast_1d(np.asarray(dataset.get(keyword), dtype=float))
    except (TypeError, ValueError):  # pydicom reads numbers only now
        return None
    return values if values.shape == (count,) and np.isfinite(values).all() else None
