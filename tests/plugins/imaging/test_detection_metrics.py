"""The metrics of imaging/detection: cases worked by hand, and COCO's own counting."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

import medhub
from medhub.plugins.imaging.detection.calibration import fit_calibration
from medhub.plugins.imaging.detection.metrics import METRICS, OVERLAPS, intersection_over_union, match, perfect
from medhub.processing import as_rows

A, B, C = [0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]
NOTHING = np.zeros((0, 6))


def found(*boxes: tuple[list[float], float, int]) -> NDArray:
    return np.array([[*box, probability, label] for box, probability, label in boxes]).reshape(-1, 6)


def true(*boxes: tuple[int, list[float]]) -> NDArray:
    return np.array([[label, *box] for label, box in boxes], float).reshape(-1, 5)


def value(name: str, scores: list[NDArray], truths: list[NDArray]) -> float:
    return METRICS[name].compute(as_rows(scores), as_rows(truths))


def draw(images: int, *, labels: int = 3, boxes: int = 30, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Return made-up boxes, many near a true one and some of them under a wrong label, and the true ones."""
    random = np.random.default_rng(seed)
    scores, truths = [], []
    for _ in range(images):
        corners = random.uniform(0, 250, (random.integers(1, 12), 2))
        truth = np.column_stack([random.integers(0, labels, len(corners)), corners,
                                 corners + random.uniform(25, 60, corners.shape)])  # fmt: skip
        near = truth[random.integers(0, len(truth), boxes)]
        moved = near[:, 1:] + random.normal(0, 4, (boxes, 4))
        label = np.where(random.random(boxes) < 0.8, near[:, 0], random.integers(0, labels, boxes))
        scores.append(np.column_stack([moved, random.random(boxes).astype(np.float32), label]))
        truths.append(truth)
    return as_rows(scores), as_rows(truths)


# --- worked by hand


def test_overlaps():
    overlaps = intersection_over_union(np.array([A, B]), np.array([[5, 0, 15, 10], [0, 0, 10, 10], C]))
    np.testing.assert_allclose(overlaps, [[1 / 3, 1, 0], [0, 0, 0]])


def test_a_truth_is_found_once_and_by_the_most_probable():
    table = match(found((A, 0.6, 0), ([0, 0, 10, 9], 0.9, 0)), true((0, A)))
    assert table[:, 1].tolist() == [0.9, 0.6]
    # the box of overlap .9 is right up to .9; beyond, the truth is free for the perfect one
    np.testing.assert_array_equal(table[0, 2:], OVERLAPS <= 0.9)
    np.testing.assert_array_equal(table[1, 2:], OVERLAPS > 0.9)


def test_a_box_under_the_wrong_label_finds_nothing():
    assert not match(found((A, 0.9, 1)), true((0, A)))[:, 2:].any()


def test_average_precision_by_hand():
    # right, wrong, right of two truths: precision 1 up to recall .5, 2/3 from there: (51 + 50 * 2/3) / 101
    scores = [found((A, 0.9, 0), (C, 0.8, 0), (B, 0.7, 0))]
    assert value("map50", scores, [true((0, A), (0, B))]) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_what_is_missed_costs_recall():
    assert value("map50", [found((A, 0.9, 0))], [true((0, A), (0, B))]) == pytest.approx(51 / 101)
    assert value("map50", [NOTHING], [true((0, A))]) == 0


def test_stricter_overlaps_count_in_map_only():
    scores, truths = [found(([0, 0, 10, 7.6], 0.9, 0))], [true((0, A))]  # overlap .76: six of the ten levels
    assert value("map50", scores, truths) == pytest.approx(1)
    assert value("map", scores, truths) == pytest.approx(0.6)


def test_sensitivity_at_false_positives_by_hand():
    # two images; in order: wrong, right, wrong, right. 1/8 and 1/4 an image allow none, 1/2 one, from 1 on both
    scores = [found((C, 0.9, 0), (A, 0.8, 0)), found((C, 0.7, 0), (A, 0.6, 0))]
    assert value("froc", scores, [true((0, A))] * 2) == pytest.approx((0 + 0 + 1 / 2 + 4 * 1) / 7)


def test_counts_may_cancel_over_images_but_their_errors_do_not():
    scores = [found((A, 0.9, 0), (B, 0.5, 0), (C, 0.49, 0)), NOTHING]
    truths = [true((0, A)), true((0, A))]
    assert value("counting", scores, truths) == 1
    assert value("count_error", scores, truths) == 1
    assert value("expected_counting", scores, truths) == pytest.approx(1 - abs(0.9 + 0.5 + 0.49 - 2) / 2)
    assert value("counting", [found(*[(A, 0.9, 0)] * 5)], [true((0, A))]) == 0  # not below


