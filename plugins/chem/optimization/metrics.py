"""Metrics of generated molecules, one drawn a test row: MOSES' figures of the whole set, and how near neighbours are.

Scores are arrays of Proposals, targets the test molecules. What a row drew owes nothing to the row's molecule: the two
sets are compared as sets, and a bootstrap draws from both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medhub.metrics import Metric
from medhub.plugins.chem.molecules import parse_smiles

from .distributions import cosine, fingerprints, fragments, nearest, ring_scaffold
from .properties import similarities
from .proposals import Proposals

Array = NDArray[np.floating]
NONE = -1


def perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return the scores that agree with targets entirely: the same molecules."""
    scores = np.empty(len(targets), dtype=object)
    for row, smiles in enumerate(targets):
        scores[row] = Proposals(sampled=smiles, near=(smiles,))
    return scores


def _prepare(scores: NDArray, targets: NDArray) -> tuple[NDArray, ...]:
    """Return what the metrics need of each row, in the order of their parameters.

    Fragments and scaffolds are numbered; rows are padded with NONE.
    """
    sampled = [score.sampled for score in scores]
    valid = np.array([smiles != "" for smiles in sampled])
    written = [smiles for smiles in sampled if smiles]
    first = np.zeros(len(sampled), bool)
    first[np.unique(np.array(sampled), return_index=True)[1]] = True
    alike = np.full(len(sampled), np.nan)
    alike[valid] = nearest(fingerprints(written), fingerprints(targets))
    pieces = _numbered([fragments(smiles) if smiles else () for smiles in [*sampled, *targets]])
    scaffolds = _numbered([_scaffolds(smiles) for smiles in [*sampled, *targets]])
    count = len(sampled)
    return (
        valid, np.where(valid, first, np.nan), alike, pieces[:count], pieces[count:], scaffolds[:count],
        scaffolds[count:], np.array([_closeness(*pair) for pair in zip(scores, targets, strict=True)]),
    )  # fmt: skip


def _scaffolds(smiles: str) -> tuple[str, ...]:
    scaffold = ring_scaffold(smiles) if smiles else None
    return () if scaffold is None else (scaffold,)


def _numbered(names: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Return each row's names as numbers, (rows, most names in a row)."""
    number_of: dict[str, int] = {}
    table = np.full((len(names), max([1, *map(len, names)])), NONE)
    for row, own in enumerate(names):
        table[row, : len(own)] = [number_of.setdefault(name, len(number_of)) for name in own]
    return table


def _closeness(score: Proposals, target: str) -> float:
    """Return the mean similarity of a row's proposals to its molecule; 0 where there is none."""
    if not score.near:
        return 0.0
    return float(similarities(parse_smiles(target), [parse_smiles(smiles) for smiles in score.near]).mean())


def _mean(values: NDArray) -> float:
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return float(known.mean()) if len(known) else float("nan")


def _count_alike(made: NDArray, true: NDArray) -> float:
    """Return the cosine similarity of how often two tables (rows, names) hold each number."""
    size = 1 + max(made.max(), true.max(), 0)
    counts = [np.bincount(table[table != NONE], minlength=size).astype(float) for table in (made, true)]
    return cosine(*counts)


def _column(*prepared: NDArray, place: int) -> float:
    return _mean(prepared[place])


def _tables(*prepared: NDArray, place: int) -> float:
    return _count_alike(prepared[place], prepared[place + 1])


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("valid", partial(_column, place=0), best=1.0, prepare=_prepare),
        Metric("unique", partial(_column, place=1), best=1.0, prepare=_prepare),
        Metric("snn", partial(_column, place=2), best=1.0, prepare=_prepare),
        Metric("frag", partial(_tables, place=3), best=1.0, prepare=_prepare),
        Metric("scaf", partial(_tables, place=5), best=1.0, prepare=_prepare),
        Metric("similarity", partial(_column, place=7), best=1.0, prepare=_prepare),
    )
}
