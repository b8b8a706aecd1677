"""From a patient's record to visits in numbers, and from the model's output to the drugs to recommend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from scipy.special import expit, logit
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.calibration import fit_temperature
from medhub.errors import ConfigError, InputError
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation

from ..events import Record, Time
from ..patients import Patient, is_row, read_patient, several_patients
from ..rows import from_input
from ..statics import Statics
from .choices import Choices
from .encoding import VisitEncoder, after_findings
from .interactions import Interaction, among, pair_matrix, read_interactions
from .metrics import Truth, interaction_rate
from .results import Recommendation

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

    from .config import RecommendationConfig

SURE = 1e-6
"""How near 0 and 1 probabilities may come before their odds are taken."""


@dataclass(kw_only=True)
class RecommendationProcessor(Processor):
    """Records in, visit by visit; a probability for each drug and a set of drugs out."""

    encoder: VisitEncoder
    statics: Statics
    sets: list[list[int]]
    """The sets that may be recommended, by the drugs' numbers."""
    interactions: list[Interaction]
    objective: str
    most_visits: int

    RAGGED: ClassVar[tuple[str, ...]] = ("visits",)

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = {"encoder": VisitEncoder, "statics": Statics}
        for name, kind in kinds.items():
            if isinstance(found := getattr(self, name), dict):  # as JSON gives it
                setattr(self, name, kind(**found))
        self.interactions = [
            Interaction(drugs=tuple(pair["drugs"]), note=pair["note"]) if isinstance(pair, dict) else pair
            for pair in self.interactions
        ]

    @classmethod
    def fit(cls, rows: Dataset, config: RecommendationConfig) -> Self:  # type: ignore[override]
        """Learn codes, scales and sets of drugs from the training rows; sets their numbers in `config`.

        What fewer than ten patients have is not learnt. Raises ConfigError for an objective that the rows do not allow.
        """
        drugs = tuple(config.id2label.values())
        records, index = _latest(rows)
        labels = rows["labels"][:]
        objective = _objective(config, [label["outcome"] for label in labels])
        given = np.array([label["given"] for label in labels], np.float32)
        processor = cls(
            encoder=VisitEncoder.fit(records, drugs=drugs),
            statics=Statics.fit(records, index),
            # of a trial only what was tried may be recommended
            sets=Choices.fit(given, rows["group"][:], singles=objective == "given").lists(),
            interactions=_interactions(config, drugs),
            objective=objective,
            most_visits=config.most_visits,
        )
        config.objective, config.sets = processor.objective, processor.sets
        config.visit_size, config.statics = len(processor.encoder.names), len(processor.statics.names)
        config.interaction_table = None  # a path says something of the machine, and is not there on another
        config.interactions = np.argwhere(np.triu(processor.conflicts)).tolist()
        return processor

    @property
    def drugs(self) -> tuple[str, ...]:
        """The drugs' codes, in the order of the labels."""
        return self.encoder.drugs

    @property
    def choices(self) -> Choices:
        """The sets that may be recommended."""
        return Choices.of(self.sets, drugs=len(self.drugs))

    @property
    def conflicts(self) -> NDArray[np.float32]:
        """Which drugs interact, (drugs, drugs) of 0 and 1."""
        return pair_matrix(self.interactions, self.drugs)

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the patients of a file or table of several; None for one patient."""
        return several_patients(raw, units=self.encoder.units)

    def read(self, raw: Any) -> Patient:
        """Read one patient: a file or folder of events, a FHIR Bundle, a table, a Record, or a row of a data set.

        The coming visit is the last one as long as no drug was given in it, else one of which nothing is known yet.
        Raises InputError for a record without an event that the model knows.
        """
        sample = read_patient(raw, units=self.encoder.units)
        if not is_row(raw):
            sample = replace(sample, record=after_findings(sample.record))
        events = len(sample.events)
        if events == self.encoder.unknown(sample.events):
            raise InputError(
                f"{sample.name}: the model knows none of the {events} codes; it knows codes such as "
                f"{', '.join(self.encoder.vocabulary.codes[:3])}"
            )
        return sample

    def features(self, sample: Patient) -> dict[str, NDArray]:
        """Return `visits` (visits, visit_size) of float16, the coming one last, and `statics` (statics,) of float32."""
        return {
            "visits": self.encoder.encode(self.split(sample)),
            "statics": self.statics.vector(sample.record, sample.index),
        }

    def split(self, sample: Patient) -> list[Record]:
        """Return the visits that are read, the coming one last."""
        return self.encoder.split(sample.record)[-self.most_visits :]

    def describe(self, sample: Patient) -> str:
        """Name a patient as the user's own file does."""
        return sample.name

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return which drugs were given (drugs,), how the patient fared and how probable the treatment was, float32."""
        label = row["labels"]
        return {
            "labels": np.asarray(label["given"], np.float32),
            "outcome": np.asarray(label["outcome"], np.float32),
            "propensity": np.asarray(label["propensity"], np.float32),
        }

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Make a batch; the propensity is for evaluation alone."""
        return super().collate({name: column for name, column in columns.items() if name != "propensity"}, generator)

    def truths(self, columns: Columns) -> NDArray:
        """Return each row's Truth."""
        conflicts = self.conflicts
        parts = (columns[name] for name in ("labels", "outcome", "propensity"))
        return as_rows([
            Truth(given=given, outcome=float(outcome), propensity=float(propensity), conflicts=conflicts)
            for given, outcome, propensity in zip(*parts, strict=True)
        ])  # fmt: skip

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return (batch, 2, drugs): the probability of each drug, and the recommended set as 0 and 1.

        With the objective "outcome" a drug's probability is that of faring well with the best set that it is in.
        """
        logits, choices = outputs["logits"].double().cpu(), self.choices
        if self.objective == "outcome":
            chances = logits.sigmoid().numpy()
            drugs = np.where(choices.sets[None] > 0, chances[..., None], 0).max(1)
            return np.stack([drugs, choices.sets[chances.argmax(1)]], axis=1)
        distribution = logits.softmax(1).numpy()
        return np.stack([_cooled(choices.marginals(distribution), config), choices.decide(distribution)], axis=1)

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Fit `config.temperature` to the drugs of the validation rows, and say which share of the pairs interacts."""
        said = ""
        if self.interactions:
            given, recommended = (interaction_rate(sets, self.conflicts) for sets in (_given(truths), scores[:, 1]))
            said = (
                f"Of the pairs of drugs that were given in the validation rows {given:.1%} interact, of those that are "
                f"recommended {recommended:.1%}, by a table of {len(self.interactions)} interacting pairs."
            )
        if self.objective == "given":
            odds = logit(scores[:, 0].clip(SURE, 1 - SURE)) * config.temperature
            config.temperature = fit_temperature(odds, _given(truths))
            fitted = f"The probabilities of the drugs were calibrated by a temperature of {config.temperature:.3f}."
            said = f"{fitted} {said}".rstrip()
        return said or None

    def result(self, sample: Patient, scores: NDArray, config: MedConfig) -> Recommendation:
        """Return the drugs to recommend, what among them interacts, and how much of the record was known."""
        recommended = tuple(drug for drug, chosen in zip(self.drugs, scores[1], strict=True) if chosen)
        *earlier, _ = self.split(sample)
        last = {*earlier[-1].codes} if earlier else set()
        inside = among(self.interactions, recommended)
        around = among(self.interactions, {*recommended, *last & {*self.drugs}})
        return Recommendation(
            input=self.describe(sample),
            recommended=recommended,
            probabilities={drug: float(value) for drug, value in zip(self.drugs, scores[0], strict=True)},
            objective=self.objective,
            interactions=inside,
            with_last=tuple(pair for pair in around if {*pair.drugs} & {*recommended} and pair not in inside),
            visits=len(earlier),
            events=len(sample.events),
            unknown_events=self.encoder.unknown(sample.events),
            changed=sample.changed,
        )

    def explain(self, model: MedModel, sample: Patient, label: str) -> Explanation:
        """Say what in which visit spoke for the drug `label`, and draw it visit by visit."""
        from .explanation import explain

        return explain(self, model, sample, label)