def test_a_label_without_truth_has_no_value():
    scores, truths = as_rows([found((A, 0.9, 0), (B, 0.8, 1))]), as_rows([true((0, A))])
    for name in ("map50", "map", "froc", "counting"):
        metric = METRICS[name]
        labels = metric.labels(metric.examples(scores, truths))
        assert labels is not None
        np.testing.assert_array_equal(labels, [1, np.nan])
        assert metric.compute(scores, truths) == 1


def test_perfect_scores_are_best():
    truths = draw(5)[1]
    for metric in METRICS.values():
        assert metric.compute(perfect(truths, count=3), truths) == pytest.approx(metric.best)


def test_the_task_names_these_metrics():
    assert set(medhub.get("imaging/detection").metrics) == METRICS.keys()


# --- COCO's own


def coco_precision(scores: NDArray, truths: NDArray, *, labels: int) -> NDArray:
    """Return pycocotools' average precision, (labels, overlaps)."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    truth, answer = coco.COCO(), coco.COCO()
    images = [{"id": image} for image in range(len(truths))]
    categories = [{"id": label} for label in range(labels)]
    for side, rows, label, first in ((truth, truths, 0, 1), (answer, scores, 5, 0)):
        annotations = []
        for image, row in enumerate(rows):
            for each in row:
                x1, y1, x2, y2 = each[first : first + 4]
                annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": int(each[label]),
                                    "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0,
                                    "score": each[4]})  # fmt: skip
        side.dataset = {"images": images, "categories": categories, "annotations": annotations}
        side.createIndex()
    run = evaluation.COCOeval(truth, answer, "bbox")
    run.evaluate()
    run.accumulate()
    return run.eval["precision"][:, :, :, 0, -1].mean(axis=1).T


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_coco(seed: int, capsys: pytest.CaptureFixture):
    scores, truths = draw(12, seed=seed)
    expected = coco_precision(scores, truths, labels=3)
    for name, column in (("map50", expected[:, 0]), ("map", expected.mean(1))):
        metric = METRICS[name]
        np.testing.assert_allclose(metric.labels(metric.examples(scores, truths)), column, atol=1e-12)


# --- what a bootstrap asks


def test_redrawn_examples_count_as_often_as_they_are_drawn():
    scores, truths = draw(6)
    rows = np.array([3, 3, 0, 5, 3, 1])
    for metric in METRICS.values():
        drawn = metric.value(tuple(column[rows] for column in metric.examples(scores, truths)))
        assert drawn == pytest.approx(metric.compute(scores[rows], truths[rows])), metric.name


def test_a_thousand_draws_take_seconds():
    scores, truths = draw(60, boxes=200)
    examples = METRICS["map"].examples(scores, truths)
    started = time.process_time()
    for _ in range(100):
        METRICS["map"].value(examples)
    assert time.process_time() - started < 1


# --- calibration


def test_calibration_turns_scores_into_the_share_of_right_boxes():
    random = np.random.default_rng(0)
    scores, truths = [], []
    for _ in range(400):  # of boxes with score p, a share of p squared is right
        probability = random.uniform(0.05, 0.95, 2)
        right = random.random(2) < probability**2
        scores.append(found((A, probability[0], 0), (B, probability[1], 0)))
        truths.append(true(*[(0, box) for box, is_right in zip((A, B), right, strict=True) if is_right]))
    calibration, said = fit_calibration(as_rows(scores), as_rows(truths), names=["cell"], before=None)
    ((slope, offset),) = calibration
    for probability in (0.3, 0.5, 0.7, 0.9):
        fitted = 1 / (1 + np.exp(-slope * np.log(probability / (1 - probability)) - offset))
        assert fitted == pytest.approx(probability**2, abs=0.06)
    assert "400 validation images" in said


def test_calibration_goes_on_from_the_one_before():
    scores, truths = draw(30, labels=1)
    first = fit_calibration(scores, truths, names=["cell"], before=None)[0][0]
    # scores that a calibration of (2, -1) made lead back to the same line over the network's own logits
    logits = (np.log(row[:, 4] / (1 - row[:, 4])) for row in scores)
    before = [[2.0, -1.0]]
    changed = as_rows([np.column_stack([row[:, :4], 1 / (1 + np.exp(1 - 2 * logit)), row[:, 5]])
                       for row, logit in zip(scores, logits, strict=True)])  # fmt: skip
    again = fit_calibration(changed, truths, names=["cell"], before=before)[0][0]
    np.testing.assert_allclose(again, first, atol=0.05)


def test_calibration_leaves_labels_with_few_or_misleading_boxes():
    wrong_way = [found((A, 0.9, 0), (B, 0.2, 0), (B, 0.9, 1))] * 10, [true((0, B))] * 10
    calibration, said = fit_calibration(*map(as_rows, wrong_way), names=["cell", "rare"], before=None)
    slope, offset = calibration[0]
    assert 0 < slope < 0.1
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(0.5, abs=0.05)  # half of the boxes are right
    assert calibration[1] == [1.0, 0.0]
    assert "For rare there were too few" in said
