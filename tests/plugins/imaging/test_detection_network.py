"""The networks of imaging/detection, their assignment and their losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from medhub.errors import ConfigError
from medhub.plugins.imaging.detection.assignment import assign, is_object
from medhub.plugins.imaging.detection.config import ImageDetectionConfig
from medhub.plugins.imaging.detection.losses import distribution_focal_loss
from medhub.plugins.imaging.detection.model import ImageDetectionModel
from medhub.plugins.imaging.detection.ssd import log_odds
from medhub.plugins.imaging.detection.yolo import boxes_of

pytest.importorskip("timm")
pytest.importorskip("torchvision")
from torchvision.ops import batched_nms, box_iou

NETWORKS = ("yolo", "ssd")
NOBODY = torch.full((1, 5), -1.0)


def make(architecture: str, **changes) -> ImageDetectionModel:
    """Return a tiny model of two labels, in training mode."""
    names = {0: "square", 1: "disc"}
    config = ImageDetectionConfig.tiny(architecture, id2label=names, label2id={"square": 0, "disc": 1}, **changes)
    torch.manual_seed(0)
    return ImageDetectionModel(config).train()


def draw(size: int = 8) -> dict[str, Tensor]:
    """Return a batch of 64 by 64 images, each with a bright square and a disc; every fourth has no disc."""
    generator = np.random.default_rng(0)
    images = generator.normal(0, 0.1, (size, 3, 64, 64)).astype(np.float32)
    labels = np.full((size, 2, 5), -1, np.float32)
    rows, columns = np.mgrid[:64, :64]
    for number, (image, objects) in enumerate(zip(images, labels, strict=True)):
        for shape in (0,) if number % 4 == 3 else (0, 1):
            radius = generator.integers(6, 13)
            x, y = generator.integers(radius, 33 - radius + 6), generator.integers(radius, 64 - radius)
            x += 25 * shape  # squares left, discs right
            apart = np.stack([columns - x, rows - y])
            inside = (np.abs(apart).max(0) if shape == 0 else np.hypot(*apart)) <= radius
            image[:, inside] += 2
            objects[shape] = shape, x - radius, y - radius, x + radius + 1, y + radius + 1
    return {"pixel_values": torch.from_numpy(images), "labels": torch.from_numpy(labels)}


def descend(model: ImageDetectionModel, batch: dict[str, Tensor], *, steps: int, learning_rate: float) -> list[float]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        loss = model(**batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def found(model: ImageDetectionModel, images: Tensor) -> list[Tensor]:
    """Return for each image the boxes believed in, (n, 5): class and xyxy."""
    with torch.inference_mode():
        outputs = model.eval()(images)
    results = []
    for logits, boxes in zip(outputs.logits, outputs.boxes, strict=True):
        best, classes = logits.max(-1)
        kept = batched_nms(boxes, best, classes, 0.6)
        kept = kept[best[kept] > 0]
        results.append(torch.cat([classes[kept, None].float(), boxes[kept]], dim=1))
    return results


@pytest.mark.parametrize("architecture", NETWORKS)
def test_learns_eight_images_by_heart(architecture: str):
    batch = draw()
    model = make(architecture)
    losses = descend(model, batch, steps=60, learning_rate=5e-3)
    assert losses[-1] < 0.2 * losses[0]
    for labels, answer in zip(batch["labels"], found(model, batch["pixel_values"]), strict=True):
        truths = labels[labels[:, 0] >= 0]
        assert len(answer) == len(truths)
        for truth in truths:
            same = answer[answer[:, 0] == truth[0], 1:]
            assert box_iou(truth[None, 1:], same).max() > 0.5


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_weight_hears_of_the_loss(architecture: str):
    model = make(architecture)
    silent = {name for name, _ in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(3):
        optimiser.zero_grad()
        model(**draw()).loss.backward()
        silent -= {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
        optimiser.step()
    assert not silent


@pytest.mark.parametrize(
    ("architecture", "candidates"), [("yolo", 8 * 10 + 4 * 5), ("ssd", 4 * (7 * 9 + 4 * 5 + 2 * 3))]
)
def test_candidates_of_any_size_of_image(architecture: str, candidates: int):
    model = make(architecture).eval()
    with torch.inference_mode():
        outputs = model(torch.randn(2, 3, 50, 71))
    assert outputs.loss is None
    assert outputs.logits.shape == (2, candidates, 2)
    assert outputs.boxes.shape == (2, candidates, 4)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_candidates_move_with_the_image(architecture: str):
    model = make(architecture).eval()
    image = torch.zeros(1, 3, 256, 256)
    image[..., 96:128, 96:128] = torch.randn(32, 32)
    with torch.inference_mode():
        before, after = (model(pixels) for pixels in (image, image.roll((32, 64), dims=(2, 3))))
    # the best candidate inside: at the border, padding tells where things are
    where = [outputs.boxes[0][outputs.logits[0, :, 0].argmax()] for outputs in (before, after)]
    torch.testing.assert_close(where[1] - where[0], torch.tensor([64.0, 32, 64, 32]), atol=0.1, rtol=0)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_images_without_objects_have_a_loss(architecture: str):
    model, images = make(architecture), draw(2)["pixel_values"]
    flat = torch.tensor([[[0.0, 5, 5, 5, 20]], [[-1.0, 0, 0, 0, 0]]])  # a box without any width is none
    losses = [model(images, labels=labels).loss for labels in (NOBODY.repeat(2, 1, 1), NOBODY.repeat(2, 0, 1), flat)]
    assert all(loss.isfinite() for loss in losses)
    assert losses[0] == losses[1]
    losses[0].backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("architecture", NETWORKS)
def test_an_empty_image_in_a_batch_teaches(architecture: str):
    batch = draw(2)
    batch["labels"][1] = -1
    batch["pixel_values"].requires_grad_()
    model = make(architecture).eval()  # so that images do not meet in BatchNorm
    model(**batch).loss.backward()
    assert batch["pixel_values"].grad[1].any()


@pytest.mark.parametrize("architecture", NETWORKS)
def test_padding_and_order_of_labels_do_not_matter(architecture: str):
    model, batch = make(architecture).eval(), draw(4)
    padded = torch.cat([torch.full((4, 3, 5), -1.0), batch["labels"].flip(1)], dim=1)
    expected, loss = (model(batch["pixel_values"], labels=labels).loss for labels in (batch["labels"], padded))
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_bfloat16_keeps_loss_and_boxes_in_float32(architecture: str):
    model, batch = make(architecture), draw()
    expected = model(**batch).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(**batch)
    assert {outputs[name].dtype for name in ("loss", "logits", "boxes")} == {torch.float32}
    torch.testing.assert_close(outputs.loss, expected, rtol=0.05, atol=0)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_saved_model_is_the_same(architecture: str, tmp_path: Path):
    model, images = make(architecture).eval(), draw(2)["pixel_values"]
    model.save_pretrained(tmp_path)
    loaded = ImageDetectionModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        before, after = model(images), loaded(images)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.boxes, after.boxes)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_candidate_depends_on_the_attribution_layer(architecture: str):
    model = make(architecture).eval()
    seen: list[Tensor] = []
    model.attribution_layer().register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(draw(1)["pixel_values"]).logits[0].sum(-1)
    for candidate in (0, len(logits) // 2, -1):  # from the finest map to the coarsest
        (gradient,) = torch.autograd.grad(logits[candidate], seen[0], retain_graph=True)
        assert gradient.any()


@pytest.mark.parametrize("architecture", NETWORKS)
def test_published_networks_are_small(architecture: str):
    names = {0: "RBC", 1: "WBC", 2: "platelet"}
    model = ImageDetectionModel(ImageDetectionConfig(architecture=architecture, id2label=names))
    weights = sum(weight.numel() for weight in model.parameters())
    assert weights <= {"yolo": 3e6, "ssd": 6e6}[architecture]


def test_assignment_of_one_object_among_cells():
    centres = torch.tensor([[4.0, 4], [12, 4], [20, 4], [28, 4]])
    boxes = torch.tensor([[[0.0, 0, 8, 8], [8, 0, 16, 8], [8, 0, 24, 8], [24, 0, 32, 8]]])
    labels = torch.tensor([[[1.0, 8, 0, 24, 8], [-1, 0, 0, 0, 0]]])
    probabilities = torch.tensor([[[0.9, 0.9], [0.9, 0.4], [0.0, 0.5], [0.9, 0.9]]])
    target = assign(probabilities, boxes, labels, centres=centres, least_reach=torch.tensor(4.0))
    # of the two cells inside, one overlaps entirely and the other by half: .4 x .5^6 beside .5 x 1
    torch.testing.assert_close(target.quality, torch.tensor([[0.0, 0.4 * 0.5**6 / 0.5, 1.0, 0.0]]))
    assert target.classes[0, 1:3].tolist() == [1, 1]
    assert torch.equal(target.boxes[0, 1:3], labels[0, :1, 1:].repeat(2, 1))


def test_a_cell_goes_to_the_object_that_it_overlaps_most():
    centres = torch.tensor([[8.0, 8], [16, 8]])
    boxes = torch.tensor([[[0.0, 0, 16, 16], [2, 0, 30, 16]]])
    labels = torch.tensor([[[0.0, 0, 0, 17, 16], [1, 2, 0, 32, 16]]])
    target = assign(torch.full((1, 2, 2), 0.5), boxes, labels, centres=centres, least_reach=torch.tensor(4.0))
    assert target.classes.tolist() == [[0, 1]]
    torch.testing.assert_close(target.quality, torch.tensor([[16 / 17, 28 / 30]]))


def test_an_object_smaller_than_a_cell_is_given_one():
    centres = torch.tensor([[4.0, 4], [12, 4]])
    boxes = torch.tensor([[[0.0, 0, 8, 8], [8, 0, 16, 8]]])
    labels = torch.tensor([[[0.0, 5, 5, 7, 7]]])
    target = assign(torch.full((1, 2, 1), 0.5), boxes, labels, centres=centres, least_reach=torch.tensor(4.0))
    assert (target.quality > 0).tolist() == [[True, False]]


def test_a_box_without_area_is_no_object():
    labels = torch.tensor([[[0.0, 1, 1, 2, 2], [0, 1, 1, 1, 2], [-1, 1, 1, 2, 2]]])
    assert is_object(labels).tolist() == [[True, False, False]]


def test_boxes_lie_at_the_expected_distances():
    beliefs = torch.full((1, 1, 4, 8), -100.0)
    beliefs[0, 0, torch.arange(4), torch.tensor([1, 2, 3, 0])] = 100.0
    box = boxes_of(beliefs, centres=torch.tensor([[20.0, 20]]), strides=torch.tensor([[4.0]]))
    torch.testing.assert_close(box, torch.tensor([[[16.0, 12, 32, 20]]]))


def test_distribution_focal_loss_is_least_at_the_distance():
    distances = torch.tensor([[2.25, 0.0, 7.0, 9.0]])
    best = torch.full((1, 4, 8), -30.0)
    best[0, 0, 2:4] = torch.tensor([0.75, 0.25]).log()
    best[0, 1, 0] = best[0, 2, 7] = best[0, 3, 7] = 0.0  # a distance beyond the last bin is the last
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    torch.testing.assert_close(distribution_focal_loss(best, distances), torch.tensor([entropy / 4]).float())
    other = distribution_focal_loss(best + torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0)), distances)
    assert other > entropy / 4


def test_log_odds_are_those_of_softmax():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_odds(logits).sigmoid(), logits.softmax(-1)[:, 1:])
    assert log_odds(torch.tensor([0.0, 200, -200])).tolist() == [200, -400]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strides": [8, 32]}, "twice"),
        ({"widths": [8, 16]}, "one width for each halving"),
        ({"neck_width": 20}, "multiple of 8"),
        ({"architecture": "ssd", "backbone": "resnet10"}, "resnet10t"),
        ({"architecture": "ssd", "box_sizes": [10.0, 20.0]}, "need 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict, said: str):
    with pytest.raises(ConfigError, match=said):
        ImageDetectionConfig.tiny(**changes)
