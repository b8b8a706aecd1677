"""What a detector says about one image: its boxes, in pixels of the file that was given, and their counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medhub.results import Prediction

from .boxes import DECIDED

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, kw_only=True)
class Box:
    """An object: what it is, how probably, and where; the origin is the image's upper left corner."""

    label: str
    probability: float
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, kw_only=True)
class DetectionPrediction(Prediction):
    """The objects in an image, the most probable first."""

    labels: tuple[str, ...]
    """All that the model knows."""
    boxes: tuple[Box, ...]
    """Also less probable ones, so that another threshold can be set; `found` are those that count."""
    expected: dict[str, float]
    """How many objects of each label there are on average: the sum of all probabilities, also of boxes left out.

    A box less likely right than not still hides an object at times, and `found` holds some that are none.
    """
    size: tuple[int, int]
    """Height and width of the image in pixels."""
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)
    """The image as it is shown, (height, width, channels); not part of `to_dict`."""

    @property
    def found(self) -> tuple[Box, ...]:
        """The boxes that are more likely right than wrong."""
        return tuple(box for box in self.boxes if box.probability >= DECIDED)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects of each label are found."""
        found = Counter(box.label for box in self.found)
        return {label: found[label] for label in self.labels}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and `counts`, without the pixels."""
        values = super(DetectionPrediction, replace(self, pixels=self.pixels[:0])).to_dict()
        del values["pixels"]
        return {**values, "counts": self.counts}

    def title(self) -> str:
        """Say how many objects of each label are found."""
        return ", ".join(f"{count} {label}" for label, count in self.counts.items())

    def certainty(self) -> str:
        """Say what counts as found, and how many objects are to be expected."""
        expected = ", ".join(f"{number:.1f} {label}" for label, number in self.expected.items())
        return (
            f"Counted are boxes that are likelier right than wrong. Weighed by their probability there are {expected}."
        )

    def bars(self) -> dict[str, float]:
        """Return the probability of each label's most probable box, 0 where there is none."""
        return {
            label: max((box.probability for box in self.boxes if box.label == label), default=0.0)
            for label in self.labels
        }

    def picture(self) -> Image:
        """Draw what is found over the image."""
        from ..overlays import box_overlay, label_colours

        found = self.found
        return box_overlay(
            self.pixels,
            np.array([[box.x1, box.y1, box.x2, box.y2] for box in found], dtype=float).reshape(-1, 4),
            [box.label for box in found],
            np.array([box.probability for box in found], dtype=float),
            colours=label_colours(self.labels),
        )
