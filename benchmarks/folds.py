"""K-fold evaluation of any task on any of its data sets: every row is tested once, by a network that never saw it.

    MEDHUB_MIRROR=... python benchmarks/folds.py genomics/alignment --data balifam --folds 5 --by group
    MEDHUB_MIRROR=... python benchmarks/folds.py genomics/classification --data splice --folds 10 --by row --seed 0
    python benchmarks/folds.py genomics/alignment --data synthetic --folds 3 --rows 60 --setting epochs=1  # a try

In each fold a network is trained as `medhub train` does it, with a ninth of the other folds' rows (by whole groups)
to choose the epoch and to calibrate; then it and the task's baselines answer the rows held out, once. `--by group`
keeps groups (families, patients) whole; `--by row` only rows of equal input, as papers do that know of no groups, so
that rows akin stand on both sides. Official splits are dissolved.

Printed are a line a fold, the mean and standard deviation over the folds, and the metrics of all folds' rows together,
with 95 % intervals from bootstrap draws of groups; for classes also the error of each, in percent. Metrics that rank
rows are not taken together: scores of different networks have no common order.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import concatenate_datasets, disable_progress_bars
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

import medhub
from medhub.data import Splits, Table, check_labels, prepare, row_keys, split_table
from medhub.evaluation import calibrate, code_version, estimate, predict_scores, prepare_examples, replicate
from medhub.evaluation.comparison import compare, score_baselines
from medhub.metrics import Metric
from medhub.recipe import Recipe, adopt, load_splits, make_config, make_settings
from medhub.registry import Task
from medhub.training import Outcome, train

BOOTSTRAP = 1000
RANKING = ("auroc", "auprc")

Figures = dict[str, dict[str, float]]
"""Values by metric and model."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the network, which comes first, and the baselines say of rows that they did not see."""

    scores: Mapping[str, NDArray]
    targets: NDArray
    groups: Sequence[str]

    @classmethod
    def pooled(cls, folds: Sequence[Answers]) -> Answers:
        """Return the answers of all folds together."""
        return cls(
            scores={name: np.concatenate([fold.scores[name] for fold in folds]) for name in folds[0].scores},
            targets=np.concatenate([fold.targets for fold in folds]),
            groups=[group for fold in folds for group in fold.groups],
        )

    def measure(self, metrics: Sequence[Metric]) -> Figures:
        """Return each metric of each model."""
        examples = {name: prepare_examples(metrics, scores, self.targets) for name, scores in self.scores.items()}
        return {
            metric.name: {name: metric.value(prepared[metric.prepare]) for name, prepared in examples.items()}
            for metric in metrics
        }


def make_folds(task: Task, recipe: Recipe, *, folds: int, by: str, most: int | None) -> list[Splits]:
    """Return, for each fold, the rows to train on, to validate on and to test on."""
    whole = load_splits(task, recipe.data, split=None, seed=recipe.seed)
    rows = concatenate_datasets([*whole.dataset_dict().values()])
    if most is not None:
        rows = rows.shuffle(seed=recipe.seed).select(range(min(most, len(rows))))
    groups = rows["group"][:] if by == "group" else row_keys(rows, columns=("input",))
    replaced = [name for name in ("group", "split") if name in rows.column_names]
    rows = rows.remove_columns(replaced).add_column("group", groups)
    found = []
    for _, tested in GroupKFold(folds, shuffle=True, random_state=recipe.seed).split(groups, groups=groups):
        part = np.full(len(rows), "train")
        part[tested] = "test"
        table = Table(rows=rows.add_column("split", part.tolist()), label_names=whole.label_names)
        # "official" takes what validates from the training rows, by whole groups
        splits = split_table(table, by="official", seed=recipe.seed, source=whole.source)
        check_labels(splits)
        found.append(splits)
    return found


def run_fold(task: Task, recipe: Recipe, splits: Splits) -> tuple[Answers, Outcome]:
    """Train on a fold's training rows, calibrate on its validation rows, and answer its test rows."""
    config = make_config(task, recipe, label_names=splits.label_names)
    processor = task.processor_class.fit(splits.train, config)
    training, validation, test = (
        prepare(rows, processor, cache=False) for rows in (splits.train, splits.validation, splits.test)
    )
    settings = make_settings(task, recipe, architecture=config.architecture)
    torch.manual_seed(recipe.seed)
    model = task.model_class(config)
    if recipe.start is not None:
        adopt(model, recipe.start, say=lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            model, training, validation, processor,
            settings=settings, folder=Path(folder), metric=task.metric(task.metrics[0]),
        )  # fmt: skip
    calibrate(outcome.model, processor, validation)
    scores, targets = predict_scores(outcome.model, test, processor)
    baselines = score_baselines(task, splits, processor, like=scores, seed=recipe.seed)
    all_scores = {config.architecture: scores, **baselines}
    return Answers(scores=all_scores, targets=targets, groups=splits.test["group"][:]), outcome


