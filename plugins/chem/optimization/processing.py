"""From a molecule to tokens, and from the tokens that the network writes to molecules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import ModelOutput

from medhub.plugins.chem.files import is_molecule_file, read_records
from medhub.plugins.chem.molecules import canonical_smiles, parse_smiles, read_molecule
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation

from .explanation import explain_path
from .properties import PROPERTIES, measure
from .proposals import Proposals
from .tokens import Vocabulary, spell, write_smiles

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

    from .config import OptimizationConfig
    from .model import OptimizationModel
    from .results import ProposalPrediction

READ_ROWS = 50_000
"""Training molecules from which the vocabulary is learnt."""
MEASURED_ROWS = 50_000
"""Training molecules whose properties the heads learn from: drug-likeness takes longer than all else together."""
SCALED_ROWS = 1000
"""Training molecules from which the properties' scale is learnt."""
SEEDS = 2**63


@dataclass(kw_only=True)
class OptimizationProcessor(Processor):
    """Molecules in, molecules out."""

    symbols: list[str] = field(default_factory=list)
    """Of SMILES; the first tokens."""
    merges: list[list[int]] = field(default_factory=list)
    """Pairs of earlier tokens that make up each further one."""
    means: list[float] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)
    """Of the properties."""
    measured: float = 1.0
    """Share of the training molecules whose properties are computed."""

    RAGGED: ClassVar[tuple[str, ...]] = ("tokens", "smiles")

    @classmethod
    def fit(cls, rows: Dataset, config: OptimizationConfig) -> Self:  # type: ignore[override]
        """Learn the vocabulary and the properties' scale; sets `vocabulary_size` and `longest` in `config`."""
        reader = cls()
        read = (reader.read(raw) for raw in _evenly(rows, READ_ROWS)["input"])
        texts = [spell(smiles) for smiles in read]
        vocabulary = Vocabulary.learn(texts, size=config.vocabulary_size)
        values = np.array([_properties(reader.read(raw)) for raw in _evenly(rows, SCALED_ROWS)["input"]])
        config.vocabulary_size = len(vocabulary)
        config.longest = max(len(vocabulary.encode(text)) for text in texts) + 1  # and the bound
        return cls(
            symbols=vocabulary.symbols,
            merges=[[*pair] for pair in vocabulary.merges],
            means=values.mean(axis=0).tolist(),
            deviations=values.std(axis=0).clip(1e-6).tolist(),
            measured=min(1.0, MEASURED_ROWS / len(rows)),
        )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the tokens are."""
        return Vocabulary(self.symbols, self.merges)

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the molecules of a CSV (column `smiles`), SMI or SDF file by its path; None for one molecule."""
        return [record.raw for record in read_records(raw)] if is_molecule_file(raw) else None

    def read(self, raw: Any) -> str:
        """Return the canonical SMILES of a molecule, its largest organic part, without stereochemistry.

        Takes what `read_molecule` takes. A dict with `clean`, such as rows of data sets are, is taken at its word: to
        clean a million molecules again would take longer than to train on them.
        """
        if isinstance(raw, dict) and raw.get("clean"):
            return str(raw["clean"])
        return flat_smiles(raw)

    def features(self, sample: str) -> dict[str, NDArray]:
        """Return `tokens` (length,) of int16, and the `seed` of what chance decides about this molecule."""
        tokens = self.vocabulary.encode(spell(sample))
        return {"tokens": np.array(tokens, np.int16), "seed": np.array(_seed(sample))}

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return the properties (properties,), NaN for a molecule that is not measured, and the `smiles` as bytes."""
        smiles = self.read(row["input"])
        values = np.full(len(PROPERTIES), np.nan)
        if _seed(smiles) < self.measured * SEEDS:
            values = (_properties(smiles) - np.array(self.means)) / np.array(self.deviations)
        return {"labels": values.astype(np.float32), "smiles": np.frombuffer(smiles.encode(), np.uint8)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Make a batch; the targets' SMILES are for the metrics alone."""
        tokens = [torch.from_numpy(np.asarray(row, dtype=np.int64)) for row in columns["tokens"]]
        batch = {
            "tokens": pad_sequence(tokens, batch_first=True),
            "lengths": torch.tensor([len(row) for row in tokens]),
            "seed": torch.from_numpy(np.asarray(columns["seed"])),
        }
        if "labels" in columns:
            batch["labels"] = torch.from_numpy(np.asarray(columns["labels"]))
        return batch

    def truths(self, columns: Columns) -> NDArray:
        """Return each row's own molecule."""
        return as_rows([bytes(row).decode() for row in columns["smiles"]])

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return the molecules that the network wrote for each row."""
        rows = zip(outputs["sampled"].tolist(), outputs["near"].tolist(), strict=True)
        return as_rows([
            Proposals(sampled=self.write(sampled) or "", near=tuple(filter(None, map(self.write, near))))
            for sampled, near in rows
        ])  # fmt: skip

    def write(self, tokens: Iterable[int]) -> str | None:
        """Return the canonical SMILES of tokens, None where they are no molecule."""
        return write_smiles(self.vocabulary.decode(tokens))

    def result(self, sample: str, scores: Proposals, config: MedConfig) -> ProposalPrediction:
        """Return the molecules near the given one, the most drug-like first."""
        from .results import ProposalPrediction

        return ProposalPrediction.near(sample, scores.near)

    def describe(self, sample: str) -> str:
        """Name a molecule by its canonical SMILES."""
        return sample

    def explain(self, model: MedModel, sample: str, label: str) -> Explanation:
        """Follow the property head of `label` uphill, and draw the molecules on the way with what changed."""
        return explain_path(cast("OptimizationModel", model), self, sample, label=label)


def flat_smiles(raw: Any) -> str:
    """Return a molecule's canonical SMILES, cleaned, without stereochemistry; raise InputError as `read_molecule`."""
    from rdkit.Chem import RemoveStereochemistry

    mol = read_molecule(raw)
    RemoveStereochemistry(mol)
    return canonical_smiles(parse_smiles(canonical_smiles(mol)))


def _evenly(rows: Dataset, most: int) -> Dataset:
    return rows.select(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int))


def _properties(smiles: str) -> NDArray[np.floating]:
    return np.array([*measure(parse_smiles(smiles)).values()])


def _seed(smiles: str) -> int:
    """Return a number of 63 bits that follows from the molecule, and is as good as chance."""
    return int.from_bytes(hashlib.sha256(smiles.encode()).digest()[:8]) >> 1
