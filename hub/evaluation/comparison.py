"""Evaluation: the network beside the task's baselines, on the same test rows and the same bootstrap draws."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medhub.errors import BrokenPlugin
from medhub.evaluation.bootstrap import Examples, estimate, prepare_examples, replicate
from medhub.evaluation.calibration import Coverage, measure_coverage
from medhub.evaluation.report import EXAMPLES, POSITIVE, Difference, Report, code_version
from medhub.evaluation.scores import predict_scores
from medhub.evaluation.subgroups import measure_subgroups
from medhub.metrics import Metric
from medhub.processing import as_rows

if TYPE_CHECKING:
    from medhub.data import Splits
    from medhub.modeling import MedConfig, MedModel
    from medhub.processing import Processor
    from medhub.registry import Task


def evaluate(
    task: Task,
    model: MedModel,
    processor: Processor,
    splits: Splits,
    *,
    baselines: bool = True,
    bootstrap: int = 1000,
    seed: int = 0,
    command: str | None = None,
) -> Report:
    """Measure a model on the test split, beside the task's baselines fitted on the same training rows.

    Every metric of the task comes with a 95 % interval from `bootstrap` draws of the test split's groups, for all of it
    and for the subgroups that columns of text beside those of every table name. `seed` is the
    baselines' and the draws'; `command` is what makes the report again (None: the one that runs). Raises BrokenPlugin
    when a baseline's scores have another shape than the network's.
    """
    from medhub.data import prepare

    network = model.config.architecture or type(model).__name__
    scores, targets = predict_scores(model, prepare(splits.test, processor), processor)
    all_scores = {network: scores}
    if baselines:
        all_scores |= score_baselines(task, splits, processor, like=scores, seed=seed)
    metrics = [processor.metric(task.metric(name)) for name in task.metrics]
    groups = splits.test["group"]
    examples = {name: prepare_examples(metrics, each, targets) for name, each in all_scores.items()}
    values = {
        name: [metric.value(prepared[metric.prepare]) for metric in metrics] for name, prepared in examples.items()
    }
    replicates = replicate(examples, groups=groups, metrics=metrics, replicates=bootstrap, seed=seed)
    models = {
        name: {metric.name: estimate(values[name][j], replicates[:, i, j]) for j, metric in enumerate(metrics)}
        for i, name in enumerate(values)
    }
    return Report(
        task=task.id,
        dataset=splits.source.name if splits.source else "own data",
        split=splits.split,
        rows={name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        groups=len(set(groups)),
        data_sha256=splits.data_sha256,
        split_sha256=splits.split_sha256,
        seed=seed,
        bootstrap=len(replicates),
        command=command if command is not None else shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        commit=code_version(),
        network=network,
        models=models,
        lower_is_better=tuple(metric.name for metric in metrics if not metric.higher_is_better),
        difference=compare({name: each[0] for name, each in values.items()}, replicates[:, :, 0], metric=metrics[0]),
        labels=measure_labels(scores, targets, examples[network], metrics=metrics, names=splits.label_names),
        coverage=_coverage(scores, targets, model.config, names=splits.label_names),
        tables={caption: make(scores, targets) for caption, make in task.tables.items()} or None,
        subgroups=measure_subgroups(splits.test, examples[network], metrics=metrics, replicates=bootstrap, seed=seed),
    )


def score_baselines(
    task: Task, splits: Splits, processor: Processor, *, like: NDArray, seed: int
) -> dict[str, NDArray]:
    """Fit the task's baselines on the training rows, and return their scores of the test rows by name."""
    scores = {}
    for name, baseline in task.module("baselines").BASELINES.items():
        scores[name] = as_rows(
            baseline(splits.train, splits.test, labels=splits.label_names, processor=processor, seed=seed)
        )
        if scores[name].shape != like.shape:
            raise BrokenPlugin(
                f"{task.id}: baseline {name!r} gives scores of shape {scores[name].shape}, but the network's have "
                f"shape {like.shape}; correct it in {task.package}/baselines.py"
            )
    return scores


def compare(values: dict[str, float], replicates: NDArray, *, metric: Metric) -> Difference | None:
    """Return the first model's advantage over the best of the others, from replicates of shape (replicates, models)."""
    sign = 1 if metric.higher_is_better else -1
    network, *others = [sign * value for value in values.values()]
    if np.isnan(others).all():  # or there are none
        return None
    best = int(np.nanargmax(others)) + 1
    replicates = sign * replicates
    return Difference(
        metric=metric.name,
        baseline=list(values)[best],
        advantage=estimate(network - others[best - 1], replicates[:, 0] - replicates[:, best]),
    )


def measure_labels(
    scores: NDArray, targets: NDArray, examples: Examples, *, metrics: list[Metric], names: tuple[str, ...]
) -> dict[str, dict[str, float | None]] | None:
    """Return the metrics of each label: of yes-or-no labels all, with their counts, else those that know labels.

    None for a task without such labels.
    """
    if targets.ndim == 2 and targets.shape == scores.shape and len(names) == targets.shape[1]:
        return {
            name: _measure_column(scores[:, j : j + 1], targets[:, j : j + 1], metrics) for j, name in enumerate(names)
        }
    by_metric = {metric.name: metric.labels(examples[metric.prepare]) for metric in metrics}
    known = {name: values for name, values in by_metric.items() if values is not None}
    if not known:
        return None
    return {
        # a label beyond those that the rows hold has no figure
        name: {metric: _defined(values[j]) if j < len(values) else None for metric, values in known.items()}
        for j, name in enumerate(names)
    }


def _measure_column(scores: NDArray, targets: NDArray, metrics: list[Metric]) -> dict[str, float | None]:
    """Return the metrics of one yes-or-no label, its known examples, and how many of them are positive."""
    known = ~np.isnan(targets[:, 0])
    score, truth = scores[known], targets[known]
    counts: dict[str, float | None] = {EXAMPLES: int(known.sum()), POSITIVE: int(truth.sum())}
    return counts | {metric.name: _defined(metric.compute(score, truth)) for metric in metrics}


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _coverage(scores: NDArray, targets: NDArray, config: MedConfig, *, names: tuple[str, ...]) -> Coverage | None:
    if config.conformal_thresholds is None:
        return None
    return measure_coverage(
        scores, targets, thresholds=config.conformal_thresholds, promised=config.coverage, names=names
    )
