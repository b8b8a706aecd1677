"""Rules about a plugin's rows: synthetic data, declared data sets, own files, splits, metrics and baselines."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from medhub.checks.rows import same_rows
from medhub.checks.subject import SIZE, Subject
from medhub.data import load_data, row_keys
from medhub.errors import CheckFailed, DataError, InputError, MedHubError, suggest
from medhub.metrics import Metric
from medhub.processing import as_rows

SYNTHETIC = "synthetic"


def check_synthetic(subject: Subject) -> None:
    """Synthetic data come without a network, repeat by their seed, and differ between seeds."""
    synthetic = subject.task.module("data").synthetic
    with _no_network("synthetic()"):
        first, again, other = (row_keys(synthetic(size=SIZE, seed=seed).rows) for seed in (0, 0, 1))
    if first != again:
        raise CheckFailed("synthetic(seed=0) differs from call to call; draw from np.random.default_rng(seed) alone")
    if first == other:
        raise CheckFailed("synthetic() gives the same rows for seeds 0 and 1; draw from np.random.default_rng(seed)")


def check_rows(subject: Subject) -> None:
    """Rows have an input, labels that fit the label names, and a group."""
    table = subject.table
    if len(table.rows) != SIZE:
        raise CheckFailed(f"synthetic(size={SIZE}) made {len(table.rows)} rows; make as many as were asked for")
    for place, (labels, group) in enumerate(zip(table.rows["labels"], table.rows["group"], strict=True)):
        if not group:
            raise CheckFailed(
                f"row {place} has an empty group; name what it must not be split from, such as its patient"
            )
        if fault := _label_fault(labels, count=len(table.label_names)):
            raise CheckFailed(f"row {place} has the labels {labels!r}: {fault}")
    if len({repr(labels) for labels in table.rows["labels"]}) < 2:
        raise CheckFailed("synthetic() gives every row the same labels; nothing can be learnt from one class")


def check_datasets(subject: Subject) -> None:
    """Each public data set bears its name, hashes, licence and citation, and is not split row by row unless asked."""
    task = subject.task
    if task.dataset not in (known := {*task.datasets, SYNTHETIC}):
        raise CheckFailed(
            f"the default data set {task.dataset!r} is not in DATASETS{suggest(task.dataset, known)} Known: {known}"
        )
    for name, source in task.datasets.items():
        if source.name != name:
            raise CheckFailed(f"DATASETS[{name!r}] is called {source.name!r}; give both the same name")
        for field in ("title", "version", "licence", "citation", "homepage", "group_by", "files"):
            if not getattr(source, field):
                raise CheckFailed(f"the data set {name!r} has no {field}; a model card cannot go without it")
        for file in source.files:
            if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
                raise CheckFailed(f"{name}/{file.name} has the sha256 {file.sha256!r}; write the output of sha256sum")
        if source.splits[0] == "random":
            raise CheckFailed(
                f"the data set {name!r} is split row by row by default; put 'official' or 'group' first in splits"
            )


def check_own_files(subject: Subject) -> None:
    """A file that is not there, and one that is empty, are refused with a sentence that names them."""
    own_files = subject.task.module("data").own_files
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.csv"
        empty.touch()
        for path in (empty, Path(folder) / "absent.csv"):
            try:
                own_files(path)
            except (InputError, DataError) as error:
                if path.name not in str(error):
                    raise CheckFailed(f"own_files says {str(error)!r} of {path.name}; name the file in it") from error
                continue
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise CheckFailed(f"own_files({path.name}) raises {said}; raise InputError, saying the cure") from error
            raise CheckFailed(f"own_files accepts {path.name}; raise InputError that says what is wrong with the file")


def check_splits(subject: Subject) -> None:
    """Rows split into three parts with no group and no input on two sides."""
    table = subject.table
    for by in ("official", "group") if "split" in table.rows.column_names else ("group",):
        try:
            load_data(table, split=by, seed=0)  # raises where a group stands on two sides
        except MedHubError as error:
            raise CheckFailed(f"synthetic rows cannot be split by {by}: {error}; see the column 'group'") from error
    seen: dict[str, str] = {}
    for key, group in zip(row_keys(table.rows, columns=("input",)), table.rows["group"], strict=True):
        if seen.setdefault(key, group) != group:
            raise CheckFailed(
                f"one input stands in the groups {seen[key]!r} and {group!r}, and would be tested on after training; "
                "give equal inputs one group"
            )


def check_metrics(subject: Subject) -> None:
    """Each metric gives perfect scores its best value, and constant scores its chance value."""
    task, count = subject.task, len(subject.table.label_names)
    network = subject.network(subject.architectures[0])
    truths = network.processor.truths(network.features.take(np.arange(SIZE)))
    own = getattr(task.module("metrics"), "perfect", None) if task.has_module("metrics") else None
    perfect = (own or _perfect)(truths, count=count)
    for name in task.metrics:
        metric = task.metric(name)
        _compare(metric, perfect, truths, expected=metric.best, kind="perfect")
        if metric.chance is not None:
            _compare(metric, _constant(truths, count=count), truths, expected=metric.chance, kind="constant")


def check_baselines(subject: Subject) -> None:
    """Each baseline scores the test rows in the shape of the network's scores, the same for the same seed."""
    splits = load_data(subject.table, split="group", seed=0)
    network = subject.network(subject.architectures[0])
    shape = (len(splits.test), *network.scores(network.model(), [0]).shape[1:])
    baselines = subject.task.module("baselines").BASELINES
    if not baselines:
        raise CheckFailed("BASELINES is empty; a network's figures say nothing without a simple method's beside them")
    for name, baseline in baselines.items():
        first, again = (
            as_rows(baseline(splits.train, splits.test, labels=splits.label_names, processor=network.processor, seed=0))
            for _ in range(2)
        )
        if first.shape != shape:
            raise CheckFailed(f"the baseline {name!r} gives scores of shape {first.shape}; the network's have {shape}")
        if not all(np.isfinite(np.asarray(row, float)).all() for row in first):
            raise CheckFailed(f"the baseline {name!r} gives scores that are not finite; score every row and label")
        if not same_rows(first, again):
            raise CheckFailed(f"the baseline {name!r} differs from call to call; pass `seed` on to whatever draws")


