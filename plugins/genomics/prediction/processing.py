"""From sequences to a batch, and from the network's logits to labels with their probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import ModelOutput

from medhub.calibration import fit_temperature
from medhub.errors import ConfigError, InputError
from medhub.metrics import METRICS
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation, Prediction
from medhub.sequences.alphabets import ALPHABETS, Alphabet, alphabet_of
from medhub.sequences.fasta import Record, as_records

from .config import SequencePredictionConfig
from .model import IGNORED

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel


@dataclass(kw_only=True)
class SequencePredictionProcessor(Processor):
    """Sequences of one alphabet in, an answer for each of their positions out."""

    alphabet: str
    objective: str
    window: int
    """Positions of the stretch that training takes of a longer sequence."""

    RAGGED: ClassVar[tuple[str, ...]] = ("input_ids", "labels")

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn from the training rows the alphabet and, where their labels are its letters, the objective."""
        assert isinstance(config, SequencePredictionConfig)
        if config.alphabet is None:
            config.alphabet = alphabet_of(rows["input"]).name
        to_learn = [*config.id2label.values()]
        fitting = "next" if to_learn == [*config.letters.letters] else "labels"
        if (config.objective or fitting) != fitting:
            raise ConfigError(
                f"the objective {config.objective!r} does not go with the labels {', '.join(to_learn)}: 'next' learns "
                "the letters of sequences without labels, such as those of the data set flip-proteins"
            )
        config.objective = fitting
        return cls(alphabet=config.alphabet, objective=config.objective, window=config.window)

    @property
    def letters(self) -> Alphabet:
        """The alphabet of the sequences."""
        return ALPHABETS[self.alphabet]

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the records of FASTA that holds several; None for one sequence, in whatever form."""
        records = as_records(raw, alphabet=self.letters)
        return [*records] if len(records) > 1 else None

    def read(self, raw: Any) -> Record:
        """Read one sequence: its letters, a Record, FASTA text or the path of a FASTA file with a single record."""
        records = as_records(raw, alphabet=self.letters)
        if len(records) > 1:
            raise InputError(f"{len(records)} sequences where one is needed; give one, or predict them all")
        return records[0]

    def features(self, sample: Record) -> dict[str, NDArray]:
        """Return the letters' numbers, (length,)."""
        return {"input_ids": self.letters.encode(sample.sequence)}

    def describe(self, sample: Record) -> str:
        """Name a sequence by its record."""
        return sample.name

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return the class number of each position, (length,), IGNORED where it is not scored."""
        if len(row["labels"]) != len(row["input"]):
            raise InputError(f"{len(row['labels'])} labels for {len(row['input'])} letters; give one label a letter")
        return {"labels": np.asarray(row["labels"], dtype=np.int16)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Pad sequences to the longest, and add `lengths`; with a generator, take a random window of longer ones."""
        lengths = [len(letters) for letters in columns["input_ids"]]
        starts = [0] * len(lengths)
        if generator is not None:
            spare = [max(length - self.window, 0) for length in lengths]
            starts = [int(torch.randint(over + 1, (), generator=generator)) for over in spare]
            lengths = [min(length, self.window) for length in lengths]

        def pad(name: str, value: int) -> Tensor:
            parts = zip(columns[name], starts, lengths, strict=True)
            cut = [torch.from_numpy(row[start : start + length].astype(np.int64)) for row, start, length in parts]
            return pad_sequence(cut, batch_first=True, padding_value=value)

        batch = {"input_ids": pad("input_ids", 0), "lengths": torch.tensor(lengths)}
        return {**batch, "labels": pad("labels", IGNORED)} if "labels" in columns else batch

    def truths(self, columns: Columns) -> NDArray:
        """Return each row's class numbers, (length,), IGNORED where a position is not scored."""
        return as_rows([np.asarray(labels) for labels in columns["labels"]])

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return each row's calibrated probabilities, (length, labels)."""
        probabilities = (outputs["logits"].float() / config.temperature).softmax(-1).cpu().numpy()
        return as_rows([row[:length] for row, length in zip(probabilities, outputs["lengths"].tolist(), strict=True)])

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Fit `config.temperature` to the scored positions of the validation rows."""
        probabilities, labels = np.concatenate([*scores]), np.concatenate([*truths])
        scored = labels != IGNORED
        if not scored.any():
            return None
        logits, labels = np.log(probabilities[scored].clip(1e-12)) * config.temperature, labels[scored]
        ece = METRICS["ece"].compute
        before = ece(probabilities[scored], labels)
        config.temperature = fit_temperature(logits, labels)
        after = ece(softmax(logits / config.temperature, axis=1), labels)
        return (
            f"Probabilities were calibrated by a temperature of {config.temperature:.3f}, fitted to the "
            f"{len(labels):,} scored positions of the validation rows: expected calibration error {before:.3f} before, "
            f"{after:.3f} after."
        )

    def result(self, sample: Record, scores: NDArray, config: MedConfig) -> Prediction:
        """Return the labels of a sequence, or, with the objective "next", how likely it is and how it goes on."""
        from .results import LabelledSequence, SequenceLikelihood

        names = tuple(config.id2label[i] for i in range(scores.shape[1]))
        if self.objective == "labels":
            return LabelledSequence.from_probabilities(sample, scores, names=names)
        return SequenceLikelihood.from_probabilities(sample, self.features(sample)["input_ids"], scores, names=names)

    def explain(self, model: MedModel, sample: Record, label: str) -> Explanation:
        """Say which letters spoke for `label` where it is predicted (of "next": as the letter after the last)."""
        from .explanation import explain

        return explain(self, model, sample, label)
