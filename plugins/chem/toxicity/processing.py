"""From a molecule to numbers, and from the model's output to a result with its atoms coloured."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from medhub.explain import integrated_gradients
from medhub.plugins.chem.drawing import draw_atoms
from medhub.plugins.chem.files import is_molecule_file, read_records
from medhub.plugins.chem.molecules import Spelling, atom_names, canonical_smiles, read_molecule, spellings
from medhub.processing import Columns, Processor
from medhub.results import Explanation

from .descriptors import compute_descriptors, descriptor_names

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from medhub.modeling import MedModel

    from .config import ToxicityConfig

TOKEN = re.compile(r"\[[^]]*\]|Br|Cl|%\d\d|.")
"""A bracketed atom, a two-letter element, a ring closure above nine, or any other letter (Schwaller et al. 2019)."""
ATOM = re.compile(r"\[|[A-Za-z*]")
"""What begins a token that is an atom."""
PADDING, UNKNOWN = 0, 1
MOST_TOKENS = 256  # an unsigned byte a token

SAMPLED_ROWS = 1000
"""Training rows whose descriptors are averaged: more would hardly move the mean, and cost milliseconds each."""
EXTREME = 5.0
"""Standard deviations at which a descriptor is cut off."""


@dataclass(kw_only=True)
class ToxicityProcessor(Processor):
    """Molecules in; counts of substructures and descriptors out for "dnn", tokens of SMILES for "cnn"."""

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

    RAGGED: ClassVar[tuple[str, ...]] = ("tokens",)

    @classmethod
    def fit(cls, rows: Dataset, config: ToxicityConfig) -> Self:  # type: ignore[override]
        """Learn the descriptors' scale, or the vocabulary, from the training rows; sets its size in `config`."""
        if config.architecture == "cnn":
            processor = cls(architecture="cnn", spellings=config.spellings)
            processor._fit_vocabulary(rows)
            config.vocabulary_size = len(processor.vocabulary) + 2
        else:
            processor = cls(
                architecture="dnn",
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

    def _fit_vocabulary(self, rows: Dataset) -> None:
        found = Counter(
            token
            for raw in rows["input"]
            for spelling in spellings(self.read(raw), self.spellings)
            for token in TOKEN.findall(spelling.smiles)
        )
        self.vocabulary = sorted(token for token, _ in found.most_common(MOST_TOKENS - 2))

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
        `descriptors` (descriptors,) of float32, standardised. "cnn": `tokens` (length, spellings) of uint8.
        """
        if self.architecture == "cnn":
            return {"tokens": self._tokens(spellings(sample, self.spellings))}
        counts = self._generator().GetCountFingerprintAsNumPy(sample)
        return {"fingerprint": np.minimum(counts, 255).astype(np.uint8), "descriptors": self._standardised(sample)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Make a batch; of tokens (batch, spellings, length), training takes one spelling a molecule at random."""
        batch = super().collate(columns, generator)
        if "tokens" not in batch:
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

    def explain(self, model: MedModel, sample: Mol, label: str) -> Explanation:
        """Say which atoms spoke for `label`, by integrated gradients.

        "dnn": each substructure's attribution, against a molecule that has none, is spread over the atoms it covers.
        What the whole molecule's descriptors say besides stands in the method's name, in units of the logit.
        "cnn": each token's attribution goes to the atom that it is, or that stands before it, in all spellings.
        """
        batch = self.collate(self.stack([self.features(sample)]))
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        index = model.config.label2id[label]
        if self.architecture == "cnn":
            values = self._token_shares(model, sample, batch, index)
            method = "integrated gradients of tokens"
        else:
            values = self._substructure_shares(model, sample, batch, index)
            rest = _descriptor_part(model, batch, index)
            method = f"integrated gradients of substructures; descriptors add {rest:+.2f}"
        return Explanation(
            method=method,
            label=label,
            legend="red atoms raise the score, blue ones lower it",
            values=values,
            parts=atom_names(sample),
            picture=draw_atoms(sample, values),
        )

    def _substructure_shares(self, model: MedModel, sample: Mol, batch: dict[str, Tensor], label: int) -> NDArray:
        """Spread each fingerprint place over its substructures, and each substructure over its atoms: (atoms,)."""
        from rdkit.Chem import GetDistanceMatrix
        from rdkit.Chem.rdFingerprintGenerator import AdditionalOutput

        places = integrated_gradients(model, batch, name="fingerprint", label=label)[0].cpu().numpy()
        found = AdditionalOutput()
        found.AllocateBitInfoMap()
        self._generator().GetCountFingerprint(sample, additionalOutput=found)
        distances = GetDistanceMatrix(sample)
        values = np.zeros(sample.GetNumAtoms())
        for place, substructures in found.GetBitInfoMap().items():
            for centre, radius in substructures:
                covered = distances[centre] <= radius
                values[covered] += places[place] / len(substructures) / covered.sum()
        return values

    def _token_shares(self, model: MedModel, sample: Mol, batch: dict[str, Tensor], label: int) -> NDArray:
        """Add up the attributions of each atom's tokens in all spellings: (atoms,)."""
        embedding = model.get_submodule("network.embedding")
        shares = integrated_gradients(model, batch, name="tokens", label=label, layer=embedding)[0].sum(dim=-1)
        values = np.zeros(sample.GetNumAtoms())
        for share, spelling in zip(shares.cpu().numpy(), spellings(sample, self.spellings), strict=True):
            is_atom = np.array([ATOM.match(token) is not None for token in TOKEN.findall(spelling.smiles)])
            atom_of_token = np.array(spelling.order)[np.cumsum(is_atom) - 1]
            np.add.at(values, atom_of_token, share[: len(atom_of_token)])
        return values

    def _tokens(self, written: list[Spelling]) -> NDArray[np.uint8]:
        """Return the token numbers of several spellings, (length, spellings), padded to the longest."""
        number_of = {token: number for number, token in enumerate(self.vocabulary, start=2)}
        rows = [[number_of.get(token, UNKNOWN) for token in TOKEN.findall(spelling.smiles)] for spelling in written]
        tokens = np.full((max(map(len, rows)), len(rows)), PADDING, dtype=np.uint8)
        for column, row in enumerate(rows):
            tokens[: len(row), column] = row
        return tokens

    def _standardised(self, sample: Mol) -> NDArray[np.float32]:
        values = compute_descriptors(sample, self.descriptors)
        values = np.where(np.isnan(values), self.medians, values)
        scaled = (values - np.array(self.means)) / np.array(self.deviations)
        return scaled.clip(-EXTREME, EXTREME).astype(np.float32)

    def _generator(self) -> Any:
        from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

        return GetMorganGenerator(radius=self.fingerprint_radius, fpSize=self.fingerprint_size)


def _descriptor_part(model: MedModel, batch: dict[str, Tensor], label: int) -> float:
    """Return how far the descriptors alone, without any substructure, move the logit from that of average ones."""
    without = {**batch, "fingerprint": torch.zeros_like(batch["fingerprint"])}
    return float(integrated_gradients(model, without, name="descriptors", label=label).sum())