def _label_fault(labels: Any, *, count: int) -> str | None:
    """Say what is wrong with one row's labels; what is neither a class nor a list of floats is the task's own."""
    if isinstance(labels, int) and not 0 <= labels < count:
        return f"a class is a number below {count}, the number of label names"
    if isinstance(labels, list) and all(isinstance(value, float) for value in labels):
        if len(labels) != count:
            return f"give {count} values, one a label name"
        if any(value not in (0.0, 1.0) and not np.isnan(value) for value in labels):
            return "a label is 1 for yes, 0 for no or NaN for unknown"
    return None


def _perfect(targets: NDArray, *, count: int) -> NDArray:
    """Return scores that agree entirely with classes or yes-or-no labels."""
    if targets.dtype == object:
        raise CheckFailed(
            "metrics.py has no perfect(targets, count=...), which gives the scores that agree with targets"
        )
    return np.eye(count)[targets] if targets.ndim == 1 else np.nan_to_num(targets.astype(float), nan=0.5)


def _constant(targets: NDArray, *, count: int) -> NDArray:
    """Return scores that are the same for every row."""
    return np.full((len(targets), count), 1 / count if targets.ndim == 1 else 0.5)


def _compare(metric: Metric, scores: NDArray, targets: NDArray, *, expected: float, kind: str) -> None:
    found = metric.compute(scores, targets)
    if not np.isclose(found, expected, atol=1e-6):
        raise CheckFailed(
            f"{metric.name} gives {kind} scores {found:.4g}, but declares {expected:.4g}; "
            "correct its compute, best or chance"
        )


@contextmanager
def _no_network(name: str) -> Iterator[None]:
    def refuse(*arguments: Any) -> NoReturn:
        raise CheckFailed(f"{name} reaches for the network; make the rows from the seed alone")

    with patch.object(socket.socket, "connect", refuse), patch.object(socket, "getaddrinfo", refuse):
        yield
