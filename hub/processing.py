"""The base of every processor: raw input -> numbers -> batch, and model output -> typed result.

A processor is a dataclass whose fields are JSON: what was learnt from the training rows (a vocabulary, a mean) and what
was chosen (a size). It is saved beside the weights as processor.json, and its hash stands in config.json, so that a
model never runs with another processor than it was trained with.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.errors import ProcessorError, suggest
from medhub.results import ClassPrediction, Explanation, MultiLabelPrediction, Prediction

if TYPE_CHECKING:
    from datasets import Dataset

    from medhub.metrics import Metric
    from medhub.modeling import MedConfig, MedModel

PROCESSOR_FILE = "processor.json"

Columns = Mapping[str, NDArray | Sequence[NDArray]]
"""Prepared features of several examples: one stacked array a column, or a list of arrays where lengths differ."""


@dataclass(kw_only=True)
class Processor(ABC):
    """What stands before and behind the network. A task subclasses it as a dataclass of JSON-able fields."""

    RAGGED: ClassVar[tuple[str, ...]] = ()
    """The features whose first axis differs from input to input; `collate` gets them as lists."""

    @classmethod
    @abstractmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Make the processor for a config, learning what must be learnt from the training rows alone.

        May set fields of `config` that only the data can tell, such as a vocabulary size.
        """

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the raw inputs that one argument stands for (a file of many molecules); None: it is one input."""
        return None

    @abstractmethod
    def read(self, raw: Any) -> Any:
        """Parse one raw input, in any of the forms the task accepts; raise InputError for one that cannot be used."""

    @abstractmethod
    def features(self, sample: Any) -> dict[str, NDArray]:
        """Return a parsed input's numbers by name of the `forward` argument; only the RAGGED ones vary, in length."""

    @abstractmethod
    def describe(self, sample: Any) -> str:
        """Name a parsed input in a result: a SMILES string, a file name."""

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return a row's labels as arrays: a class number as int64, yes-or-no labels as float32, NaN for unknown."""
        labels = np.asarray(row["labels"])
        return {"labels": labels.astype(np.int64 if labels.dtype.kind in "iub" else np.float32)}

    def stack(self, examples: Sequence[Mapping[str, NDArray]]) -> Columns:
        """Turn the features of several inputs into columns: lists of arrays for the ragged ones, else one array."""
        return {
            name: [example[name] for example in examples]
            if name in self.RAGGED
            else np.stack([example[name] for example in examples])
            for name in examples[0]
        }

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Make a batch, the keyword arguments of `forward`.

        Columns of one shape become tensors as they are; columns of differing lengths are padded with zeros to the
        longest, and `lengths` (batch,) is added. A `generator` is given in training only, for augmentation.
        """
        batch: dict[str, Tensor] = {}
        for name, column in columns.items():
            if isinstance(column, np.ndarray):
                batch[name] = torch.from_numpy(column)
            else:
                batch[name] = torch.nn.utils.rnn.pad_sequence(
                    [torch.from_numpy(np.ascontiguousarray(item)) for item in column], batch_first=True
                )
                batch["lengths"] = torch.tensor([len(item) for item in column])
        return batch

    def truths(self, columns: Columns) -> NDArray:
        """Return what metrics compare scores with, first axis the row, from the columns that `targets` made."""
        return as_rows(columns["labels"])

    def metric(self, metric: Metric) -> Metric:
        """Return a metric with what it must know of the training rows, such as how much each label tells."""
        return metric

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Set in `config` what makes scores of the validation rows mean what they say, and say it for the card.

        Asked of tasks without `problem_type`; those with one get a temperature and conformal thresholds, which need no
        knowledge of the task.
        """
        return None

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return what the model says of each row, by default calibrated probabilities (batch, labels).

        A task whose answers differ in shape returns an array of objects, each of which NumPy can turn into an array.
        """
        logits = outputs["logits"].float() / config.temperature
        multi_label = config.problem_type == "multi_label_classification"
        return (logits.sigmoid() if multi_label else logits.softmax(-1)).cpu().numpy()

    def result(self, sample: Any, scores: Any, config: MedConfig) -> Prediction:
        """Return the typed result of one input from its row of `scores`."""
        names = [config.id2label[i] for i in range(len(scores))]
        probabilities = {name: float(score) for name, score in zip(names, scores, strict=True)}
        thresholds = config.conformal_thresholds
        if config.problem_type == "multi_label_classification":
            decisions = None
            if thresholds is not None:
                decisions = {
                    name: _decide(probability, threshold)
                    for (name, probability), threshold in zip(probabilities.items(), thresholds, strict=True)
                }
            return MultiLabelPrediction(input=self.describe(sample), probabilities=probabilities, decisions=decisions)
        possible = None
        if thresholds is not None:
            possible = tuple(name for name, probability in probabilities.items() if probability >= thresholds[0])
        return ClassPrediction(
            input=self.describe(sample), label=names[int(np.argmax(scores))], probabilities=probabilities,
            possible=possible,
        )  # fmt: skip

    def results(self, samples: Sequence[Any], outputs: ModelOutput, config: MedConfig) -> list[Prediction]:
        """Return the typed results of a batch; a task that tells more of the outputs than their scores extends this."""
        pairs = zip(samples, self.scores(outputs, config), strict=True)
        return [self.result(sample, scores, config) for sample, scores in pairs]

    @abstractmethod
    def explain(self, model: MedModel, sample: Any, label: str) -> Explanation:
        """Say which parts of a parsed input spoke for `label`, and draw them over the input."""

    @property
    def sha256(self) -> str:
        """Hash of the processor's class name and fields."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write processor.json into a folder, whole or not at all."""
        path = Path(folder) / PROCESSOR_FILE
        temporary = path.with_suffix(".tmp")
        temporary.write_text(self._json() + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read processor.json from a folder; raise ProcessorError when it is absent or not this class's."""
        path = Path(folder) / PROCESSOR_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ProcessorError(f"{folder} has no {PROCESSOR_FILE}; a model folder needs the one it was trained with"
                                 ) from None  # fmt: skip
        except ValueError as error:
            raise ProcessorError(f"{path} is not JSON: {error}; restore the file from where the model came") from error
        made_by = values.pop("processor", None) if isinstance(values, dict) else None
        if made_by != cls.__name__:
            raise ProcessorError(f"{path} was written by {made_by!r}, but the model's task uses {cls.__name__}")
        known = {f.name for f in fields(cls)}
        for key in values:
            if key not in known:
                raise ProcessorError(f"{path} has an unknown key {key!r}{suggest(key, known)} Keys: {sorted(known)}")
        if missing := sorted(known - values.keys()):
            raise ProcessorError(f"{path} lacks {', '.join(missing)}; restore the file from where the model came")
        return cls(**values)

    def _json(self) -> str:
        return json.dumps({"processor": type(self).__name__, **asdict(self)}, indent=2, sort_keys=True)


def as_rows(values: NDArray | Sequence[Any]) -> NDArray:
    """Return an array whose first axis is the row: of objects, unless the rows are stacked already."""
    if isinstance(values, np.ndarray):
        return values
    rows = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        rows[i] = value
    return rows


def _decide(probability: float, threshold: float) -> str:
    """Return what a binary conformal set says: it holds each answer whose probability reaches the threshold."""
    yes, no = probability >= threshold, 1 - probability >= threshold
    return "uncertain" if yes == no else "yes" if yes else "no"
