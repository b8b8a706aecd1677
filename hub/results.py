"""What a prediction returns: typed records that turn into dicts, JSON and pictures."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError, suggest

if TYPE_CHECKING:
    from PIL.Image import Image

NOTICE = "For research only. Not a medical device; not for diagnosis or treatment."


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Which weights, processor and code made a result."""

    model: str
    task: str
    weights_sha256: str
    processor_sha256: str
    plugin: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Which parts of one input spoke for a label.

    `values` has one figure a part (atom, pixel, position), positive where the part raised the label's score;
    `parts` names them where they have names. `picture` shows them over the input, and `legend` says what its colours
    mean.
    """

    method: str
    label: str
    legend: str
    values: NDArray[np.floating]
    parts: tuple[str, ...] = ()
    picture: Image | None = field(default=None, repr=False, compare=False)

    @property
    def caption(self) -> str:
        """What a person must know who sees the picture."""
        return f"What spoke for {self.label}: {self.legend}"


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says about one input. Subclasses add the task's own fields."""

    input: str
    provenance: Provenance | None = None
    explanation: Explanation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts, numbers and strings; pictures are left out."""
        return _plain(self)

    def to_json(self) -> str:
        """Return `to_dict()` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def save(self, path: str | os.PathLike[str], *, source: Any = None) -> Path:
        """Write the result as .json or, drawn, as .png, whole or not at all, and return the path.

        Tasks add formats of their field. `source` is the raw input, for those that repeat what it says of the patient:
        a result itself keeps no name. Raises InputError for a format that the task does not write.
        """
        path = Path(path)
        kind = next((kind for kind in self.formats() if path.name.lower().endswith(kind)), None)
        if kind is None:
            known = ", ".join(self.formats())
            raise InputError(f"a result cannot be written as {path.name}{suggest(path.suffix, self.formats())} "
                             f"Formats: {known}")  # fmt: skip
        with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
            staged = Path(folder) / path.name
            self.formats()[kind](staged, source)
            os.replace(staged, path)
        return path

    def formats(self) -> dict[str, Callable[[Path, Any], Any]]:
        """Return what `save` can write: by the end of a file's name, a function of the path and the raw input."""
        return {
            ".json": lambda path, source: path.write_text(self.to_json() + "\n", encoding="utf-8"),
            ".png": lambda path, source: self.to_picture().save(path),
        }

    def downloads(self) -> tuple[str, ...]:
        """Return the formats that a demo page offers, each an end of a file's name."""
        return tuple(self.formats())

    def to_picture(self) -> Image:
        """Draw the result for a person, with the research-only notice."""
        from medhub.pictures import result_picture

        explained = (self.explanation.caption, self.explanation.picture) if self.explanation else None
        return result_picture(self.title(), self.bars(), explained, drawn=self.picture(), notice=NOTICE)

    def picture(self) -> Image | None:
        """Draw the answer over the input; None where it is no drawing."""
        return None

    def title(self) -> str:
        """Say the result in one line."""
        return self.input

    def certainty(self) -> str:
        """Say in words how sure the model is, or that it does not decide; empty where the task has no such promise."""
        return ""

    def bars(self) -> dict[str, float]:
        """Figures between 0 and 1 to draw as bars, by name."""
        return {}


@dataclass(frozen=True, kw_only=True)
class ClassPrediction(Prediction):
    """One of several classes: calibrated probabilities, and the conformal set of classes that cannot be ruled out.

    `abstained` is true when that set does not hold exactly one class: the model then does not decide.
    """

    label: str
    probabilities: dict[str, float]
    possible: tuple[str, ...] | None = None

    @property
    def abstained(self) -> bool:
        """Whether the model cannot tell, at its stated coverage."""
        return self.possible is not None and len(self.possible) != 1

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and `abstained`."""
        return {**super().to_dict(), "abstained": self.abstained}

    def title(self) -> str:
        """Say the class, its probability, and whether the model abstains."""
        from medhub.pictures import percentage

        said = f"{self.label} ({percentage(self.probabilities[self.label])})"
        return f"{said}, not certain" if self.abstained else said

    def certainty(self) -> str:
        """Say which classes the model cannot rule out."""
        if self.possible is None:
            return ""
        if not self.possible:
            return "The model does not decide: no class fits this input as it fits those that the model was tried on."
        if self.abstained:
            return f"The model does not decide: it cannot rule out {_listed(self.possible)}."
        return f"The model decides: it rules out everything but {self.possible[0]}."

    def bars(self) -> dict[str, float]:
        """Return the probability of each class."""
        return self.probabilities


@dataclass(frozen=True, kw_only=True)
class MultiLabelPrediction(Prediction):
    """Several yes-or-no labels: a calibrated probability each, and "yes", "no" or "uncertain" at the given coverage."""

    probabilities: dict[str, float]
    decisions: dict[str, str] | None = None

    def title(self) -> str:
        """Say the most probable label."""
        from medhub.pictures import percentage

        top = max(self.probabilities, key=self.probabilities.__getitem__)
        return f"{self.input}: {top} {percentage(self.probabilities[top])}"

    def certainty(self) -> str:
        """Say on which labels the model decides and how, and on which it does not."""
        if self.decisions is None:
            return ""
        undecided = [label for label, decision in self.decisions.items() if decision == "uncertain"]
        if undecided:
            return f"The model does not decide on {_listed(undecided)}."
        yes = [label for label, decision in self.decisions.items() if decision == "yes"]
        if len(self.decisions) == 1:
            return f"The model decides: {'yes' if yes else 'no'}."
        return f"The model decides on every label: {'yes to ' + _listed(yes) if yes else 'no to all'}."

    def bars(self) -> dict[str, float]:
        """Return the probability of each label."""
        return self.probabilities


def _listed(names: Sequence[str]) -> str:
    """Write names as a person would: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _plain(value: Any) -> Any:
    """Turn a result into what JSON knows."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name != "picture"}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
