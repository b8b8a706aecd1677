"""Tox21's dense network on the tenth of the molecules that had no part in choosing its settings: one table.

    MEDHUB_MIRROR=... python benchmarks/tox21_untouched.py

Features, dropout and the like were chosen on the other nine tenths, which the splits of benchmarks/tasks.py mix with
this one. Single molecules are drawn at random, so this says nothing of new scaffolds.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import medhub
from medhub.data import Splits, load_data, prepare
from medhub.evaluation import predict_scores
from medhub.evaluation.comparison import score_baselines
from medhub.recipe import Recipe, make_config, make_settings
from medhub.training import train

TASK = medhub.get("chem/toxicity")
METRICS = [TASK.metric(name) for name in ("auroc", "auprc")]


def untouched_split() -> Splits:
    """Return Tox21 with the untouched tenth as its test part; a ninth of the rest validates."""
    source = TASK.source("tox21")
    table = source.load(source.fetch())
    part = np.full(len(table.rows), "train", dtype="<U10")
    shuffled = np.random.default_rng(12345).permutation(len(part))  # as when the settings were chosen
    test, others = np.split(shuffled, [len(part) // 10])
    part[test] = "test"
    part[np.random.default_rng(0).permutation(others)[: len(others) // 9]] = "validation"
    rows = table.rows.remove_columns("group").add_column("group", table.rows["input"][:])
    return load_data(replace(table, rows=rows.add_column("split", part.tolist())), split="official")


def main() -> None:
    """Train with the published settings over three seeds, and print means beside the baselines."""
    splits = untouched_split()
    found = []
    for seed in range(3):
        recipe = Recipe(task=TASK.id, architecture="dnn", seed=seed)
        config = make_config(TASK, recipe, label_names=splits.label_names)
        processor = TASK.processor_class.fit(splits.train, config)
        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory() as folder:
            outcome = train(
                TASK.model_class(config), prepare(splits.train, processor), prepare(splits.validation, processor),
                processor, settings=make_settings(TASK, recipe, architecture="dnn"), folder=Path(folder),
                metric=METRICS[0],
            )  # fmt: skip
        scores, targets = predict_scores(outcome.model, prepare(splits.test, processor), processor)
        found.append([metric.compute(scores, targets) for metric in METRICS])
    print("| model | auroc | auprc |\n|---|---|---|")
    print(
        "| **dnn**",
        *(f"{statistics.mean(v):.3f} ± {statistics.stdev(v):.3f}" for v in zip(*found, strict=True)),
        sep=" | ",
    )
    for name, baseline in score_baselines(TASK, splits, like=scores, seed=0).items():
        print(f"| {name}", *(f"{metric.compute(baseline, targets):.3f}" for metric in METRICS), sep=" | ", end=" |\n")
    print(f"\n{len(splits.test)} test molecules, split sha256 {splits.split_sha256[:12]}")


if __name__ == "__main__":
    main()
