"""What a prediction returns: a label a position with its probabilities, or how likely a sequence is."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from medhub.pictures import percentage
from medhub.results import Prediction
from medhub.sequences.fasta import Record, write_fasta

from .segments import runs

if TYPE_CHECKING:
    from PIL.Image import Image

SURE, DOUBTFUL = 0.9, 0.5
"""Probabilities of a label from which on, and under which, words call a position so."""
MOST_LIKELY = 5
"""Continuations of a sequence that are named."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of positions with one label; the first position of a sequence is 1, and `end` belongs to the run."""

    label: str
    start: int
    end: int
    confidence: float
    """Mean probability of the label over the run."""


@dataclass(frozen=True, kw_only=True)
class LabelledSequence(Prediction):
    """A label for every position of a sequence.

    `posteriors` (length, labels) are calibrated probabilities in the order of `names`; `labels` are the most probable.
    """

    sequence: str
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]
    names: tuple[str, ...]
    posteriors: NDArray[np.floating] = field(repr=False, compare=False)

    @classmethod
    def from_probabilities(cls, record: Record, probabilities: NDArray[np.floating], *, names: tuple[str, ...]) -> Self:
        """Make the result of a sequence from what the network says of its positions."""
        numbers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        return cls(
            input=record.name,
            sequence=record.sequence,
            labels=tuple(names[number] for number in numbers),
            segments=tuple(
                Segment(label=names[number], start=start + 1, end=end, confidence=float(confidence[start:end].mean()))
                for number, start, end in runs(numbers)
            ),
            names=names,
            posteriors=probabilities,
        )

    @property
    def label_string(self) -> str:
        """The labels side by side, as many letters as the sequence has where each label is one letter."""
        return "".join(self.labels)

    @property
    def confidence(self) -> NDArray[np.floating]:
        """The probability of each position's label, (length,)."""
        return self.posteriors.max(axis=1)

    def title(self) -> str:
        """Say which share of the positions has which label."""
        return f"{self.input}: " + ", ".join(f"{name} {percentage(share)}" for name, share in self.bars().items())

    def certainty(self) -> str:
        """Say how many positions are sure, and how many doubtful."""
        sure, doubtful = (self.confidence >= SURE).sum(), (self.confidence < DOUBTFUL).sum()
        return (f"Of {len(self.labels)} positions {sure} are sure ({percentage(SURE)} or more) and {doubtful} doubtful "
                f"(less than {percentage(DOUBTFUL)}).")  # fmt: skip

    def bars(self) -> dict[str, float]:
        """Return the share of the positions that have each label."""
        counts = Counter(self.labels)
        return {name: counts[name] / len(self.labels) for name in self.names}

    def picture(self) -> Image:
        """Draw the labels under the letters, the higher the more probable."""
        from .track import draw_track

        return draw_track(self.sequence, self.labels, self.confidence, names=self.names)

    def formats(self) -> dict[str, Callable[[Path, Any], Any]]:
        """Add FASTA with the sequence and its labels, and a CSV of a line a position."""
        return {".fasta": lambda path, source: _write(path, self.to_fasta()),
                ".csv": lambda path, source: self._save_csv(path), **super().formats()}  # fmt: skip

    def to_fasta(self) -> str:
        """Return the sequence and, as a second record, its labels."""
        labels = Record(name=f"{self.input}_labels", sequence=self.label_string)
        return write_fasta([Record(name=self.input, sequence=self.sequence), labels])

    def _save_csv(self, path: Path) -> None:
        rows = zip(self.sequence, self.labels, self.posteriors.tolist(), strict=True)
        _write_csv(path, ["position", "residue", "label", *self.names], [
            [number, residue, label, *(f"{probability:.4f}" for probability in probabilities)]
            for number, (residue, label, probabilities) in enumerate(rows, start=1)
        ])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SequenceLikelihood(Prediction):
    """How likely a sequence is letter by letter, and what may follow it.

    `log_likelihoods` (length - 1,) are of each letter but the first, given those before it, NaN for an ambiguous one;
    `following` holds the probability of each letter behind the last. `perplexity` is None where no letter has one.
    """

    sequence: str
    perplexity: float | None
    following: dict[str, float]
    log_likelihoods: NDArray[np.floating] = field(repr=False, compare=False)

    @classmethod
    def from_probabilities(
        cls, record: Record, codes: NDArray[np.integer], probabilities: NDArray[np.floating], *, names: tuple[str, ...]
    ) -> Self:
        """Make the result of a sequence of the letters `codes` (length,) from what the network expects to follow each.

        Letter number 1 is the first of `names`, and numbers beyond them are ambiguous.
        """
        following = codes[1:].astype(int) - 1
        known = following < len(names)
        expected = probabilities[np.arange(len(following)), np.where(known, following, 0)].astype(float)
        found = np.where(known, np.log(expected.clip(1e-12)), np.nan)
        return cls(
            input=record.name,
            sequence=record.sequence,
            perplexity=float(np.exp(-found[known].mean())) if known.any() else None,
            following={name: float(value) for name, value in zip(names, probabilities[-1], strict=True)},
            log_likelihoods=found,
        )

    def title(self) -> str:
        """Say the perplexity and the likeliest continuations."""
        top = sorted(self.following.items(), key=lambda item: item[1], reverse=True)[:MOST_LIKELY]
        likely = ", ".join(f"{name} {percentage(value)}" for name, value in top)
        known = "not defined" if self.perplexity is None else f"{self.perplexity:.1f}"
        return f"{self.input}: perplexity {known}; next {likely}"

    def bars(self) -> dict[str, float]:
        """Return the probability of each letter behind the last."""
        return self.following

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with None for what is not known."""
        values = [None if np.isnan(value) else value for value in self.log_likelihoods.tolist()]
        return {**super().to_dict(), "log_likelihoods": values}

    def formats(self) -> dict[str, Callable[[Path, Any], Any]]:
        """Add a CSV of a line a position."""
        return {".csv": lambda path, source: self._save_csv(path), **super().formats()}

    def _save_csv(self, path: Path) -> None:
        rows = zip(self.sequence[1:], self.log_likelihoods.tolist(), strict=True)
        _write_csv(path, ["position", "residue", "log_likelihood"], [
            [number, residue, "" if np.isnan(value) else f"{value:.4f}"]
            for number, (residue, value) in enumerate(rows, start=2)
        ])  # fmt: skip


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
