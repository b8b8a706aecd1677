"""The search for better molecules: ask the oracle, breed from the best, and again, until the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError
from medhub.plugins.chem.molecules import parse_smiles

from .genetic import breed
from .oracles import Oracle
from .properties import similarities

POPULATION = 100
"""Best molecules from which is bred."""
ROUND = 50
"""Children that are tried at a time."""
MOST_IDLE = 20
"""Rounds without a new molecule after which a neighbourhood counts as exhausted."""
AUC_STEP = 100
"""Calls from one point of the curve of the best ten to the next (Gao et al. 2022)."""


@dataclass(frozen=True)
class Judged:
    """A molecule with the oracle's value, and the molecule it was bred from."""

    smiles: str
    value: float
    parent: str | None


Breeder = Callable[[Sequence[Judged], np.random.Generator], Iterable[tuple[str, str]]]
"""Returns about `ROUND` children, each with its parent, of all judged molecules, the best first."""


def search(
    oracle: Oracle, breeder: Breeder, *, first: Sequence[str], start: str | None, least_similarity: float, seed: int
) -> dict[str, Judged]:
    """Return all molecules that the oracle could judge.

    `first` are asked about first. With a `start`, only molecules as similar to it are. Raises InputError when the
    oracle cannot judge any.
    """
    random = np.random.default_rng(seed)
    judged: dict[str, Judged] = {}
    origin: dict[str, str | None] = dict.fromkeys(first)
    waiting, idle = [*first], 0
    while idle < MOST_IDLE:
        for smiles, value in oracle.ask(waiting).items():
            if not np.isnan(value):
                judged[smiles] = Judged(smiles, value, origin[smiles])
        if not oracle.left:
            break
        best = sorted(judged.values(), key=lambda found: -found.value) or [Judged(s, 0.0, None) for s in first]
        children = {child: parent for child, parent in breeder(best, random) if child not in origin}
        waiting = _near_enough([*children], start=start, least=least_similarity)
        origin |= {child: children[child] for child in waiting}
        idle = 0 if waiting else idle + 1
    if not judged:
        raise InputError(
            f"the oracle {oracle.name!r} gave no number for any of {len(oracle.values)} molecules, "
            f"{', '.join([*oracle.values][:3])} among them; try it on one of these by itself"
        )
    return judged


def _near_enough(molecules: list[str], *, start: str | None, least: float) -> list[str]:
    if start is None or not molecules:
        return molecules
    alike = similarities(parse_smiles(start), [parse_smiles(smiles) for smiles in molecules])
    return [smiles for smiles, value in zip(molecules, alike, strict=True) if value >= least]


def lineage(judged: dict[str, Judged], smiles: str) -> list[str]:
    """Return a molecule's ancestors from the first on, itself last; one that the oracle failed on ends the line."""
    line = [smiles]
    while (found := judged.get(line[-1])) is not None and found.parent is not None:
        line.append(found.parent)
    return line[::-1]


def top_auc(values: Sequence[float], *, budget: int, best: int = 10) -> float:
    """Return the area under the mean of the `best` values so far over the calls, divided by the budget.

    As the practical molecular optimisation benchmark has it: a point every `AUC_STEP` calls, straight lines between,
    and the last point holds to the budget's end (Gao et al. 2022).
    """
    known = np.array(values, float)
    calls = [0, *range(AUC_STEP, len(known), AUC_STEP), len(known), max(budget, len(known))]
    tops = [_top(known[:call], best) for call in calls]
    return float(np.trapezoid(tops, calls) / calls[-1])


def _top(values: NDArray[np.floating], best: int) -> float:
    found = np.sort(values[~np.isnan(values)])[::-1][:best]
    return float(found.mean()) if len(found) else 0.0


def draw_parents(judged: Sequence[Judged], random: np.random.Generator, *, count: int) -> list[Judged]:
    """Draw from the best molecules, the better the more often: the chance falls with the rank."""
    best = judged[:POPULATION]
    weights = 1 / (np.arange(len(best)) + 5.0)
    return [best[place] for place in random.choice(len(best), size=count, p=weights / weights.sum())]


def breed_graphs(judged: Sequence[Judged], random: np.random.Generator) -> Iterable[tuple[str, str]]:
    """Breed by crossing and changing molecular graphs: the genetic algorithm that networks are measured against."""
    parents = draw_parents(judged, random, count=2 * ROUND)
    for first, second in zip(parents[:ROUND], parents[ROUND:], strict=True):
        if (child := breed(first.smiles, second.smiles, random)) is not None:
            yield child, first.smiles
