"""The report: a model's numbers beside the baselines', with all that is needed to make them again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import medhub
from medhub.errors import LoadError
from medhub.evaluation.bootstrap import Estimate
from medhub.evaluation.calibration import Coverage
from medhub.evaluation.markdown import escape, table
from medhub.evaluation.subgroups import LEAST_GROUPS, Subgroup

EXAMPLES = "examples"
POSITIVE = "positive"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The network's advantage over the best baseline in the first metric, on the same draws; above 0 is better."""

    metric: str
    baseline: str
    advantage: Estimate

    def __str__(self) -> str:
        gain, low, high = self.advantage.value, self.advantage.low, self.advantage.high
        if gain is None or low is None or high is None:
            return f"{self.metric} cannot be compared with {self.baseline} on these rows."
        said = f"Advantage over {self.baseline} in {self.metric}: {gain:+.3f} ({low:+.3f} to {high:+.3f}). "
        if low > 0:
            return said + "The network is ahead."
        return said + ("The network is behind." if high < 0 else "These rows do not show which of the two is better.")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `evaluate` found on the test split. Numbers are kept whole and rounded only for display."""

    task: str
    dataset: str
    split: str
    rows: dict[str, int]
    """Rows of each split by name."""
    groups: int
    """Groups (patients, scaffolds ...) in the test split: what the bootstrap drew."""
    data_sha256: str
    split_sha256: str
    seed: int
    bootstrap: int
    """Replicates behind each interval."""
    command: str
    commit: str
    """Short git commit of the code, "-dirty" when it was changed since, or MedHub's version outside a checkout."""
    network: str
    """Which of `models` is the network; the others are baselines."""
    models: dict[str, dict[str, Estimate]]
    """Metric by metric, for each model."""
    lower_is_better: tuple[str, ...]
    difference: Difference | None = None
    labels: dict[str, dict[str, float | None]] | None = None
    """For multi-label tasks, the network's metrics of each label, with its known `examples` and `positive` ones."""
    coverage: Coverage | None = None
    tables: dict[str, list[list[str]]] | None = None
    """What the task shows of the network beside figures, by caption: rows of text, the header first."""
    subgroups: dict[str, dict[str, Subgroup]] | None = None
    """The network on parts of the test rows, by column and value, where the data name parts."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and strings, from which `from_dict` makes an equal report."""
        return asdict(self)

    def to_json(self) -> str:
        """Return `to_dict()` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a report from `to_dict()`; raise LoadError when a key is missing or unknown."""
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(values.keys() - known)
        missing = sorted(name for name in known.keys() - values.keys() if known[name].default is MISSING)
        if unknown or missing:
            raise LoadError(
                f"not an evaluation report: unknown keys {unknown}, missing keys {missing}; make it anew with "
                "`medhub evaluate`"
            )
        difference, coverage, subgroups = (values.get(name) for name in ("difference", "coverage", "subgroups"))
        models = {model: _estimates(metrics) for model, metrics in values["models"].items()}
        if subgroups is not None:
            subgroups = {
                column: {
                    name: Subgroup(**{**part, "numbers": _estimates(part["numbers"])}) for name, part in parts.items()
                }
                for column, parts in subgroups.items()
            }
        if difference is not None:
            difference = Difference(**{**difference, "advantage": Estimate(**difference["advantage"])})
        return cls(
            **{
                **values,
                "models": models,
                "lower_is_better": tuple(values["lower_is_better"]),
                "difference": difference,
                "coverage": None if coverage is None else Coverage(**coverage),
                "subgroups": subgroups,
            }
        )

    @property
    def numbers(self) -> dict[str, Estimate]:
        """The network's metrics."""
        return self.models[self.network]

    @property
    def defined(self) -> list[str]:
        """The metrics that any of the models has a value of: some need what not all data sets have."""
        return [name for name in self.numbers if any(each[name].value is not None for each in self.models.values())]

    def to_table(self) -> list[list[str]]:
        """Return the numbers as text, a row a metric and a column a model, the header first."""
        rows = [["metric", *self.models]]
        for name in self.defined:
            label = f"{name} (lower is better)" if name in self.lower_is_better else name
            rows.append([label, *(str(metrics[name]) for metrics in self.models.values())])
        return rows

    def label_table(self) -> list[list[str]]:
        """Return the network's numbers label by label as text, the header first; empty where there are no labels."""
        if not self.labels:
            return []
        columns = list(next(iter(self.labels.values())))
        return [["label", *columns]] + [
            [label, *(_number(numbers[column]) for column in columns)] for label, numbers in self.labels.items()
        ]

    def subgroup_tables(self) -> list[list[list[str]]]:
        """Return a table of text for each column that names subgroups, a row a subgroup, the header first."""
        return [
            [[column.replace("_", " "), "rows", "groups", *self.defined]]
            + [
                [name, f"{part.rows:,}", f"{part.groups:,}", *(str(part.numbers[metric]) for metric in self.defined)]
                for name, part in parts.items()
            ]
            for column, parts in (self.subgroups or {}).items()
        ]

    def to_markdown(self) -> str:
        """Return the tables and what they mean, for the card."""
        parts = [
            f"Measured on the {self.rows['test']:,} test rows of {escape(self.dataset)} ({escape(self.split)} split, "
            f"seed {self.seed}). Neither the network nor a baseline saw these rows in training.",
            table([[escape(cell) for cell in row] for row in self.to_table()]),
        ]
        if nowhere := [name for name in self.numbers if name not in self.defined]:
            parts.append(f"Not defined on these rows: {', '.join(map(escape, nowhere))}.")
        if self.difference:
            parts.append(escape(self.difference))
        if self.groups > 1 and self.bootstrap:
            parts.append(
                f"In brackets: 95 % intervals from {self.bootstrap:,} bootstrap samples of the {self.groups:,} groups "
                "in the test split."
            )
        parts += self._notes()
        if self.labels:
            rows = [[escape(cell) for cell in row] for row in self.label_table()]
            parts += ["The network, label by label:", table(rows)]
        for caption, rows in (self.tables or {}).items():
            parts += [f"{escape(caption)}:", table([[escape(cell) for cell in row] for row in rows])]
        if self.subgroups:
            parts.append(f"The network on parts of the test rows that have at least {LEAST_GROUPS} groups:")
            parts += [table([[escape(cell) for cell in row] for row in rows]) for rows in self.subgroup_tables()]
        return "\n\n".join(parts)

    def _notes(self) -> list[str]:
        """Say what a reader of the intervals must know."""
        notes = []
        undefined = {
            name: number.undefined for name, number in self.numbers.items() if number.undefined and name in self.defined
        }
        if undefined:
            said = ", ".join(f"{escape(name)} in {count}" for name, count in undefined.items())
            notes.append(f"Some bootstrap samples held one class only and were left out: {said}.")
        outside = [escape(name) for name, number in self.numbers.items() if not number.inside]
        if outside:
            notes.append(
                f"An interval may lie beside its value, as for {', '.join(outside)}: bootstrap samples hold some rows "
                "more than once, which makes calibration look worse than it is."
            )
        return notes


def code_version() -> str:
    """Return the short git commit of a checkout, with "-dirty" when it was changed since, or else MedHub's version."""
    checkout = Path(medhub.__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return medhub.__version__
    try:
        commit = _git(checkout, "rev-parse", "--short", "HEAD")
        return f"{commit}-dirty" if _git(checkout, "status", "--porcelain", "hub", "plugins") else commit
    except (OSError, subprocess.CalledProcessError):  # git is not installed, or nothing is committed yet
        return medhub.__version__


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _estimates(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    return {metric: Estimate(**numbers) for metric, numbers in metrics.items()}


def _number(value: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
