"""From a recording's intervals to a batch, and from the model's output to a result that a person can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.errors import InputError
from medhub.explain import integrated_gradients
from medhub.processing import Processor
from medhub.results import Explanation

if TYPE_CHECKING:
    from PIL.Image import Image

    from medhub.modeling import MedConfig, MedModel

FEWEST = 8
"""Intervals below which a rhythm cannot be told."""
SHORTEST, LONGEST = 200, 3000
"""Milliseconds between which an interval is physiological: 300 to 20 beats a minute."""


@dataclass(kw_only=True)
class ExampleRhythmProcessor(Processor):
    """Intervals in milliseconds in, normalised by the training rows' mean and deviation."""

    # Change: the fields are what `fit` learns and what must travel with the weights; all of it JSON.
    mean: float
    deviation: float

    RAGGED: ClassVar[tuple[str, ...]] = ("intervals",)

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn the mean and the deviation of all intervals of the training rows."""
        unscaled = cls(mean=0.0, deviation=1.0)
        intervals = np.concatenate([unscaled.read(raw) for raw in rows["input"]])
        return cls(mean=float(intervals.mean()), deviation=float(intervals.std()) or 1.0)

    def read(self, raw: Any) -> NDArray[np.float32]:
        """Parse intervals in milliseconds: a sequence of numbers, or a text with spaces or commas between them."""
        try:
            values = raw.replace(",", " ").split() if isinstance(raw, str) else raw
            intervals = np.asarray(values, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{str(raw)[:40]!r} are not intervals; give numbers in milliseconds, such as '812 790 805'"
            ) from error
        if intervals.ndim != 1 or len(intervals) < FEWEST:
            raise InputError(f"found {intervals.size} intervals, but a rhythm needs at least {FEWEST} in a row")
        for place in np.flatnonzero(~((intervals >= SHORTEST) & (intervals <= LONGEST))):
            raise InputError(
                f"interval {place + 1} is {intervals[place]:g}, outside {SHORTEST} to {LONGEST} milliseconds; "
                "check the unit, and remove artefacts"
            )
        return intervals

    def features(self, sample: NDArray[np.float32]) -> dict[str, NDArray]:
        """Return the normalised intervals, float32 of shape (length,)."""
        return {"intervals": (sample - np.float32(self.mean)) / np.float32(self.deviation)}

    def describe(self, sample: NDArray[np.float32]) -> str:
        """Name a recording by its length and rate."""
        return f"{len(sample)} intervals at {60_000 / sample.mean():.0f} beats a minute"

    def explain(self, model: MedModel, sample: NDArray[np.float32], label: str) -> Explanation:
        """Say which intervals spoke for `label`, by integrated gradients from an unchanging mean rhythm."""
        batch = self.collate(self.stack([self.features(sample)]))
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        index = model.config.label2id[label]
        values = integrated_gradients(model, batch, name="intervals", label=index)[0].cpu().numpy()
        parts = tuple(f"interval {place + 1}" for place in range(len(sample)))
        picture = _draw(sample, values)
        legend = "red intervals speak for it, blue ones against it"
        return Explanation(
            method="integrated gradients", label=label, legend=legend, values=values, parts=parts, picture=picture
        )


def _draw(sample: NDArray[np.float32], values: NDArray[np.floating]) -> Image:
    """Draw one bar an interval, as high as it is long: red where it spoke for the label, blue where against it."""
    from PIL import Image, ImageDraw

    width, height = max(8, 640 // len(sample)), 160
    picture = Image.new("RGB", (width * len(sample), height), "white")
    pen = ImageDraw.Draw(picture)
    strength = np.abs(values) / max(float(np.abs(values).max()), 1e-12)
    for place, (interval, value) in enumerate(zip(sample, values, strict=True)):
        pale = round(225 * (1 - strength[place]))
        colour = (225, pale, pale) if value > 0 else (pale, pale, 225)
        top = height - round(height * float(interval) / max(float(sample.max()), 1.0))
        pen.rectangle((place * width, top, (place + 1) * width - 2, height), fill=colour)
    return picture
