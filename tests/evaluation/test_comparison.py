"""The report: network and baselines on the same rows, what stands in it, and its way through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from medhub.data import Splits, prepare
from medhub.errors import BrokenPlugin, LoadError
from medhub.evaluation import Estimate, Report, calibrate, evaluate, prepare_examples
from medhub.evaluation.comparison import compare, measure_labels
from medhub.metrics import METRICS, Metric
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.registry import Task

Network = tuple[MedModel, Processor]


@pytest.fixture
def report(task: Task, network: Network, splits: Splits) -> Report:
    model, processor = network
    calibrate(model, processor, prepare(splits.validation, processor))
    return evaluate(task, model, processor, splits, bootstrap=50, seed=3, command="medhub evaluate runs/rhythm")


def test_network_and_baselines_are_measured_on_the_same_test_rows(
    report: Report, task: Task, network: Network, splits: Splits
) -> None:
    baselines = task.module("baselines").BASELINES
    assert list(report.models) == ["cnn", *baselines]
    for name, baseline in baselines.items():
        scores = baseline(splits.train, splits.test, labels=splits.label_names, processor=network[1], seed=3)
        expected = METRICS["auroc"].compute(scores, np.array(splits.test["labels"][:]))
        assert report.models[name]["auroc"].value == pytest.approx(expected)
    assert set(report.numbers) == set(task.metrics)
    assert report.rows == {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)}
    assert report.groups == len(set(splits.test["group"]))


def test_metrics_are_taken_with_what_the_processor_knows(
    task: Task, network: Network, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = network
    monkeypatch.setattr(processor, "metric", lambda metric: replace(metric, prepare=None, reduce=lambda *_: 0.25))
    report = evaluate(task, model, processor, splits, bootstrap=5, command="medhub evaluate runs/rhythm")
    assert {number.value for numbers in report.models.values() for number in numbers.values()} == {0.25}


def test_the_same_seed_gives_the_same_report(report: Report, task: Task, network: Network, splits: Splits) -> None:
    model, processor = network
    again = evaluate(task, model, processor, splits, bootstrap=50, seed=3, command=report.command)
    other = evaluate(task, model, processor, splits, bootstrap=50, seed=4, command=report.command)
    assert again == report
    assert other.numbers["auroc"].value == report.numbers["auroc"].value
    assert other.models != report.models


def test_a_report_goes_through_json_unchanged(report: Report) -> None:
    assert Report.from_dict(json.loads(report.to_json())) == report
    assert report.coverage is not None
    assert report.difference is not None


def test_a_tasks_tables_stand_in_the_report_and_on_the_card(report: Report) -> None:
    assert report.tables is None  # this task has none
    shown = replace(report, tables={"How | often": [["told", "true"], ["0.1", "a|b"]]})
    assert Report.from_dict(json.loads(shown.to_json())) == shown
    assert "a\\|b" in shown.to_markdown()


def test_a_metric_that_no_model_has_a_value_of_is_named_and_not_shown(report: Report) -> None:
    undefined = Estimate(value=None, low=None, high=None, undefined=report.bootstrap)
    bare = replace(report, models={name: {**each, "mcc": undefined} for name, each in report.models.items()})
    assert "mcc" in report.to_markdown()
    assert "Not defined on these rows: mcc." in bare.to_markdown()
    assert not any(row[0].startswith("mcc") for row in bare.to_table())


def test_a_report_with_other_keys_is_refused(report: Report) -> None:
    values = report.to_dict()
    del values["commit"]
    with pytest.raises(LoadError, match="missing keys \\['commit'\\]"):
        Report.from_dict({**values})
    with pytest.raises(LoadError, match="unknown keys \\['comit'\\]"):
        Report.from_dict({**values, "comit": "abc"})


def test_without_baselines_there_is_nothing_to_compare(task: Task, network: Network, splits: Splits) -> None:
    report = evaluate(task, *network, splits, baselines=False, bootstrap=10, command="")
    assert list(report.models) == ["cnn"]
    assert report.difference is None
    assert report.coverage is None


def test_a_baseline_of_another_shape_is_named(
    task: Task, network: Network, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flat(train, test, *, labels, processor, seed):
        return np.zeros(len(test))

    monkeypatch.setitem(task.module("baselines").BASELINES, "flat", flat)
    with pytest.raises(BrokenPlugin, match="baseline 'flat' gives scores of shape"):
        evaluate(task, *network, splits, bootstrap=10)


def test_the_difference_is_to_the_best_baseline_and_above_zero_where_the_network_is_better() -> None:
    values = {"net": 0.8, "weak": 0.6, "strong": 0.7}
    replicates = np.array([[0.8, 0.6, 0.7], [0.9, 0.5, 0.75], [0.7, 0.6, 0.65]])
    difference = compare(values, replicates, metric=METRICS["auroc"])
    assert difference is not None
    assert difference.baseline == "strong"
    assert difference.advantage.value == pytest.approx(0.1)
    assert difference.advantage.low == pytest.approx(np.percentile([0.1, 0.15, 0.05], 2.5))
    assert str(difference).endswith("The network is ahead.")
    lower = compare(values, replicates, metric=METRICS["brier"])
    assert lower is not None
    assert lower.baseline == "weak"
    assert str(lower).endswith("The network is behind.")


def test_a_difference_whose_interval_holds_zero_decides_nothing() -> None:
    replicates = np.array([[0.8, 0.7], [0.6, 0.7]])
    assert "do not show" in str(compare({"net": 0.7, "other": 0.7}, replicates, metric=METRICS["auroc"]))


def test_each_label_is_measured_on_its_known_rows() -> None:
    targets = np.array([[1, 0], [0, np.nan], [1, np.nan], [0, 0]])
    scores = np.array([[0.9, 0.2], [0.1, 0.3], [0.2, 0.9], [0.3, 0.1]])
    metrics = [METRICS["auroc"], METRICS["accuracy"]]
    labels = measure_labels(scores, targets, {}, metrics=metrics, names=("liver", "heart"))
    assert labels == {
        "liver": {"examples": 4, "positive": 2, "auroc": 0.75, "accuracy": 0.75},
        "heart": {"examples": 2, "positive": 0, "auroc": None, "accuracy": 1.0},
    }
    classes = np.array([1, 0, 1, 0])
    examples = prepare_examples(metrics, scores, classes)
    assert measure_labels(scores, classes, examples, metrics=metrics, names=("no", "yes")) is None


def test_a_metric_that_knows_labels_is_reported_label_by_label() -> None:
    found = Metric(
        "found", lambda shares: shares.mean(axis=0), best=1.0, prepare=lambda s, t: (s == t,), per_label=True
    )
    scores, truths = np.array([[1, 2], [1, 2], [0, 2]]), np.array([[1, 2], [1, 0], [1, 0]])
    examples = prepare_examples([found], scores, truths)
    assert found.compute(scores, truths) == pytest.approx((2 / 3 + 1 / 3) / 2)
    labels = measure_labels(scores, truths[:, 0], examples, metrics=[found], names=("cell", "nucleus"))
    assert labels == {"cell": {"found": pytest.approx(2 / 3)}, "nucleus": {"found": pytest.approx(1 / 3)}}


def test_a_label_that_looks_like_markup_stays_text(report: Report) -> None:
    odd = "<script>alert(1)</script> | **bold** [x](http://evil)"
    labels = {odd: {"examples": 4, "positive": 2, "auroc": 0.5}}
    text = replace(report, labels=labels, dataset=odd).to_markdown()
    assert "<script>" not in text
    assert "**bold**" not in text
    assert "[x](" not in text
    rows = [line for line in text.splitlines() if line.startswith("| &lt;script")]
    assert len(rows) == 1
    assert rows[0].replace(r"\|", "").count("|") == 5


def test_numbers_are_rounded_for_display_only(report: Report) -> None:
    value = report.numbers["auroc"].value
    assert value is not None
    assert f"{value:.3f} (" in report.to_table()[1][1]
    assert json.loads(report.to_json())["models"]["cnn"]["auroc"]["value"] == value