def _latest(rows: Dataset) -> tuple[list[Record], list[Time]]:
    """Return of each patient the record of the latest row, which holds the others', and its index time."""
    latest: dict[str, tuple[Record, Time]] = {}
    for raw, group in zip(rows["input"], rows["group"], strict=True):
        record, index = from_input(raw)
        if group not in latest or index > latest[group][1]:
            latest[group] = (replace(record, subject=len(latest)), index)
    return [record for record, _ in latest.values()], [index for _, index in latest.values()]


def _interactions(config: RecommendationConfig, drugs: tuple[str, ...]) -> list[Interaction]:
    """Return the pairs of the user's table; without one, those that the config has from an earlier one."""
    if config.interaction_table is not None:
        return read_interactions(config.interaction_table, drugs)
    return [Interaction(drugs=(drugs[first], drugs[second])) for first, second in config.interactions]


def _objective(config: RecommendationConfig, outcomes: list[float | None]) -> str:
    known = [value is not None and not np.isnan(value) for value in outcomes]
    if config.objective == "outcome" and not all(known):
        raise ConfigError(
            f"{len(known) - sum(known)} of {len(known)} training rows have no outcome, which the objective 'outcome' "
            "learns; use 'given'"
        )
    return config.objective or ("outcome" if all(known) else "given")


def _cooled(probabilities: NDArray[np.floating], config: MedConfig) -> NDArray[np.floating]:
    """Divide the log-odds of each drug by the temperature."""
    return expit(logit(probabilities.clip(SURE, 1 - SURE)) / config.temperature)


def _given(truths: NDArray) -> NDArray[np.float32]:
    return np.stack([truth.given for truth in truths])
