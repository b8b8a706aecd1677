"""Whether groups hold up: how far apart they lie, whether they are found again, and what they tell of the patients.

Scores are Placements. Targets are (patients, 3): the number of the external label (NaN: unknown), the days until death
or the end of follow-up (NaN: not followed), and 1 for a death. Distances in the input space compare all models alike;
those in the latent space are each model's own, and the more it squeezes that space the better they look.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples

from medhub.metrics import Metric

from .agreement import adjusted_rand, shared_information
from .choosing import refit
from .placement import column, groups_of, place
from .survival import log_rank_p

REFITS = 20
"""Bootstrap samples of the patients in which groups are sought again."""
NAN = float("nan")


def _silhouettes(space: str, scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
    """Return the silhouette of each patient (Rousseeuw 1987) among all that were given."""
    groups = groups_of(scores)
    if not 1 < len(np.unique(groups)) < len(groups):
        return (np.full(len(groups), np.nan),)
    return (silhouette_samples(column(scores, space), groups),)


def _places(space: str, scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
    return groups_of(scores), column(scores, space)


def _davies_bouldin(groups: NDArray, points: NDArray) -> float:
    """Return how wide groups are beside the distance of their centres (Davies and Bouldin 1979)."""
    present, number_of = np.unique(groups, return_inverse=True)
    if not 1 < len(present) < len(groups):
        return NAN
    member = np.eye(len(present))[number_of]
    centres = member.T @ points / member.sum(0)[:, None]
    widths = member.T @ np.linalg.norm(points - centres[number_of], axis=1) / member.sum(0)
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(((widths[:, None] + widths) / distances).max(1).mean())


def _refits(scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
    """Return each patient's group, and those of groups fitted anew, in the latent space, to samples of the patients."""
    groups = groups_of(scores)
    points = column(scores, "latent")
    count = len(scores[0].probabilities)
    if len(np.unique(points, axis=0)) < count:
        return groups, np.zeros((len(groups), REFITS), int)
    return groups, refit(points, count, samples=REFITS, seed=0, mixture=scores[0].mixture)


def _agreement(groups: NDArray, again: NDArray) -> float:
    """Return the mean adjusted Rand index of the groups with those found anew."""
    return float(np.mean([adjusted_rand(groups, other) for other in again.T]))


def _labelled(scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
    return groups_of(scores), targets[:, 0]


def _information(groups: NDArray, labels: NDArray) -> float:
    """Return the information that groups and labels share, NaN where there is but one label."""
    known = ~np.isnan(labels)
    numbers = labels[known].astype(int)
    return shared_information(groups[known], numbers) if len(np.unique(numbers)) > 1 else NAN


def _followed(scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
    return groups_of(scores), targets[:, 1], targets[:, 2]


def _log_rank(groups: NDArray, days: NDArray, died: NDArray) -> float:
    known = ~np.isnan(days)
    return log_rank_p(days[known], died[known] == 1, groups[known])


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("stability", _agreement, best=1.0, prepare=_refits),
        Metric("silhouette", np.mean, best=1.0, prepare=partial(_silhouettes, "inputs")),
        Metric("davies_bouldin", _davies_bouldin, best=0.0, higher_is_better=False, prepare=partial(_places, "inputs")),
        Metric("nmi", _information, best=1.0, prepare=_labelled),
        Metric("logrank_p", _log_rank, best=0.0, higher_is_better=False, prepare=_followed),
        Metric("latent_silhouette", np.mean, best=1.0, prepare=partial(_silhouettes, "latent")),
        Metric("latent_davies_bouldin", _davies_bouldin, best=0.0, higher_is_better=False,
               prepare=partial(_places, "latent")),
    )
}  # fmt: skip


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return placements in which each label is a group of its own, and all patients of a group are alike."""
    known = np.unique(targets[:, 0])
    corners = np.eye(len(known))[np.searchsorted(known, targets[:, 0])]
    return place(corners, corners, corners)
