"""What the groups are like: their sizes, profiles and survival, and where they lie, told from validation patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .choosing import FEWEST
from .config import PatientClusteringConfig
from .placement import column, groups_of
from .survival import log_rank, log_rank_p, survival_at

MOST_TRAITS = 3
"""Inputs by which the card tells a group from the others."""
DIGITS = 3
"""Decimals of what is stored: figures of groups, and no more of a single patient than that."""


def describe_groups(
    scores: NDArray,
    truths: NDArray,
    config: PatientClusteringConfig,
    *,
    names: Sequence[str],
    outcomes: Sequence[str],
    candidates: Sequence[dict[str, float]],
) -> str:
    """Set shares, profiles, plane and regions of the groups in `config`, and return a paragraph for the card.

    `names` are those of the inputs, `outcomes` those of the external labels, and `candidates` what the processor tried.
    Of a group of fewer than FEWEST patients only the share is told.
    """
    groups, inputs, latent = groups_of(scores), column(scores, "inputs"), column(scores, "latent")
    count = len(config.id2label)
    members = [np.flatnonzero(groups == number) for number in range(count)]
    plane = _plane(latent, members)
    flat = latent @ plane.T
    config.shares = [round(len(rows) / len(groups), DIGITS) for rows in members]
    config.profiles = [inputs[rows].mean(0).round(DIGITS).tolist() if len(rows) >= FEWEST else None for rows in members]
    config.plane = plane.round(6).tolist()
    config.regions = [_region(flat[rows]) if len(rows) >= FEWEST else None for rows in members]
    chosen = next((each for each in candidates if each["groups"] == count), None)
    parts = [f"There are {count} groups"]
    if chosen is not None:
        parts[0] += (f" (of 2 to {candidates[-1]['groups']:.0f} tried; on the training rows' principal components, "
                     f"stability {chosen['stability']:.2f}, silhouette {chosen['silhouette']:.2f})")  # fmt: skip
    parts.append(f"Of the {len(groups):,} validation patients: " + "; ".join(
        _tell(config.id2label[number], rows, truths, share=share, traits=_traits(profile, names), outcomes=outcomes)
        for number, (rows, share, profile) in enumerate(zip(members, config.shares, config.profiles, strict=True))
    ))  # fmt: skip
    followed = ~np.isnan(truths[:, 1])
    statistic, freedom = log_rank(truths[followed, 1], truths[followed, 2] == 1, groups[followed])
    if freedom:
        p = log_rank_p(truths[followed, 1], truths[followed, 2] == 1, groups[followed])
        said = "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"
        parts.append(f"Survival by group: log-rank chi square {statistic:.1f}, {freedom} degrees of freedom, {said}")
    return ". ".join(parts) + "."


def _plane(latent: NDArray[np.float64], members: Sequence[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Return two directions (2, width) in which the groups' centres lie farthest apart, and then the patients."""
    centres = np.stack([latent[rows].mean(0) for rows in members if len(rows)])
    centred = centres - centres.mean(0)
    between = np.linalg.svd(centred, full_matrices=False)[2] if len(centres) > 1 else np.zeros((0, latent.shape[1]))
    between = between[: min(len(centres) - 1, 2)]
    rest = latent - latent.mean(0)
    rest = rest - rest @ between.T @ between
    directions = np.concatenate([between, np.linalg.svd(rest, full_matrices=False)[2]])[:2]
    return directions * np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])[:, None]


def _region(flat: NDArray[np.float64]) -> list[float]:
    """Return mean (2), deviations (2) and correlation of places in the plane (patients, 2)."""
    deviations = flat.std(0).clip(1e-6)
    correlation = ((flat - flat.mean(0)) / deviations).prod(1).mean()
    return [round(float(value), DIGITS) for value in (*flat.mean(0), *deviations, correlation)]


def _traits(profile: Sequence[float] | None, names: Sequence[str]) -> list[str]:
    """Return the inputs in which a group is farthest from the mean, in deviations; one a code."""
    first: dict[str, str] = {}
    for at in np.argsort(-np.abs(profile or []), kind="stable").tolist():
        assert profile is not None
        first.setdefault(names[at].partition(", ")[0], f"{names[at]} {profile[at]:+.1f}")
    return [*first.values()][:MOST_TRAITS]


def _tell(
    name: str,
    rows: NDArray[np.intp],
    truths: NDArray,
    *,
    share: float,
    traits: Sequence[str],
    outcomes: Sequence[str],
) -> str:
    """Say a group's share and, where it is not small, its traits, its most frequent label, and who lives a year."""
    said = f"{name} {share:.0%}"
    if len(rows) < FEWEST:
        return f"{said} (fewer than {FEWEST} patients)"
    facts = [*traits]
    labels = truths[rows, 0]
    labels = labels[~np.isnan(labels)].astype(int)
    if len(labels):
        number, most = int(np.bincount(labels).argmax()), np.bincount(labels).max()
        facts.append(f"{most / len(labels):.0%} {outcomes[number]}")
    followed = rows[~np.isnan(truths[rows, 1])]
    alive = survival_at(truths[followed, 1], truths[followed, 2] == 1, 365.0)
    if not np.isnan(alive):
        facts.append(f"one-year survival {alive:.0%}")
    return f"{said} ({', '.join(facts)})" if facts else said
