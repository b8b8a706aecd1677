"""What a clustering returns: the group of a patient, how like its profile the patient is, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from medhub.pictures import percentage
from medhub.results import Prediction

from .config import PatientClusteringConfig
from .placement import Placement

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_TRAITS = 10
"""Inputs by which groups are told apart in a result."""


@dataclass(frozen=True, kw_only=True)
class Trait:
    """An input in which groups differ, in deviations from the mean of all patients."""

    name: str
    groups: dict[str, float]
    """The mean of each group's patients, but of groups of few."""
    patient: float | None
    """This patient's; None where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A group on the map: its middle, and how far its patients lie around it."""

    name: str
    middle: tuple[float, float]
    deviations: tuple[float, float]
    correlation: float


@dataclass(frozen=True, kw_only=True)
class GroupPrediction(Prediction):
    """The group that a patient belongs to."""

    group: str
    probabilities: dict[str, float]
    share: float | None
    """Of the validation patients that are of this group; None for a model that was not calibrated, as of the rest."""
    traits: tuple[Trait, ...]
    """In what the groups differ most."""
    place: tuple[float, float] | None
    """Where on the map the patient lies."""
    regions: tuple[Region, ...] = field(repr=False)
    changed: dict[str, int] = field(default_factory=dict)
    """What was wrong with the events that were read, by reason."""

    @classmethod
    def from_placement(
        cls,
        name: str,
        placement: Placement,
        known: NDArray[np.floating],
        config: PatientClusteringConfig,
        *,
        names: list[str],
        changed: dict[str, int],
    ) -> Self:
        """Make the result of a patient whose inputs are `known` (inputs,), NaN where they are not."""
        labels = [config.id2label[number] for number in range(len(placement.probabilities))]
        number = int(placement.probabilities.argmax())
        profiles = {
            label: profile
            for label, profile in zip(labels, config.profiles or [None] * len(labels), strict=True)
            if profile is not None
        }
        place = None if config.plane is None else np.array(config.plane) @ placement.latent
        return cls(
            input=name,
            group=labels[number],
            probabilities={label: float(p) for label, p in zip(labels, placement.probabilities, strict=True)},
            share=config.shares[number] if config.shares else None,
            traits=_traits(profiles, known, names) if profiles else (),
            place=None if place is None else (float(place[0]), float(place[1])),
            regions=tuple(
                Region(name=label, middle=(r[0], r[1]), deviations=(r[2], r[3]), correlation=r[4])
                for label, r in zip(labels, config.regions or [None] * len(labels), strict=True)
                if r is not None
            ),
            changed=changed,
        )

    def title(self) -> str:
        """Say the group and its probability."""
        share = "" if self.share is None else f", as are {percentage(self.share)} of the patients"
        return f"{self.input}: {self.group} ({percentage(self.probabilities[self.group])}){share}"

    def certainty(self) -> str:
        """Say how clearly the patient is of the group; the model has no rule by which it would not decide."""
        others = {name: value for name, value in self.probabilities.items() if name != self.group}
        if not others:
            return ""
        second = max(others, key=others.__getitem__)
        said = f"the next is {second} ({percentage(others[second])}). The model always names a group."
        if self.probabilities[self.group] > sum(others.values()):
            return f"The group is likelier than all others together; {said}"
        return f"The patient lies between groups: none is likelier than all others together; {said}"

    def bars(self) -> dict[str, float]:
        """Return the probability of each group."""
        return self.probabilities

    def picture(self) -> Image | None:
        """Draw the map of the groups with the patient in it, and beside it what each group is like."""
        if self.place is None:
            return None
        from .drawing import draw_map

        return draw_map(self)


def _traits(profiles: dict[str, list[float]], known: NDArray[np.floating], names: list[str]) -> tuple[Trait, ...]:
    """Return the inputs in which the groups' means lie farthest apart, one a code, and there the patient's."""
    spread = np.ptp(np.array([*profiles.values()]), axis=0)
    first: dict[str, int] = {}
    for at in np.argsort(-spread, kind="stable").tolist():
        first.setdefault(names[at].partition(", ")[0], at)
    return tuple(
        Trait(
            name=names[at],
            groups={label: profile[at] for label, profile in profiles.items()},
            patient=None if np.isnan(known[at]) else float(known[at]),
        )
        for at in [*first.values()][:MOST_TRAITS]
    )
