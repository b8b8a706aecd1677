"""Figures of parts of the test rows: which columns name parts, which parts are told, and their way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import Dataset

from medhub.data import Splits, Table, load_data
from medhub.evaluation import Report, evaluate, measure_subgroups, prepare_examples
from medhub.metrics import METRICS
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.registry import Task

METRIC = [METRICS["auroc"], METRICS["brier"]]


def rows(**columns: list) -> tuple[Dataset, np.ndarray, np.ndarray]:
    """120 rows of 60 groups, with scores that are right for the first half of them only."""
    random = np.random.default_rng(0)
    labels = np.tile([0, 1], 60)
    risk = np.where(np.arange(120) < 60, 0.1 + 0.8 * labels, random.random(120))
    groups = [f"p{row // 2}" for row in range(120)]
    test = Dataset.from_dict({"input": groups, "labels": labels, "group": groups, **columns})
    return test, np.stack([1 - risk, risk], axis=1), labels


def measured(**columns: list):
    test, scores, labels = rows(**columns)
    return measure_subgroups(test, prepare_examples(METRIC, scores, labels), metrics=METRIC, replicates=40, seed=0)


def test_each_value_of_a_column_of_text_has_figures_of_its_own_rows():
    found = measured(hospital=["north"] * 60 + ["south"] * 60, beds=[*range(120)], split=["test"] * 120)
    assert found is not None
    assert [*found] == ["hospital"]
    north, south = found["hospital"]["north"], found["hospital"]["south"]
    assert (north.rows, north.groups) == (60, 30)
    assert north.numbers["auroc"].value == 1
    _, scores, labels = rows()
    assert south.numbers["brier"].value == pytest.approx(METRICS["brier"].compute(scores[60:], labels[60:]))
    low, high = south.numbers["auroc"].low, south.numbers["auroc"].high
    assert low is not None
    assert high is not None
    assert low < south.numbers["auroc"].value < high


def test_parts_of_few_groups_and_columns_of_one_part_are_not_told():
    assert measured(sex=["F"] * 102 + ["M"] * 18) is None  # nine patients
    found = measured(sex=["F"] * 60 + ["M"] * 40 + [""] * 20, country=["x"] * 120)
    assert found is not None
    assert {column: [*parts] for column, parts in found.items()} == {"sex": ["F", "M", "unknown"]}


def test_a_report_tells_subgroups_and_goes_through_json_and_older_ones_have_none(
    task: Task, network: tuple[MedModel, Processor], splits: Splits
):
    whole = task.module("data").synthetic(size=1500)
    sexes = [("F", "M")[sum(map(ord, group)) % 2] for group in whole.rows["group"]]
    table = Table(rows=whole.rows.add_column("sex", sexes), label_names=whole.label_names)
    report = evaluate(task, *network, load_data(table, seed=0), baselines=False, bootstrap=20, command="x")
    assert report.subgroups is not None
    assert sum(part.rows for part in report.subgroups["sex"].values()) == report.rows["test"]
    assert Report.from_dict(json.loads(report.to_json())) == report
    assert "| sex | rows | groups |" in report.to_markdown()
    older = report.to_dict()
    del older["subgroups"]
    assert Report.from_dict(older).subgroups is None
    assert evaluate(task, *network, splits, baselines=False, bootstrap=5, command="x").subgroups is None
