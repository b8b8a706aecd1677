"""What an alignment returns: two sequences with gaps, and how sure each column is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from medhub.errors import InputError
from medhub.pictures import percentage
from medhub.results import Prediction

from .pairing import GAP, Pairing, gapped
from .reading import SequencePair
from .rows import LABEL_NAMES

if TYPE_CHECKING:
    from PIL.Image import Image

SURE, DOUBTFUL = 0.9, 0.5
"""Confidences from which on, and under which, words call a column so."""


@dataclass(frozen=True, kw_only=True)
class AlignedSequence:
    """One of two sequences, as it stands in the alignment."""

    name: str
    text: str
    """Letters and gaps."""
    start: int
    """Residues before the alignment: 0 where it is global."""
    length: int
    """Residues of the whole sequence."""

    @property
    def end(self) -> int:
        """Residues up to the alignment's end."""
        return self.start + len(self.text) - self.text.count(GAP)


@dataclass(frozen=True, kw_only=True)
class AlignmentPrediction(Prediction):
    """Two sequences side by side. Residues that one column shares descend, the model says, from one residue.

    `confidence` has a value for every column: the calibrated probability that its two residues belong together, None
    where there is a gap. `score` is in bits: how much more likely the two sequences are as relatives than apart.
    """

    first: AlignedSequence
    second: AlignedSequence
    confidence: tuple[float | None, ...]
    score: float
    alphabet: str

    @classmethod
    def from_pairing(cls, pair: SequencePair, pairing: Pairing, *, local: bool, alphabet: str) -> Self:
        """Write the sequences under each other; of a `local` alignment only from its first to its last column."""
        pairs = pairing.pairs
        texts = pair.first.sequence, pair.second.sequence
        *lines, places = gapped(*texts, pairs)
        confidence: list[float | None] = [None] * len(lines[0])
        for place, value in zip(places, pairing.confidence[pairs[:, 0]].tolist(), strict=True):
            confidence[place] = value
        starts, shown = [0, 0], slice(0, None)
        if local:
            starts = pairs[0].tolist() if len(pairs) else [0, 0]
            shown = slice(places[0], places[-1] + 1) if places else slice(0, 0)
        aligned = [
            AlignedSequence(name=record.name, text=line[shown], start=start, length=len(record.sequence))
            for record, line, start in zip((pair.first, pair.second), lines, starts, strict=True)
        ]
        return cls(
            input=f"{pair.first.name} and {pair.second.name}", first=aligned[0], second=aligned[1],
            confidence=tuple(confidence[shown]), score=pairing.score, alphabet=alphabet,
        )  # fmt: skip

    @property
    def identity(self) -> float:
        """Share of the columns of two residues whose residues are the same; 0 where there is no such column."""
        same = [one == other for one, other in zip(self.first.text, self.second.text, strict=True)
                if GAP not in (one, other)]  # fmt: skip
        return float(np.mean(same)) if same else 0.0

    @property
    def mean_confidence(self) -> float:
        """Mean confidence of the columns of two residues; 0 where there is none."""
        known = [value for value in self.confidence if value is not None]
        return float(np.mean(known)) if known else 0.0

    @property
    def cigar(self) -> str:
        """Runs of columns as SAM writes them: M of two residues, I of the first sequence's only, D of the second's."""
        from .writing import cigar

        return cigar(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the identity and the CIGAR string."""
        return {**super().to_dict(), "identity": self.identity, "cigar": self.cigar}

    def title(self) -> str:
        """Say how alike the sequences are, and how sure the alignment is."""
        if not any(value is not None for value in self.confidence):
            return f"{self.input}: nothing of them belongs together"
        return (f"{self.input}: {percentage(self.identity)} identical, mean confidence "
                f"{percentage(self.mean_confidence)}, {self.score:.0f} bits")  # fmt: skip

    def certainty(self) -> str:
        """Say how many columns are sure, and how many doubtful."""
        known = [value for value in self.confidence if value is not None]
        sure, doubtful = sum(value >= SURE for value in known), sum(value < DOUBTFUL for value in known)
        return (f"Of {len(known)} columns of two residues {sure} are sure ({percentage(SURE)} or more) and {doubtful} "
                f"doubtful (less than {percentage(DOUBTFUL)}).") if known else ""  # fmt: skip

    def bars(self) -> dict[str, float]:
        """Return the mean confidence under the name of the only label."""
        return {LABEL_NAMES[0]: self.mean_confidence}

    def formats(self) -> dict[str, Callable[[Path, Any], Any]]:
        """Add text for people, Stockholm, CLUSTAL, PAF and FASTA with gaps."""
        from . import writing

        def writer(write: Callable[[AlignmentPrediction], str]) -> Callable[[Path, Any], Any]:
            return lambda path, source: path.write_text(self._checked(write), encoding="utf-8")

        kinds = {".txt": writing.text, ".sto": writing.stockholm, ".aln": writing.clustal, ".paf": writing.paf,
                 ".fasta": writing.fasta}  # fmt: skip
        return {**{kind: writer(write) for kind, write in kinds.items()}, **super().formats()}

    def downloads(self) -> tuple[str, ...]:
        """Return all formats; where nothing was aligned, those that have no need of it."""
        return tuple(self.formats() if self.confidence else super().formats())

    def picture(self) -> Image:
        """Draw the alignment, the surer a column the darker."""
        from .drawing import draw_alignment

        return draw_alignment(self)

    def _checked(self, write: Callable[[AlignmentPrediction], str]) -> str:
        if not self.confidence:
            raise InputError(f"{self.input} have no part that belongs together; there is no alignment to write")
        return write(self)
