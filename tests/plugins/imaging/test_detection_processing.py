"""Processing of imaging/detection: boxes there and back, augmentation, what is kept of candidates, results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from medhub.errors import InputError, ModalityError
from medhub.plugins.imaging.detection.augmentation import augment
from medhub.plugins.imaging.detection.boxes import MOST_BOXES, keep_best, letterbox
from medhub.plugins.imaging.detection.config import ImageDetectionConfig
from medhub.plugins.imaging.detection.data import synthetic
from medhub.plugins.imaging.detection.model import DetectionOutput, ImageDetectionModel
from medhub.plugins.imaging.detection.processing import ImageDetectionProcessor
from medhub.plugins.imaging.image import Image

pytest.importorskip("torchvision")
NAMES = ("disc", "square")


def make(**changes) -> tuple[ImageDetectionProcessor, ImageDetectionConfig]:
    config = ImageDetectionConfig.tiny(**changes)
    config.id2label = dict(enumerate(NAMES))
    config.label2id = {name: label for label, name in enumerate(NAMES)}
    return ImageDetectionProcessor.fit(synthetic(size=8).rows, config), config


def picture(height: int, width: int, boxes: list[list[int]], *, channels: int = 3) -> np.ndarray:
    """Return a black image with white rectangles."""
    pixels = np.zeros((height, width, channels), np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = 255
    return pixels


def row(boxes: list[list[int]], size: tuple[int, int]) -> dict:
    return {"labels": {"classes": [0] * len(boxes), "boxes": boxes, "size": [*size]}}


def bright(image: Tensor, box: list[float], *, inside: float = 0.5) -> float:
    """Return the share of pixels inside a box, without its edge, that are brighter than `inside`."""
    left, top, right, bottom = round(box[0]) + 1, round(box[1]) + 1, round(box[2]) - 1, round(box[3]) - 1
    return float((image[:, top:bottom, left:right] > inside).float().mean())


# --- size


@pytest.mark.parametrize(("size", "expected"), [((480, 640), (48, 64)), ((100, 50), (64, 32)), ((5000, 1), (64, 1))])
def test_letterbox_keeps_proportions(size: tuple[int, int], expected: tuple[int, int]):
    assert letterbox(size, [64, 64]) == expected


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (64, 64), (33, 57), (300, 200)])
def test_boxes_lie_where_their_objects_are_shown(size: tuple[int, int]):
    processor, _ = make()
    height, width = size
    box = [width // 4, height // 4, width // 2, height // 2]
    pixels = processor.features(processor.read(picture(height, width, [box])))["pixel_values"]
    assert pixels.shape == (3, 64, 64)
    assert pixels.dtype == np.uint8
    labels = processor.targets(row([box], size))["labels"]
    assert labels.shape == (1, 5)
    assert labels.dtype == np.float32
    shown = np.argwhere(pixels[0, : letterbox(size, [64, 64])[0], : letterbox(size, [64, 64])[1]] > 127)
    top, left = shown.min(0)
    bottom, right = shown.max(0) + 1
    np.testing.assert_allclose(labels[0, 1:], [left, top, right, bottom], atol=1)


def test_an_image_without_objects_has_no_boxes():
    assert make()[0].targets(row([], (10, 10)))["labels"].shape == (0, 5)


def test_grey_and_colour_go_into_one_and_three_channels():
    for channels in (1, 3):
        processor, _ = make(channels=channels)
        for shown in (1, 3):
            pixels = processor.features(processor.read(picture(8, 8, [], channels=shown)))["pixel_values"]
            assert pixels.shape == (channels, 64, 64)


def test_another_modality_is_refused_and_a_volume_gives_its_middle_slice():
    processor, _ = make()
    assert processor.modalities == ["OT"]
    pixels = np.zeros((3, 4, 4, 1), np.float32)
    image = Image(pixels=pixels, black=0.0, white=1.0, source="scan.dcm", modality="CT")
    with pytest.raises(ModalityError, match=r"scan\.dcm is of modality CT.*OT"):
        processor.read(image)
    processor.modalities = []
    assert processor.read(image).source == "scan.dcm, slice 2 of 3"


# --- batches


def test_a_batch_without_generator_is_normalised_only():
    processor, _ = make()
    rows = synthetic(size=4).rows
    columns = processor.stack(
        [{**processor.features(processor.read(r["input"])), **processor.targets(r)} for r in rows]
    )
    batch = processor.collate(columns)
    counts = [len(labels) for labels in columns["labels"]]
    assert batch["labels"].shape == (4, max(counts), 5)
    for count, labels, expected in zip(counts, batch["labels"], columns["labels"], strict=True):
        np.testing.assert_array_equal(labels[:count], expected)
        assert (labels[count:, 0] == -1).all()
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (processor.mean, processor.deviation))
    pixels = torch.from_numpy(np.asarray(columns["pixel_values"]))
    torch.testing.assert_close(batch["pixel_values"] * deviation + mean, pixels / 255, atol=1e-5, rtol=0)
    assert "labels" not in processor.collate({"pixel_values": columns["pixel_values"]})


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_augmented_boxes_stay_on_their_objects(mosaic: float):
    boxes = [[5, 8, 20, 26], [30, 35, 58, 50]]
    image = torch.from_numpy(picture(64, 64, boxes)).permute(2, 0, 1) / 255
    images, labels = image.expand(32, -1, -1, -1), torch.tensor([[1.0, *box] for box in boxes]).expand(32, -1, -1)
    generator = torch.Generator().manual_seed(0)
    changed, moved = augment(images, labels, generator, horizontal_flip=True, vertical_flip=True, mosaic=mosaic)
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    seen = 0
    for picture_, rows in zip(changed, moved, strict=True):
        left_over = picture_.clone()
        for label, *box in rows.tolist():
            if label < 0:
                continue
            seen += 1
            assert 0 <= box[0] < box[2] <= 64
            assert 0 <= box[1] < box[3] <= 64
            if min(box[2] - box[0], box[3] - box[1]) > 4:
                threshold = 0.5 * float(picture_.max())
                assert bright(picture_, box, inside=threshold) == 1
            left, top, right, bottom = (round(value) for value in box)
            left_over[:, max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = 0
    assert seen > 32 * (1 if mosaic else 0.9)
    assert not torch.equal(changed[0], changed[1])


def test_augmentation_repeats_by_its_generator():
    images, labels = torch.rand(4, 3, 32, 48), torch.tensor([[[0.0, 4, 4, 20, 20]]]).expand(4, -1, -1)

    def run(seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return augment(images, labels, generator, horizontal_flip=True, vertical_flip=False, mosaic=0.5)

    for first, again in zip(run(0), run(0), strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(run(0)[0], run(1)[0])


@pytest.mark.parametrize("flip", [True, False])
def test_images_are_mirrored_only_where_they_may_be(flip: bool):
    image = torch.cat([torch.ones(1, 1, 32, 16), torch.zeros(1, 1, 32, 16)], dim=-1).expand(40, -1, -1, -1)
    generator = torch.Generator().manual_seed(0)
    options = {"horizontal_flip": flip, "vertical_flip": False, "mosaic": 0.0}
    changed, _ = augment(image, torch.full((40, 1, 5), -1.0), generator, **options)
    mirrored = changed[..., 8].mean((1, 2)) < changed[..., 24].mean((1, 2))
    assert bool(mirrored.any()) is flip
    assert not mirrored.all()


def test_boxes_of_which_little_is_left_are_dropped():
    labels = torch.tensor([[[0.0, 0, 0, 64, 64], [1, 28, 28, 36, 36]]]).expand(64, -1, -1)
    generator = torch.Generator().manual_seed(0)
    _, moved = augment(
        torch.rand(64, 1, 64, 64), labels, generator, horizontal_flip=False, vertical_flip=False, mosaic=0
    )
    present = moved[..., 0] >= 0
    assert present[:, 0].all()  # what fills the image always has a fifth left
    area = (moved[..., 3] - moved[..., 1]) * (moved[..., 4] - moved[..., 2])
    assert (area[present] > 0).all()
    # a box in the middle is cut at most by the window's edge: none is kept with less than a fifth of its area
    small = moved[..., 0] == 1
    assert (area[small] >= 0.2 * 64 * 0.36 - 1e-3).all()


# --- candidates


def test_overlapping_boxes_of_one_label_are_one():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [30, 30, 40, 40], [-5, 50, 20, 90]])
    logits = torch.tensor([[3.0, -9], [2, -9], [-9, 1], [-9, -9], [0, -9]])
    kept = keep_best(boxes, logits, calibration=None, overlap=0.5, size=[64, 64])
    assert kept.candidates.tolist() == [0, 2, 4]
    assert kept.labels.tolist() == [0, 1, 0]
    torch.testing.assert_close(kept.probabilities, torch.tensor([3.0, 1, 0]).sigmoid())
    assert kept.boxes[2].tolist() == [0, 50, 20, 64]  # cut to the input


def test_calibration_moves_probabilities():
    logits = torch.tensor([[0.0, 0.0]])
    kept = keep_best(torch.tensor([[0.0, 0, 9, 9]]), logits, calibration=[[1, 2], [1, -2]], overlap=0.5, size=[9, 9])
    torch.testing.assert_close(kept.probabilities, torch.tensor([2.0, -2.0]).sigmoid())


def test_no_more_boxes_than_the_limit_and_none_at_all():
    places = torch.arange(600.0)[:, None]
    boxes = torch.cat([places, places * 0, places + 1, places * 0 + 1], dim=1)
    assert len(keep_best(boxes, torch.zeros(600, 1), calibration=None, overlap=0.5, size=[1, 999]).boxes) == MOST_BOXES
    none = keep_best(boxes, torch.full((600, 1), -20.0), calibration=None, overlap=0.5, size=[1, 999])
    assert none.boxes.shape == (0, 4)
    assert none.labels.shape == (0,)


# --- results


def test_boxes_come_back_in_the_pixels_of_the_file(tmp_path: Path):
    processor, config = make()
    sample = processor.read(picture(100, 200, []))  # shown as 32 by 64
    boxes = torch.tensor([[[0.0, 0, 32, 16], [16, 16, 64, 32], [0, 40, 60, 60], [8, 8, 12, 12]]])
    logits = torch.tensor([[[4.0, -9], [-9, -0.5], [3, -9], [-5, -9]]])
    scores = processor.scores(DetectionOutput(logits=logits, boxes=boxes), config)
    result = processor.result(sample, scores[0], config)
    # the third lies in the grey below the image, the fourth is too improbable to be told
    assert [(box.label, box.x1, box.y1, box.x2, box.y2) for box in result.boxes] == [
        ("disc", 0, 0, 100, 50), ("square", 50, 50, 200, 100)
    ]  # fmt: skip
    assert result.size == (100, 200)
    assert result.counts == {"disc": 1, "square": 0}
    assert len(result.found) == 1
    assert result.expected == pytest.approx({"disc": 0.982 + 0.953 + 0.007, "square": 0.378}, abs=2e-3)
    assert result.title() == "1 disc, 0 square"
    assert result.bars() == {"disc": pytest.approx(0.982, abs=1e-3), "square": pytest.approx(0.378, abs=1e-3)}
    record = json.loads(result.save(tmp_path / "result.json").read_text())
    assert record["counts"] == {"disc": 1, "square": 0}
    assert "pixels" not in record
    assert len(record["boxes"]) == 2
    assert result.save(tmp_path / "result.png").stat().st_size > 1000
    drawn = np.asarray(result.picture().convert("RGB"))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 2
    with pytest.raises(InputError, match=r"\.txt"):
        result.save(tmp_path / "result.txt")


def test_calibrate_sets_the_config_and_scores_follow():
    processor, config = make()
    random = np.random.default_rng(0)
    scores, truths = np.empty(40, object), np.empty(40, object)
    for image in range(40):  # the network is far too sure: of its boxes at .9 a third are right
        scores[image] = np.array([[0, 0, 9, 9, random.uniform(0.85, 0.95), label] for label in (0, 1)])
        truths[image] = np.array([[label, 0, 0, 9, 9] for label in (0, 1) if random.random() < 1 / 3]).reshape(-1, 5)
    said = processor.calibrate(scores, truths, config)
    assert said is not None
    assert "40 validation images" in said
    outputs = DetectionOutput(logits=torch.full((1, 1, 2), 2.2), boxes=torch.tensor([[[0.0, 0, 9, 9]]]))
    before = processor.scores(outputs, make()[1])[0][:, 4]
    after = processor.scores(outputs, config)[0][:, 4]
    assert (before > 0.89).all()
    assert (after < before).all()


@pytest.mark.parametrize("architecture", ["yolo", "ssd"])
def test_an_explanation_shows_the_image_without_what_was_added(architecture: str):
    pytest.importorskip("timm")
    pytest.importorskip("captum")
    processor, config = make(architecture=architecture)
    torch.manual_seed(0)
    model = ImageDetectionModel(config).eval()
    sample = processor.read(picture(50, 100, [[20, 10, 60, 40]]))
    explanation = processor.explain(model, sample, "square")
    assert explanation.label == "square"
    assert explanation.values.shape == (32, 64)
    assert explanation.values.max() > 0
    width, height = explanation.picture.size
    assert width > height  # and a legend beneath
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
