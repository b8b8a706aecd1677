"""From a molecule to numbers, and from the model's output to a result with its atoms coloured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.plugins.chem.files import is_molecule_file, read_records
from medhub.plugins.chem.molecules import canonical_smiles, read_molecule, spellings
from medhub.processing import Columns, Processor
from medhub.results import Explanation, MultiLabelPrediction, Prediction

from .descriptors import compute_descriptors, descriptor_names
from .graph import graph_features
from .results import ToxicityPrediction
from .tokens import FIRST, find_vocabulary, number_tokens

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from medhub.modeling import MedConfig, MedModel

    from .config import ToxicityConfig

SAMPLED_ROWS = 1000
"""Training rows whose descriptors are averaged: more would hardly move the mean, and cost milliseconds each."""
EXTREME = 5.0
"""Standard deviations at which a descriptor is cut off."""


@dataclass(kw_only=True)
class ToxicityProcessor(Processor):
    """Molecules in; substructures and descriptors out for "dnn", also the graph for "mpnn", tokens for "cnn"."""

    architecture: str
    fingerprint_size: int = 0
    fingerprint_radius: int = 0
    descriptors: list[str] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    """What stands for a descriptor that cannot be computed."""
    means: list[float] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)
    spellings: int = 0
    vocabulary: list[str] = field(default_factory=list)
    """Tokens from number 2 on; 0 is padding and 1 is any other token."""

    RAGGED: ClassVar[tuple[str, ...]] = ("tokens", "atoms", "bonds", "ends")

    @classmethod
    def fit(cls, rows: Dataset, config: ToxicityConfig) -> Self:  # type: ignore[override]
        """Learn the descriptors' scale, or the vocabulary, from the training rows; sets its size in `config`."""
        if config.architecture == "cnn":
            processor = cls(architecture="cnn", spellings=config.spellings)
            processor.vocabulary = find_vocabulary(
                spelling for raw in rows["input"] for spelling in spellings(processor.read(raw), config.spellings)
            )
            config.vocabulary_size = FIRST + len(processor.vocabulary)
        else:
            processor = cls(
                architecture=config.architecture,
                fingerprint_size=config.fingerprint_size,
                fingerprint_radius=config.fingerprint_radius,
                descriptors=descriptor_names(),
            )
            processor._fit_descriptors(rows)
            config.descriptors = len(processor.descriptors)
        return processor

    def _fit_descriptors(self, rows: Dataset) -> None:
        sample = rows.select(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED_ROWS)).astype(int))
        values = np.stack([compute_descriptors(self.read(raw), self.descriptors) for raw in sample["input"]])
        medians = np.array([np.median(known) if len(known := v[~np.isnan(v)]) else 0.0 for v in values.T])
        values = np.where(np.isnan(values), medians, values)
        deviations = values.std(axis=0)
        self.medians, self.means = medians.tolist(), values.mean(axis=0).tolist()
        self.deviations = np.where(deviations > 1e-6, deviations, 1.0).tolist()

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the molecules of a CSV (column `smiles`), SMI or SDF file by its path; None for one molecule."""
        return [record.raw for record in read_records(raw)] if is_molecule_file(raw) else None

    def read(self, raw: Any) -> Mol:
        """Parse and clean a SMILES, an RDKit molecule, or a dict with `smiles`; raise InputError with the reason.

        Salts are stripped and charges neutralised, and the atoms stand in the order of the canonical SMILES, so that
        every spelling of a molecule gets the same answer.
        """
        return read_molecule(raw)

    def features(self, sample: Mol) -> dict[str, NDArray]:
        """Return a molecule's numbers.

        "dnn": `fingerprint` (fingerprint_size,) of uint8, counts of circular substructures (Rogers and Hahn 2010), and
        `descriptors` (descriptors,) of float32, standardised. "mpnn": the same and `graph_features`. "cnn": `tokens`
        (length, spellings) of uint8.
        """
        if self.architecture == "cnn":
            return {"tokens": number_tokens(spellings(sample, self.spellings), self.vocabulary)}
        counts = self._generator().GetCountFingerprintAsNumPy(sample)
        return {
            **(graph_features(sample) if self.architecture == "mpnn" else {}),
            "fingerprint": np.minimum(counts, 255).astype(np.uint8),
            "descriptors": self._standardised(sample),
        }

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Make a batch; `lengths` (batch,) of graphs counts their atoms.

        Of tokens (batch, spellings, length), training takes one spelling a molecule at random.
        """
        batch = super().collate(columns, generator)
        if self.architecture == "mpnn":
            batch["lengths"] = torch.tensor([len(atoms) for atoms in columns["atoms"]])
        if self.architecture != "cnn":
            return batch
        del batch["lengths"]  # the padding token says as much
        tokens = batch["tokens"].mT.long()
        if generator is not None:
            chosen = torch.randint(self.spellings, (len(tokens),), generator=generator)
            tokens = tokens[torch.arange(len(tokens)), chosen][:, None]
        return {**batch, "tokens": tokens}

    def describe(self, sample: Mol) -> str:
        """Name a molecule by its canonical SMILES, which its atoms are counted along."""
        return canonical_smiles(sample)

    def results(self, samples: Sequence[Mol], outputs: ModelOutput, config: MedConfig) -> list[Prediction]:
        """Return each molecule's probabilities, and by how much the answers of the members differ."""
        answers = (outputs["answers"].float() / config.temperature).sigmoid()  # (batch, answers, labels)
        spreads = answers.std(dim=1, correction=0).cpu().numpy()
        rows = zip(samples, self.scores(outputs, config), spreads, strict=True)
        return [
            replace(self.result(sample, scores, config), spread=_named(spread, config))
            for sample, scores, spread in rows
        ]

    def result(self, sample: Mol, scores: NDArray, config: MedConfig) -> ToxicityPrediction:
        """Return the probabilities of one molecule; the scores alone know nothing of the members."""
        plain = super().result(sample, scores, config)
        assert isinstance(plain, MultiLabelPrediction)
        return ToxicityPrediction(input=plain.input, probabilities=plain.probabilities, decisions=plain.decisions)

    def explain(self, model: MedModel, sample: Mol, label: str) -> Explanation:
        """Say which atoms spoke for `label`, by integrated gradients, and draw the molecule with them coloured."""
        from .explanation import explain

        return explain(self, model, sample, label)

    def substructures(self, sample: Mol) -> dict[int, tuple[tuple[int, int], ...]]:
        """Return the substructures in each place of the fingerprint: the atom in the middle, and the radius."""
        from rdkit.Chem.rdFingerprintGenerator import AdditionalOutput

        found = AdditionalOutput()
        found.AllocateBitInfoMap()
        self._generator().GetCountFingerprint(sample, additionalOutput=found)
        return found.GetBitInfoMap()

    def _standardised(self, sample: Mol) -> NDArray[np.float32]:
        values = compute_descriptors(sample, self.descriptors)
        values = np.where(np.isnan(values), self.medians, values)
        scaled = (values - np.array(self.means)) / np.array(self.deviations)
        return scaled.clip(-EXTREME, EXTREME).astype(np.float32)

    def _generator(self) -> Any:
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

        return GetMorganGenerator(radius=self.fingerprint_radius, fpSize=self.fingerprint_size)


def _named(values: NDArray, config: MedConfig) -> dict[str, float]:
    return {config.id2label[index]: float(value) for index, value in enumerate(values)}
