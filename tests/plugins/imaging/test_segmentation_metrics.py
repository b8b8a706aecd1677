"""The metrics of imaging/segmentation, held to MONAI's, and what the bootstrap asks of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medhub.evaluation.bootstrap import draw_groups, prepare_examples, replicate
from medhub.plugins.imaging.segmentation.label_map import LabelMap
from medhub.plugins.imaging.segmentation.metrics import METRICS, object_overlaps, perfect, surface_distances
from medhub.processing import as_rows

pytest.importorskip("scipy")


def blobs(seed: int, shape: tuple[int, ...], *, labels: int = 2) -> np.ndarray:
    """Return a smooth random map of labels."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    noise = np.stack([gaussian_filter(random.normal(size=shape), 2) for _ in range(labels + 1)])
    return noise.argmax(0).astype(np.uint8)


def as_map(classes, instances=None, *, spacing=None, labels: int = 2) -> LabelMap:
    return LabelMap(
        classes=np.asarray(classes, np.uint8), instances=instances, spacing=spacing, confidence=(1.0,) * labels
    )


def one_hot(classes: np.ndarray, labels: int = 2) -> torch.Tensor:
    """Return what MONAI compares: (1, background and labels, *space)."""
    return torch.from_numpy(np.stack([classes == number for number in range(labels + 1)])[None].astype(np.float32))


def figures(name: str, answer: LabelMap, truth: LabelMap) -> np.ndarray:
    metric = METRICS[name]
    return metric.labels(metric.examples(as_rows([answer]), as_rows([truth])))


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")  # MONAI warns of its own options
@pytest.mark.parametrize(("shape", "spacing"), [((40, 50), None), ((12, 20, 16), (2.0, 0.8, 1.1))])
def test_figures_of_an_image_are_monais(shape, spacing):
    metrics = pytest.importorskip("monai.metrics")
    truth, answer = blobs(0, shape), blobs(0, shape)
    answer[blobs(1, shape) == 0] = 0
    found, true = one_hot(answer), one_hot(truth)
    pair = as_map(answer, spacing=spacing), as_map(truth, spacing=spacing)
    at = {"spacing": spacing or 1.0}

    dice = metrics.compute_dice(found, true, include_background=False)[0]
    iou = metrics.compute_iou(found, true, include_background=False)[0]
    distance = metrics.compute_hausdorff_distance(found, true, percentile=95, **at)[0]
    tolerance = 1.0 if spacing else 2.0
    surface = metrics.compute_surface_dice(found, true, class_thresholds=[tolerance] * 2, **at)[0]
    for name, theirs in (("dice", dice), ("iou", iou), ("hd95", distance), ("surface_dice", surface)):
        np.testing.assert_allclose(figures(name, *pair), theirs.numpy(), rtol=1e-5, err_msg=name)


def test_distances_are_those_between_two_walls():
    found, true = np.zeros((9, 20), bool), np.zeros((9, 20), bool)
    found[2:7, 3], true[2:7, 8] = True, True
    there, back = surface_distances(found, true, spacing=(1.0, 0.5))
    assert there.tolist() == back.tolist() == [2.5] * 5


def test_a_region_that_only_one_side_has_counts_as_wrong_as_can_be():
    empty, full = np.zeros((6, 8)), np.zeros((6, 8))
    full[2:4, 2:4] = 1
    for pair in ((empty, full), (full, empty)):
        answer, truth = (as_map(classes) for classes in pair)
        for name, worst in (("dice", 0.0), ("iou", 0.0), ("surface_dice", 0.0), ("ap50", 0.0), ("hd95", 10.0)):
            found = figures(name, answer, truth)
            assert found[0] == worst, name
            assert np.isnan(found[1]), f"{name}: no image has label 2"


def test_labels_are_averaged_over_the_images_that_have_them():
    classes = [[[1, 1, 0, 0]], [[1, 0, 0, 0]]]
    truth = [[[1, 1, 0, 0]], [[0, 0, 2, 0]]]
    metric = METRICS["dice"]
    examples = metric.examples(*(as_rows([as_map(row) for row in rows]) for rows in (classes, truth)))
    assert metric.labels(examples).tolist() == [0.5, 0.0]  # of label 1: 1 and 0; of label 2: missed in its only image
    assert metric.value(examples) == 0.25


@pytest.mark.parametrize("name", METRICS)
def test_perfect_answers_get_the_best_value(name: str):
    truths = as_rows([as_map(blobs(seed, (30, 30))) for seed in range(3)])
    assert METRICS[name].compute(perfect(truths, count=2), truths) == METRICS[name].best


def test_objects_are_matched_at_half_overlap():
    true = np.zeros((10, 30), np.int32)
    true[2:8, 0:6], true[2:8, 10:16], true[2:8, 20:26] = 1, 2, 3
    found = np.zeros_like(true)
    found[2:8, 0:5], found[2:8, 13:19], found[0, 29] = 7, 4, 9  # matched, too far off, and invented
    iou = object_overlaps(found, true)
    np.testing.assert_allclose(iou, [[0, 1 / 3, 0], [5 / 6, 0, 0], [0, 0, 0]])
    answer, truth = (as_map(numbers > 0, numbers, labels=1) for numbers in (found, true))
    assert figures("ap50", answer, truth).tolist() == [1 / 5]


def test_touching_objects_are_two_only_where_objects_are_told_apart():
    numbers = np.zeros((8, 12), np.int32)
    numbers[2:6, 2:6], numbers[2:6, 6:10] = 1, 2
    merged = np.where(numbers > 0, 1, 0).astype(np.int32)
    truth = as_map(numbers > 0, numbers, labels=1)
    assert figures("ap50", as_map(merged > 0, merged, labels=1), truth).tolist() == [0.0]
    assert figures("ap50", as_map(merged, labels=1), as_map(numbers > 0, labels=1)).tolist() == [1.0]


def test_a_bootstrap_redraws_images_that_were_measured_once():
    truths = as_rows([as_map(blobs(seed, (24, 24))) for seed in range(6)])
    scores = as_rows([as_map(blobs(seed // 2, (24, 24))) for seed in range(6)])
    metrics = [*METRICS.values()]
    prepared = prepare_examples(metrics, scores, truths)
    assert len(prepared) == 3, "overlap, surfaces and objects are each prepared once"
    drawn = replicate({"model": prepared}, groups=[*"abcdef"], metrics=metrics, replicates=4, seed=0)
    for values, rows in zip(drawn[:, 0], draw_groups([*"abcdef"], replicates=4, seed=0), strict=True):
        np.testing.assert_allclose(values, [metric.compute(scores[rows], truths[rows]) for metric in metrics])
