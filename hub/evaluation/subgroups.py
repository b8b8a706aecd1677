"""How a network does on parts of the test rows: on women and men, on the old, in each hospital.

What the parts are, the table says: every column of text beside those that each table has names subgroups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from medhub.data.tables import REQUIRED
from medhub.evaluation.bootstrap import Estimate, Examples, estimate, replicate
from medhub.metrics import Metric

LEAST_GROUPS = 10
"""Groups (patients) that a subgroup must have: a figure of fewer says little, and might tell of a person."""


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """The network on some of the test rows."""

    rows: int
    groups: int
    numbers: dict[str, Estimate]
    """Metric by metric."""


def measure_subgroups(
    test: Dataset, examples: Examples, *, metrics: Sequence[Metric], replicates: int, seed: int
) -> dict[str, dict[str, Subgroup]] | None:
    """Return the subgroups of each column, by their value; None where no column has two of LEAST_GROUPS groups.

    `examples` are what `prepare_examples` made of the network's scores of all test rows.
    """
    groups = np.array(test["group"][:])
    found = {}
    for column in _columns(test):
        values = np.array([value or "unknown" for value in test[column][:]])
        parts = {}
        for value in np.unique(values).tolist():
            rows = np.flatnonzero(values == value)
            if (count := len(np.unique(groups[rows]))) < LEAST_GROUPS:
                continue
            own = {prepare: tuple(array[rows] for array in arrays) for prepare, arrays in examples.items()}
            draws = replicate(
                {value: own}, groups=groups[rows].tolist(), metrics=metrics, replicates=replicates, seed=seed
            )
            parts[value] = Subgroup(
                rows=len(rows), groups=count,
                numbers={
                    metric.name: estimate(metric.value(own[metric.prepare]), draws[:, 0, j])
                    for j, metric in enumerate(metrics)
                },
            )  # fmt: skip
        if len(parts) > 1:  # of one alone the report tells already
            found[column] = parts
    return found or None


def _columns(test: Dataset) -> list[str]:
    """Return the columns of text beside those that each table has."""
    kinds = {name: getattr(kind, "dtype", None) for name, kind in test.features.items()}
    return [
        name for name, kind in kinds.items() if kind in ("string", "large_string") and name not in (*REQUIRED, "split")
    ]
