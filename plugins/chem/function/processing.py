"""From genes and proteins to a batch, and from the network's logits to functions that imply one another."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.errors import InputError
from medhub.metrics import Metric
from medhub.modeling import MedConfig, MedModel
from medhub.processing import Columns, Processor
from medhub.results import Explanation
from medhub.sequences.alphabets import ALPHABETS, DNA, PROTEIN, Alphabet, alphabet_of, guess
from medhub.sequences.fasta import Record, as_records

from .config import FunctionConfig
from .metrics import weigh
from .neighbours import align, compare, fold
from .rows import LINKS
from .translation import translate


@dataclass(kw_only=True)
class FunctionProcessor(Processor):
    """Sequences in, functions with their probabilities out; genes are translated for a model of proteins."""

    alphabet: str
    longest: int
    """Letters of a sequence that are read; a longer one is read without its middle."""
    links: list[list[int]]
    """Pairs of functions, by their numbers, of which the first implies the second; what is implied stands last."""
    information: list[float]
    """Bits that each function tells beyond what it implies, from the training rows (Clark and Radivojac 2013)."""
    references: list[str]
    """Training proteins that each protein is aligned with, folded to ten letters."""
    functions: list[list[int]]
    """The numbers of the functions that each of them has."""
    families: list[str]
    """Their families."""

    RAGGED: ClassVar[tuple[str, ...]] = ("input_ids",)

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn from the training rows the alphabet, which functions imply which, and how much each tells."""
        assert isinstance(config, FunctionConfig)
        if config.alphabet is None:
            config.alphabet = alphabet_of(rows["input"]).name
        labels = np.array(rows["labels"][:], dtype=float)
        links = order_links({(one, other) for pairs in rows[LINKS] for one, other in pairs})
        processor = cls(
            alphabet=config.alphabet, longest=config.longest, links=links,
            information=tell_bits(labels, links).tolist(), references=[], functions=[], families=[],
        )  # fmt: skip
        if processor.letters is PROTEIN:
            processor._keep(rows, most=config.references)
        return processor

    @property
    def letters(self) -> Alphabet:
        """The alphabet that the model reads."""
        return ALPHABETS[self.alphabet]

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the records of FASTA that holds several; None for one input."""
        records = self._records(raw)
        return [*records] if len(records) > 1 else None

    def read(self, raw: Any) -> Record:
        """Read one sequence: its letters, a Record, Biopython's SeqRecord, or FASTA with a single record.

        A model of proteins translates what looks like DNA. Raises InputError, naming the record.
        """
        records = self._records(raw)
        if len(records) > 1:
            raise InputError(f"{len(records)} sequences where one is needed; give one, or predict them all")
        return records[0]

    def features(self, sample: Record) -> dict[str, NDArray]:
        """Return the letters' numbers (length,) as `input_ids`, of a long sequence its two ends, and what relatives do.

        `relatives` (2, labels) are between 0 and 1. The second row leaves out the family of a reference that is the
        sequence itself: training, whose sequences are references, would else learn that the nearest is always right.
        """
        sequence = self.ends(sample.sequence)
        folded, labels = fold(sequence), self._reference_labels
        similar = align(folded, self.references, alphabet="folded")
        own = {family for family, other in zip(self.families, self.references, strict=True) if other == folded}
        apart = np.array([family not in own for family in self.families], dtype=bool)
        relatives = np.stack([compare(similar, labels), compare(similar[apart], labels[apart])])
        return {"input_ids": self.letters.encode(sequence), "relatives": relatives.astype(np.float32)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Pad sequences to the longest, and add `lengths`; training hears only of relatives of other families."""
        batch = super().collate(columns)
        return {**batch, "relatives": batch["relatives"][:, 0 if generator is None else 1]}

    def ends(self, sequence: str) -> str:
        """Return what is read of a sequence: all, or its two ends, where most signals stand."""
        over = len(sequence) - self.longest
        half = self.longest // 2
        return sequence if over <= 0 else sequence[:half] + sequence[half + over :]

    def describe(self, sample: Record) -> str:
        """Name a sequence by its record."""
        return sample.name

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return calibrated probabilities (batch, labels), none below that of a function that implies it."""
        return self.propagate(super().scores(outputs, config))

    def propagate(self, scores: NDArray) -> NDArray:
        """Return scores (rows, labels), each raised to the highest of those that imply it."""
        scores = scores.copy()
        for one, other in self.links:
            scores[:, other] = np.maximum(scores[:, other], scores[:, one])
        return scores

    def metric(self, metric: Metric) -> Metric:
        """Return Smin with what each function tells."""
        return weigh(metric, np.array(self.information))

    def explain(self, model: MedModel, sample: Record, label: str) -> Explanation:
        """Say which letters spoke for `label`, as a logo."""
        from .explanation import explain_sequence

        return explain_sequence(self, model, sample, label)

    def _keep(self, rows: Dataset, *, most: int) -> None:
        """Keep training rows as references: whole families, so that of no training row a part of its own is there."""
        families = rows["group"][:]
        sizes = Counter(families)
        chosen, room = set(), most
        # by hash, for a file may hold one class first
        for family in sorted(sizes, key=lambda family: hashlib.sha256(family.encode()).digest()):
            if sizes[family] <= room:
                chosen.add(family)
                room -= sizes[family]
        kept = rows.select([row for row, family in enumerate(families) if family in chosen])
        self.references = [fold(self.ends(self.read(raw).sequence)) for raw in kept["input"]]
        self.functions = [np.flatnonzero(np.array(labels) == 1).tolist() for labels in kept["labels"]]
        self.families = kept["group"][:]

    @cached_property
    def _reference_labels(self) -> NDArray[np.floating]:
        """The references' labels, (references, labels) of 0 and 1."""
        labels = np.zeros((len(self.references), len(self.information)))
        for row, functions in enumerate(self.functions):
            labels[row, functions] = 1
        return labels

    def _records(self, raw: Any) -> list[Record]:
        return [self._spelt(record) for record in as_records(raw, alphabet=None)]

    def _spelt(self, record: Record) -> Record:
        """Return a record in the letters that the model reads; raise InputError where these are not its own."""
        sequence = record.sequence.upper().removesuffix("*")
        if not sequence:
            raise InputError(f"record {record.name!r} is empty; give its sequence")
        if self.letters is PROTEIN and guess(sequence) == DNA.name:
            DNA.check(sequence, name=record.name, line=record.line)
            sequence = translate(sequence, name=record.name)
        self.letters.check(sequence, name=record.name, line=record.line)
        return replace(record, sequence=sequence)


def order_links(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return pairs (one, implied) in an order in which nothing is raised after it has raised what it implies."""
    above: dict[int, list[int]] = {}
    for one, other in sorted(links):
        above.setdefault(one, []).append(other)
        above.setdefault(other, [])
    # TopologicalSorter yields what is implied before what implies it
    order = [*TopologicalSorter(above).static_order()][::-1]
    return [[one, other] for one in order for other in above[one]]


def tell_bits(labels: NDArray[np.floating], links: Sequence[Sequence[int]]) -> NDArray[np.floating]:
    """Return the information (labels,) of each function in bits: how rare it is among the rows with all it implies.

    `labels` are (rows, labels) of 0 and 1. One more row of each is counted, so that nothing is infinitely rare.
    """
    has_all = np.ones(labels.shape, dtype=bool)
    for one, other in links:
        has_all[:, one] &= labels[:, other] == 1
    return np.log2((has_all.sum(0) + 1) / ((labels == 1).sum(0) + 1))
