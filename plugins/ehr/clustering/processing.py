"""From a patient's events to numbers, and from the model's output to a group with its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from transformers.utils import ModelOutput

from medhub.errors import InputError, LabelError
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation

from ..features import series
from ..patients import Patient, is_row, read_patient, several_patients
from ..rows import read_rows
from .choosing import RESTARTS, try_groups
from .config import PatientClusteringConfig
from .placement import Placement, place
from .profile import Profile

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

    from .results import GroupPrediction

HOURS_A_DAY = 24.0


@dataclass(kw_only=True)
class PatientClusteringProcessor(Processor):
    """Records in; summaries and, for "gru", series out."""

    profile: Profile
    reads_series: bool
    step_hours: float | None
    groups: int
    """How many groups there are."""
    candidates: list[dict[str, float]] = field(default_factory=list)
    """What speaks for each number of groups that was tried."""
    components: list[list[float]] = field(default_factory=list)
    """Principal components of the training rows' inputs, (width, inputs)..."""
    centres: list[list[float]] = field(default_factory=list)
    """...and k-means's centres in their space, (groups, width): where the groups of a network begin, largest first."""
    outcomes: list[str] = field(default_factory=list)
    """The external labels of the training rows, in the order of the alphabet."""

    RAGGED: ClassVar[tuple[str, ...]] = ("steps",)

    def __post_init__(self) -> None:
        if isinstance(self.profile, dict):  # as JSON gives it
            self.profile = Profile(**self.profile)

    @classmethod
    def fit(cls, rows: Dataset, config: PatientClusteringConfig) -> Self:  # type: ignore[override]
        """Learn the inputs' scales and how many groups there are; sets sizes and the groups' names in `config`."""
        records, index = read_rows(rows)
        profile = Profile.fit(records, index)
        inputs = np.nan_to_num([profile.vector(record, at) for record, at in zip(records, index, strict=True)])
        width = min(config.latent_size, *inputs.shape)
        axes = PCA(width, svd_solver="full").fit(inputs).components_
        points = inputs @ axes.T
        candidates = try_groups(points)
        if not candidates:
            raise LabelError(
                f"the {len(rows)} patients are too few or too much alike for two groups; give more patients"
            )
        groups = config.groups or max(candidates, key=lambda candidate: candidate.worth).groups
        processor = cls(
            profile=profile, reads_series=config.reads_series, step_hours=config.step_hours, groups=groups,
            candidates=[{"groups": c.groups, "stability": c.stability, "silhouette": c.silhouette} for c in candidates],
            components=axes.tolist(), centres=_centres(points, groups).tolist(),
            outcomes=sorted({labels["label"] for labels in rows["labels"] if labels["label"] is not None}),
        )  # fmt: skip
        config.inputs, config.timeless = len(profile.columns), profile.timeless
        config.variables = len(profile.scaler.codes) if profile.scaler else 0
        if config.reads_series and not config.variables:
            raise LabelError('the patients have no values, of which "gru" reads a series; take encoder="dense"')
        config.groups = groups
        config.id2label = {number: f"group {number + 1}" for number in range(groups)}
        config.label2id = {name: number for number, name in config.id2label.items()}
        return processor

    def inputs(self, raw: Any) -> list[Any] | None:
        """Return the patients of a file, a folder, or a table of several; None for one patient."""
        return several_patients(raw, units=self.profile.units)

    def read(self, raw: Any) -> Patient:
        """Read one patient: the path of a file with events, a FHIR Bundle, a table, a Record, or a row's input.

        Raises InputError where none of the events is an input of the model. In a row there may be none, for which codes
        are rare is not known before the training rows are.
        """
        sample = read_patient(raw, units=self.profile.units)
        if not is_row(raw) and not self.profile.knows(sample.record):
            raise InputError(
                f"{sample.name} has no value or code that the model knows; see the inputs in processor.json"
            )
        return sample

    def features(self, sample: Patient) -> dict[str, NDArray]:
        """Return a patient's numbers.

        `inputs` (inputs,) are float32 in deviations, 0 where unknown, `known` (inputs,) is 1 where they are known,
        `start` () is the group to begin with; for "gru" also `steps` (length, 3 * variables): value, whether there is
        one, and the logarithm of the days since the last.
        """
        vector = self.profile.vector(sample.record, sample.index)
        inputs = np.nan_to_num(vector)
        place = inputs @ np.array(self.components).T
        start = ((place - np.array(self.centres)) ** 2).sum(-1).argmin()
        found = {"inputs": inputs, "known": (~np.isnan(vector)).astype(np.float32), "start": np.array(start)}
        return {**found, "steps": self._steps(sample)} if self.reads_series else found

    def _steps(self, sample: Patient) -> NDArray[np.float32]:
        assert self.profile.scaler is not None
        start = sample.record.start
        if start is None:
            raise InputError(f"{sample.name} has no event with a time before {sample.index}; the model reads a series")
        width = None if self.step_hours is None else timedelta(hours=self.step_hours)
        found = series(sample.record, self.profile.scaler, start=start, end=sample.index, width=width)
        elapsed = np.log1p(found.elapsed / HOURS_A_DAY)
        return np.concatenate([found.values, found.mask, elapsed], axis=1).astype(np.float32)

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return the external label's number, the days of follow-up, and 1 if it ended in death; NaN where unknown."""
        labels = row["labels"]
        number = self.outcomes.index(labels["label"]) if labels["label"] in self.outcomes else np.nan
        days, died = (np.nan if labels[name] is None else labels[name] for name in ("days", "died"))
        return {"labels": np.array([number, days, died], np.float32)}

    def truths(self, columns: Columns) -> NDArray:
        """Return the targets, (rows, 3)."""
        return np.stack([*as_rows(columns["labels"])])

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return each row's Placement."""
        assert isinstance(config, PatientClusteringConfig)
        probabilities = outputs["logits"].float().softmax(-1)
        arrays = (array.float().cpu().numpy() for array in (probabilities, outputs["latent"], outputs["inputs"]))
        return place(*arrays, mixture=config.clusters == "mixture")

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Describe the groups by the validation patients, in `config` and in words."""
        from .description import describe_groups

        assert isinstance(config, PatientClusteringConfig)
        return describe_groups(
            scores, truths, config, names=self.profile.names, outcomes=self.outcomes, candidates=self.candidates
        )

    def result(self, sample: Patient, scores: Placement, config: MedConfig) -> GroupPrediction:
        """Return the group, with where the patient lies among the groups."""
        from .results import GroupPrediction

        assert isinstance(config, PatientClusteringConfig)
        known = self.profile.vector(sample.record, sample.index)
        return GroupPrediction.from_placement(
            self.describe(sample), scores, known, config, names=self.profile.names, changed=sample.changed
        )

    def describe(self, sample: Patient) -> str:
        """Name a patient as the file does."""
        return sample.name

    def explain(self, model: MedModel, sample: Patient, label: str) -> Explanation:
        """Say which of the inputs put the patient into the group `label` and not into another."""
        from .explanation import explain

        return explain(self, model, sample, label)


def _centres(points: NDArray[np.floating], groups: int) -> NDArray[np.floating]:
    """Return k-means's centres, that of the largest group first."""
    found = KMeans(groups, n_init=RESTARTS, random_state=0).fit(points)
    return found.cluster_centers_[np.argsort(-np.bincount(found.labels_, minlength=groups), kind="stable")]