def summarise(measured: Sequence[Figures], pooled: Answers, metrics: Sequence[Metric], *, seed: int) -> list[str]:
    """Return a Markdown table of the models' metrics over the folds and over all rows, and the network's advantages."""
    together = [metric for metric in metrics if metric.name not in RANKING]
    examples = {name: prepare_examples(together, scores, pooled.targets) for name, scores in pooled.scores.items()}
    draws = replicate(examples, groups=pooled.groups, metrics=together, replicates=BOOTSTRAP, seed=seed)
    figures = pooled.measure(together)
    rows = []
    for metric in metrics:
        best = "" if metric.higher_is_better else " (lower is better)"
        cells = [spread([fold[metric.name][name] for fold in measured]) for name in pooled.scores]
        rows.append([f"{metric.name}{best}", f"{len(measured)} folds", *cells])
        if metric in together:
            values, replicates = [*figures[metric.name].values()], draws[:, :, together.index(metric)].T
            rows.append(["", "all rows", *(str(estimate(*pair)) for pair in zip(values, replicates, strict=True))])
    advantages = [compare(figures[metric.name], draws[:, :, j], metric=metric) for j, metric in enumerate(together)]
    return [*table(["metric", "over", *pooled.scores], rows), "", *(f"- {said}" for said in advantages)]


def spread(values: Sequence[float]) -> str:
    """Say the mean over the folds that have a value, and their standard deviation."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return "not defined"
    return f"{statistics.mean(known):.3f} ± {statistics.stdev(known) if len(known) > 1 else 0:.3f}"


def class_errors(answers: Answers, names: Sequence[str]) -> list[str]:
    """Return a Markdown table of the share of each class's rows that are called another, in percent."""
    rows = []
    for number, name in enumerate(names):
        of_class = answers.targets == number
        wrong = [np.mean(scores[of_class].argmax(axis=1) != number) for scores in answers.scores.values()]
        rows.append([name, str(of_class.sum()), *(f"{100 * share:.2f} %" for share in wrong)])
    return table(["error of class", "rows", *answers.scores], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def key_value(word: str) -> tuple[str, Any]:
    """Read key=value; the value is JSON where it parses, text where it does not."""
    key, equals, value = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"write key=value, not {word!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--data", help='a data set, "synthetic", or a path of your own; the task\'s default')
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--by", choices=("group", "row"), default="group", help="what no two folds share")
    parser.add_argument("--seed", type=int, default=0, help="of folds, training, baselines and bootstrap draws")
    for name, what in (("config", "of the network, such as architecture=gru"), ("setting", "of its training")):
        parser.add_argument(f"--{name}", type=key_value, action="append", default=[], metavar="KEY=VALUE", help=what)
    parser.add_argument("--start", help="a model from whose weights every fold's training starts")
    parser.add_argument("--rows", type=int, help="so many rows, drawn at random, for a try")
    return parser.parse_args()


def main() -> None:
    """Run the folds and print the tables."""
    arguments = parse()
    disable_progress_bars()
    task = medhub.get(arguments.task)
    recipe = Recipe(
        task=task.id, data=arguments.data or task.dataset, seed=arguments.seed, start=arguments.start,
        config=dict(arguments.config), settings=dict(arguments.setting),
    )  # fmt: skip
    metrics = [task.metric(name) for name in task.metrics]
    folds = make_folds(task, recipe, folds=arguments.folds, by=arguments.by, most=arguments.rows)
    rows = concatenate_datasets([*folds[0].dataset_dict().values()])
    print(f"    {shlex.join(['python', *sys.argv])}\n\n{task.id} on {recipe.data}, {arguments.folds} folds by "
          f"{arguments.by}: {len(rows):,} rows of {len(set(rows['group'][:])):,} groups, data sha256 "
          f"{folds[0].data_sha256[:16]}, seed {recipe.seed}, commit {code_version()}\n", flush=True)  # fmt: skip
    all_answers, measured = [], []
    for number, splits in enumerate(folds, start=1):
        before = time.perf_counter()
        answers, outcome = run_fold(task, recipe, splits)
        all_answers.append(answers)
        measured.append(answers.measure(metrics))
        if number == 1:
            heads = ["fold", "split sha256", "train, validation, test", "best epoch", "validation", "seconds"]
            print(f"Metrics of {' / '.join(answers.scores)}:\n", *table([*heads, *task.metrics]), sep="\n")
        facts = [
            str(number), splits.split_sha256[:12], ", ".join(str(len(part)) for part in splits.dataset_dict().values()),
            str(outcome.best_epoch), f"{outcome.best_value:.3f}", f"{time.perf_counter() - before:.0f}",
        ]  # fmt: skip
        figures = [" / ".join(f"{value:.3f}" for value in values.values()) for values in measured[-1].values()]
        print(f"| {' | '.join([*facts, *figures])} |", flush=True)
    pooled = Answers.pooled(all_answers)
    print("", *summarise(measured, pooled, metrics, seed=recipe.seed), sep="\n")
    if pooled.targets.ndim == 1 and pooled.targets.dtype.kind in "iu":  # a class a row
        print("", *class_errors(pooled, folds[0].label_names), sep="\n")


if __name__ == "__main__":
    main()
