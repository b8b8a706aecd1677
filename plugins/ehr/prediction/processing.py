"""From a patient's record to a series of numbers, and from the model's output to risks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from medhub.errors import InputError
from medhub.processing import Columns, Processor
from medhub.results import Explanation, MultiLabelPrediction

from ..events import BIRTH, VISIT_END, Record
from ..features import HOUR, Series, series
from ..patients import Patient, is_row, read_patient, several_patients
from ..rows import read_rows
from ..scaling import Scaler
from ..statics import Statics
from ..vocabulary import Vocabulary
from .cropping import crop
from .extent import REACH, measure_extent, usual_step
from .normalising import NormalScores
from .results import RiskPrediction

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

    from .config import OutcomePredictionConfig


@dataclass(kw_only=True)
class OutcomePredictionProcessor(Processor):
    """Records in; values, what was seen and the time since out, step by step, and what does not change."""

    scaler: Scaler
    """The variables; among them codes that never have a value, which here have the value 1."""
    normal_scores: NormalScores
    marks: list[str]
    """Those codes."""
    statics: Statics
    window_hours: float
    step_hours: float
    """0: every moment is a step."""
    most_steps: int
    unit_hours: float
    """The length of a step, or the mean time between two: what times are counted in."""
    crop: float
    """Share of the rows that training lets end earlier."""

    RAGGED: ClassVar[tuple[str, ...]] = ("values", "seen", "elapsed")

    def __post_init__(self) -> None:
        if isinstance(self.scaler, dict):  # as JSON gives it
            self.scaler = Scaler(**self.scaler)
        if isinstance(self.normal_scores, dict):
            self.normal_scores = NormalScores(**self.normal_scores)
        if isinstance(self.statics, dict):
            self.statics = Statics(**self.statics)

    @classmethod
    def fit(cls, rows: Dataset, config: OutcomePredictionConfig) -> Self:  # type: ignore[override]
        """Learn variables, scales and steps from the training rows; sets their numbers in `config`.

        Codes of fewer than ten patients are not learnt. Raises LabelError where no code is of so many.
        """
        records, index = read_rows(rows)
        timed = [record.timed_part for record in records]
        codes = {*Vocabulary.fit(timed, keep=_is_variable).codes[: config.most_variables]}
        valued = {code for record in timed for code in record.codes[~np.isnan(record.values)]}
        marks = sorted(codes - valued)
        hours, moments = measure_extent(timed, index)
        window = config.window_hours or float(np.ceil(np.quantile(hours, REACH)))
        step = usual_step(window, moments) if config.step_hours is None else config.step_hours
        marked = [_with_marks(record, {*marks}) for record in timed]
        scaler = Scaler.fit(marked, keep=codes.__contains__)
        processor = cls(
            scaler=scaler, normal_scores=NormalScores.fit(marked, scaler), marks=marks,
            statics=Statics.fit(records, index), window_hours=window, step_hours=step, most_steps=config.most_steps,
            unit_hours=step or float(hours.sum() / moments.sum()) or 1.0, crop=config.crop,
        )  # fmt: skip
        labels = np.array(rows["labels"][:], dtype=float)
        known = ~np.isnan(labels)
        config.variables, config.statics = len(processor.scaler.codes), len(processor.statics.names)
        config.frequencies = (np.nansum(labels, axis=0) / known.sum(axis=0).clip(1)).tolist()
        config.window_hours, config.step_hours = processor.window_hours, processor.step_hours
        return processor

    @property
    def units(self) -> dict[str, str]:
        """The unit that the values of each code must have."""
        pairs = zip(self.scaler.codes, self.scaler.units, strict=True)
        return {code: unit for code, unit in pairs if unit is not None}

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the patients of a file, table or Bundle of several; None for one patient."""
        return several_patients(raw, units=self.units)

    def read(self, raw: Any) -> Patient:
        """Read one patient: a file or folder of events, a FHIR Bundle, a table, a Record, or a row of a data set.

        To ask for an earlier moment than that behind the last event, give {"events": ..., "index": time}. Raises
        InputError where the window before the index time holds nothing that the model knows. In a row it may, for which
        codes are rare is not known before the training rows are.
        """
        sample = read_patient(raw, units=self.units)
        start = sample.index - np.timedelta64(timedelta(hours=self.window_hours))
        sample = replace(sample, record=sample.record.between(start, sample.index))
        if not is_row(raw) and not self._knows(self.marked(sample)):
            raise InputError(
                f"the {self.window_hours:g} hours before {sample.index} hold none of the {len(self.scaler.codes)} "
                f"codes that the model knows, such as {self.scaler.codes[0]}; give a longer history, another index "
                "time, or codes as the training records have them"
            )
        return sample

    def features(self, sample: Patient) -> dict[str, NDArray]:
        """Return a sample's numbers: `statics` (statics,), and of each step and variable (steps, variables) the normal
        scores of the `values`, 0 where missing, whether one was `seen` (uint8), and the time `elapsed` since the last
        one before, in units of a step.
        """
        steps = self.steps(sample)
        return {
            "values": self.normal_scores.transform(steps.values, steps.mask),
            "seen": steps.mask.astype(np.uint8),
            "elapsed": steps.elapsed / np.float32(self.unit_hours),
            "statics": self.statics.vector(sample.record, sample.index),
        }

    def steps(self, sample: Patient) -> Series:
        """Return a sample's last steps; the very last is the index time itself, at which nothing is seen."""
        record = self.marked(sample)
        if not self._knows(record):
            nowhere = np.zeros((1, len(self.scaler.codes)), np.float32)
            return Series(values=nowhere, mask=nowhere, elapsed=nowhere, hours=np.zeros(1, np.float32))
        start = record.start
        assert start is not None  # there is an event
        width = timedelta(hours=self.step_hours) if self.step_hours else None
        found = series(record, self.scaler, start=start, end=sample.index, width=width)
        at_index = np.float32((sample.index - start) / np.timedelta64(1, "us") / HOUR)
        since = at_index - found.hours[-1] + np.where(found.mask[-1] > 0, 0, found.elapsed[-1])
        nothing = np.zeros_like(since)
        last = slice(-self.most_steps, None)
        return Series(
            values=np.vstack([found.values, nothing])[last], mask=np.vstack([found.mask, nothing])[last],
            elapsed=np.vstack([found.elapsed, since])[last], hours=np.append(found.hours, at_index)[last],
        )  # fmt: skip

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Make a batch; in training a share of the series end earlier."""
        if generator is not None and self.crop:
            columns = crop(columns, share=self.crop, generator=generator)
        return super().collate(columns, generator)

    def describe(self, sample: Patient) -> str:
        """Name a patient as the user's own file does."""
        return sample.name

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return a row's outcomes (labels,) as float32, NaN where unknown."""
        return {"labels": np.asarray(row["labels"], dtype=np.float32)}

    def result(self, sample: Patient, scores: NDArray, config: MedConfig) -> RiskPrediction:
        """Return the risks of one patient, and how much of the record they rest on."""
        plain = super().result(sample, scores, config)
        assert isinstance(plain, MultiLabelPrediction)
        record = self.marked(sample)
        record = record.select(record.codes != BIRTH)
        known = self.scaler.find(record) >= 0
        return RiskPrediction(
            input=plain.input, probabilities=plain.probabilities, decisions=plain.decisions,
            index=str(sample.index.astype("datetime64[s]")), hours=self.window_hours, events=len(record),
            unknown_events=int(np.count_nonzero(~known)), changed=sample.changed,
        )  # fmt: skip

    def explain(self, model: MedModel, sample: Patient, label: str) -> Explanation:
        """Say which events raised the risk of `label`, and draw them as a timeline under the risk over time."""
        from .explanation import explain

        return explain(self, model, sample, label)

    def _knows(self, record: Record) -> bool:
        """Whether any event of a marked record is of a variable."""
        return bool((self.scaler.find(record) >= 0).any())

    def marked(self, sample: Patient) -> Record:
        """Return a sample's timed events, in which codes that never have a value have the value 1."""
        return _with_marks(sample.record.timed_part, {*self.marks})


def _is_variable(code: str) -> bool:
    """Whether a code may be a variable: the birth is the age, and the end of a visit says nothing of a patient."""
    return code not in (BIRTH, VISIT_END)


def _with_marks(record: Record, marks: set[str]) -> Record:
    """Return a record in which events of these codes have the value 1."""
    marked = np.fromiter((code in marks for code in record.codes), bool, len(record))
    return replace(record, values=np.where(marked, np.float32(1), record.values))
