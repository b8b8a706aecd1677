"""From two sequences to a batch, and from probabilities to an alignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import ModelOutput

from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation
from medhub.sequences.alphabets import ALPHABETS, Alphabet

from .calibration import calibrated, fit_calibration
from .config import SequenceAlignmentConfig
from .explanation import dot_plot
from .pairing import Pairing, partners_of
from .reading import SequencePair, read_pair, spread_pairs

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

    from .model import SequenceAlignmentModel
    from .results import AlignmentPrediction


@dataclass(kw_only=True)
class SequenceAlignmentProcessor(Processor):
    """Pairs of sequences in, alignments out."""

    alphabet: str
    mode: str

    RAGGED: ClassVar[tuple[str, ...]] = ("first", "second", "labels")

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Take over the alphabet and the mode: nothing is learnt from the rows."""
        assert isinstance(config, SequenceAlignmentConfig)
        return cls(alphabet=config.alphabet, mode=config.mode)

    @property
    def letters(self) -> Alphabet:
        """The alphabet."""
        return ALPHABETS[self.alphabet]

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the pairs of a FASTA file or text of more than two records; see `spread_pairs`."""
        return spread_pairs(raw, alphabet=self.letters)

    def read(self, raw: Any) -> SequencePair:
        """Read a pair in any form that `read_pair` takes; raise InputError for one that cannot be used."""
        return read_pair(raw, alphabet=self.letters)

    def features(self, sample: SequencePair) -> dict[str, NDArray]:
        """Return both sequences as numbers, (length,) each."""
        return {name: self.letters.encode(getattr(sample, name).sequence) for name in ("first", "second")}

    def describe(self, sample: SequencePair) -> str:
        """Name both sequences."""
        return f"{sample.first.name} and {sample.second.name}"

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return the columns that are known, (columns, 2)."""
        return {"labels": np.array(row["labels"], dtype=np.int64).reshape(-1, 2)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Pad sequences with 0 and known columns with -1; `lengths` (batch, 2) are those of the sequences."""
        batch = {name: _padded(columns[name], 0) for name in ("first", "second")}
        sizes = zip(columns["first"], columns["second"], strict=True)
        batch["lengths"] = torch.tensor([(len(first), len(second)) for first, second in sizes])
        if "labels" in columns:
            batch["labels"] = _padded(columns["labels"], -1)
        return batch

    def truths(self, columns: Columns) -> NDArray:
        """Return each row's known columns as a Pairing, with their identity."""
        truths = []
        for first, second, pairs in zip(columns["first"], columns["second"], columns["labels"], strict=True):
            same = first[pairs[:, 0]] == second[pairs[:, 1]]
            identity = float(same.mean()) if len(pairs) else float("nan")
            truths.append(Pairing.certain(partners_of(pairs, len(first)), identity=identity))
        return as_rows(truths)

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return each row's Pairing, in the length of the batch's longest sequence at most."""
        assert isinstance(config, SequenceAlignmentConfig)
        partners, posteriors, lengths, score = (
            outputs[name].cpu().numpy() for name in ("partners", "posteriors", "lengths", "score")
        )
        return as_rows([
            Pairing(
                partners=partners[row, :length], posteriors=posteriors[row, :length],
                confidence=calibrated(posteriors[row, :length], config.calibration), score=float(score[row]),
            )
            for row, length in enumerate(lengths[:, 0])
        ])  # fmt: skip

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Fit `config.calibration` to the columns of the validation pairs."""
        assert isinstance(config, SequenceAlignmentConfig)
        fitted = fit_calibration(scores, truths)
        if fitted is None:
            return None
        config.calibration = fitted
        return (
            f"The probability of a column was fitted to the columns of the {len(scores):,} validation pairs (Platt "
            f"scaling: logit times {fitted[0]:.2f}, plus {fitted[1]:.2f})."
        )

    def result(self, sample: SequencePair, scores: Pairing, config: MedConfig) -> AlignmentPrediction:
        """Return the alignment, of the region between its first and last column where the mode is local."""
        from .results import AlignmentPrediction

        return AlignmentPrediction.from_pairing(sample, scores, local=self.mode == "local", alphabet=self.alphabet)

    def explain(self, model: MedModel, sample: SequencePair, label: str) -> Explanation:
        """Draw the probability of every pair of residues. There is one label: sharing a column."""
        batch = self.collate(self.stack([self.features(sample)]))
        with torch.inference_mode():
            _, columns = cast("SequenceAlignmentModel", model).posteriors(
                **{name: tensor.to(model.device) for name, tensor in batch.items()}
            )
        return dot_plot(columns[0].cpu().numpy(), sample, label=label)


def _padded(rows: Any, value: int) -> Tensor:
    tensors = [torch.from_numpy(np.asarray(row, dtype=np.int64)) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=value)
