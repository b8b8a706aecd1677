"""From sequences and variants to a batch, and from the network's logits to a class with its probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from scipy.special import logit, softmax
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.errors import InputError
from medhub.modeling import MedConfig, MedModel
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation, Prediction
from medhub.sequences.alphabets import ALPHABETS, DNA, Alphabet, alphabet_of
from medhub.sequences.fasta import Record, as_records

from .config import SequenceClassificationConfig
from .results import VariantPrediction
from .variants import Variant, is_vcf, read_variants

NO_LETTERS = np.zeros(0, dtype=np.uint8)


@dataclass(kw_only=True)
class SequenceClassificationProcessor(Processor):
    """Sequences of one alphabet in, or variants with what stands around them; a class out, or a variant's effect."""

    alphabet: str
    window: int
    """Letters of the stretch that training takes of a longer sequence."""
    variant_window: int
    """Letters that are read around a variant: as many as the training sequences have."""

    RAGGED: ClassVar[tuple[str, ...]] = ("input_ids", "alternative_ids")

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn from the training rows the alphabet, and how long sequences are."""
        assert isinstance(config, SequenceClassificationConfig)
        if config.alphabet is None:
            config.alphabet = alphabet_of(rows["input"]).name
        usual = int(np.median([len(sequence) for sequence in rows["input"]]))
        return cls(alphabet=config.alphabet, window=config.window, variant_window=min(usual, config.window))

    @property
    def letters(self) -> Alphabet:
        """The alphabet of the sequences."""
        return ALPHABETS[self.alphabet]

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the variants of a VCF, or the records of FASTA that holds several; None for one input.

        A VCF is given by its path where its header names the reference, or as a dict with `vcf` and `reference`; with
        `number` the dict is one variant of the file, counted from 1.
        """
        if _is_variants(raw) and not (isinstance(raw, dict) and "number" in raw):
            return [*self._variants(raw)]
        if _is_variants(raw) or isinstance(raw, Variant | InputError):
            return None
        records = as_records(raw, alphabet=self.letters)
        return [*records] if len(records) > 1 else None

    def read(self, raw: Any) -> Record | Variant:
        """Read one sequence (its letters, a Record, FASTA with a single record), or one variant.

        A variant is an entry of what `read_variants` returns, or one of a VCF as `inputs` takes it. Raises InputError,
        also for an entry that is an InputError itself: a variant that cannot be scored.
        """
        if isinstance(raw, InputError):
            raise raw
        if isinstance(raw, Variant):
            self._refuse_proteins()
            return raw
        if _is_variants(raw):
            return self.read(_single(self._variants(raw), number=raw.get("number") if isinstance(raw, dict) else None))
        records = as_records(raw, alphabet=self.letters)
        if len(records) > 1:
            raise InputError(f"{len(records)} sequences where one is needed; give one, or predict them all")
        return records[0]

    def features(self, sample: Record | Variant) -> dict[str, NDArray]:
        """Return the letters' numbers, (length,), as `input_ids`; of a variant also those with it in."""
        if isinstance(sample, Variant):
            before, after = (self.letters.encode(sequence) for sequence in (sample.before, sample.after))
            return {"input_ids": before, "alternative_ids": after}
        return {"input_ids": self.letters.encode(sample.sequence)}

    def stack(self, examples: Any) -> Columns:
        """Turn features into columns; where there are variants, sequences get no letters as their alternative."""
        if any("alternative_ids" in example for example in examples):
            examples = [{"alternative_ids": NO_LETTERS, **example} for example in examples]
        return super().stack(examples)

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Pad sequences to the longest, and add `lengths`; training takes a random stretch of those beyond the window.

        Variants come with `alternative_ids` and their own lengths.
        """
        batch: dict[str, Tensor] = {}
        if "labels" in columns:
            batch["labels"] = torch.from_numpy(np.asarray(columns["labels"]))
        if "alternative_ids" in columns:
            batch["alternative_ids"], batch["alternative_lengths"] = _padded(columns["alternative_ids"])
        sequences = columns["input_ids"]
        if generator is not None:
            sequences = [self._stretch(codes, generator) for codes in sequences]
        batch["input_ids"], batch["lengths"] = _padded(sequences)
        return batch

    def describe(self, sample: Record | Variant) -> str:
        """Name a sequence by its record, a variant by its place and alleles."""
        return str(sample) if isinstance(sample, Variant) else sample.name

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return calibrated probabilities (batch, labels); of a variant's row (2, labels), without and with it."""
        scores = super().scores(outputs, config)
        if outputs.get("alternative_logits") is None:
            return scores
        # float64, since a difference of log-odds is wanted, and these run away where a probability is nearly 1
        both = torch.stack([outputs["logits"], outputs["alternative_logits"]], dim=1).double().cpu().numpy()
        pairs = softmax(both / config.temperature, axis=-1)
        has_variant = (outputs["alternative_lengths"] > 0).tolist()
        return as_rows([pair if varies else row for pair, row, varies in zip(pairs, scores, has_variant, strict=True)])

    def result(self, sample: Record | Variant, scores: NDArray, config: MedConfig) -> Prediction:
        """Return the class of a sequence, or the effect of a variant."""
        if not isinstance(sample, Variant):
            return super().result(sample, scores, config)
        names = [config.id2label[i] for i in range(scores.shape[1])]
        changes = np.diff(logit(scores), axis=0)[0]
        told = 1 if len(names) == 2 else int(np.abs(changes).argmax())
        before, after = ({name: float(score) for name, score in zip(names, row, strict=True)} for row in scores)
        return VariantPrediction(
            input=self.describe(sample), chromosome=sample.chromosome, position=sample.position,
            reference=sample.reference, alternative=sample.alternative, label=names[told], score=float(changes[told]),
            reference_probabilities=before, alternative_probabilities=after,
        )  # fmt: skip

    def explain(
        self, model: MedModel, sample: Record | Variant, label: str, *, method: str | None = None
    ) -> Explanation:  # fmt: skip
        """Say which letters spoke for `label`, as a logo; of a variant, those around it without and with it.

        `method` is "in-silico mutagenesis" (the default) or "integrated gradients".
        """
        from .explanation import explain_sequence, explain_variant

        if isinstance(sample, Variant):
            return explain_variant(self, model, sample, label, method=method)
        return explain_sequence(self, model, sample.sequence, label, method=method)

    def _variants(self, raw: Any) -> list[Variant | InputError]:
        self._refuse_proteins()
        vcf, reference = (raw.get("vcf"), raw.get("reference")) if isinstance(raw, dict) else (raw, None)
        if not vcf:
            raise InputError("a dict of variants needs 'vcf', the path of a VCF, and 'reference', that of its FASTA")
        return read_variants(vcf, reference, window=self.variant_window)

    def _refuse_proteins(self) -> None:
        if self.letters is not DNA:
            raise InputError(f"variants are changes of DNA, but the model reads {self.alphabet}; use a model for DNA")

    def _stretch(self, codes: NDArray, generator: torch.Generator) -> NDArray:
        """Return a random stretch of the window's length, or all of a sequence that is no longer."""
        over = len(codes) - self.window
        if over <= 0:
            return codes
        start = int(torch.randint(over + 1, (), generator=generator))
        return codes[start : start + self.window]


def _is_variants(raw: Any) -> bool:
    return is_vcf(raw) or isinstance(raw, dict)


def _single(variants: list[Variant | InputError], *, number: int | None) -> Variant | InputError:
    """Return the variant of a number, or the only one."""
    if number is None and len(variants) > 1:
        raise InputError(f"{len(variants)} variants where one is needed; name its number, or predict them all")
    number = 1 if number is None else number
    if not 1 <= number <= len(variants):
        raise InputError(f"there is no variant {number}; the VCF holds {len(variants)}, counted from 1")
    return variants[number - 1]


def _padded(sequences: Any) -> tuple[Tensor, Tensor]:
    """Return sequences of numbers as (batch, length), padded with 0, and their lengths."""
    codes = [torch.from_numpy(np.ascontiguousarray(codes)) for codes in sequences]
    lengths = torch.tensor([len(row) for row in codes])
    return torch.nn.utils.rnn.pad_sequence(codes, batch_first=True), lengths
