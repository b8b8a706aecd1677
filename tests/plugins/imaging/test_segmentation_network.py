"""The networks of imaging/segmentation: what they promise to training and to prediction, and their loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medhub.data import prepare
from medhub.errors import ConfigError
from medhub.plugins.imaging.segmentation.config import TRAINING, ImageSegmentationConfig
from medhub.plugins.imaging.segmentation.data import synthetic
from medhub.plugins.imaging.segmentation.losses import IGNORED, segmentation_loss, soft_dice
from medhub.plugins.imaging.segmentation.model import ImageSegmentationModel, pad_to
from medhub.plugins.imaging.segmentation.processing import ImageSegmentationProcessor
from medhub.training import Settings

pytest.importorskip("segmentation_models_pytorch")
pytest.importorskip("monai")
NETWORKS = ImageSegmentationConfig.ARCHITECTURES
MOST_WEIGHTS = 6e6


def make(architecture: str, *, instances: bool = False, **changes) -> ImageSegmentationModel:
    """Return a tiny model of two labels, with weights that the seed alone decides."""
    torch.manual_seed(0)
    names = {0: "organ", 1: "lesion"}
    config = ImageSegmentationConfig.tiny(architecture, instances=instances, id2label=names, **changes)
    return ImageSegmentationModel(config).eval()


def picture(model: ImageSegmentationModel, *shape: int, seed: int = 0) -> torch.Tensor:
    """Return an image (1, 1, *shape), with as many axes as the network takes."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1, *shape[-model.config.axes :], generator=generator)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_published_network_is_small(architecture: str):
    model = ImageSegmentationModel(ImageSegmentationConfig(architecture=architecture))
    assert sum(parameter.numel() for parameter in model.parameters()) < MOST_WEIGHTS


@pytest.mark.parametrize("architecture", NETWORKS)
def test_it_learns_four_images_by_heart(architecture: str):
    rows = synthetic(size=4).rows
    model = make(architecture)
    processor = ImageSegmentationProcessor.fit(rows, model.config)
    features = prepare(rows, processor, cache=False)
    batch = processor.collate(features.take(np.arange(4)))
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = model(**batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_neither_padding_nor_neighbours_change_an_answer(architecture: str):
    model = make(architecture)
    small, large = picture(model, 12, 20, 28), picture(model, 16, 40, 50, seed=1)
    size = torch.tensor([small.shape[2:], large.shape[2:]])
    batch = torch.cat([pad_to(small, large.shape[2:], mode="constant", value=9.0), large])
    with torch.inference_mode():
        alone, among = model(pixel_values=small).logits, model(pixel_values=batch, size=size).logits
    own = (slice(None), *map(slice, small.shape[2:]))
    torch.testing.assert_close(among[0][own], alone[0], atol=1e-5, rtol=0)
    assert among.shape[2:] == large.shape[2:]
    assert among[0, :, -1].abs().max() == 0, "logits of padding are 0"


@pytest.mark.parametrize("architecture", NETWORKS)
def test_an_image_of_one_window_is_answered_as_in_training(architecture: str):
    model = make(architecture)
    image = picture(model, *model.config.patch_size)
    with torch.inference_mode():
        torch.testing.assert_close(model(pixel_values=image).logits, model.network(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_saved_model_is_the_same(architecture: str, tmp_path: Path):
    model = make(architecture, instances=True)
    model.save_pretrained(tmp_path)
    loaded = ImageSegmentationModel.from_pretrained(tmp_path).eval()
    image = picture(model, 16, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            model(pixel_values=image).logits, loaded(pixel_values=image).logits, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("architecture", NETWORKS)
def test_half_precision_loses_nothing_to_infinity(architecture: str):
    model = make(architecture, instances=True).train()
    images = torch.cat([picture(model, 16, 32, 32, seed=seed) for seed in range(2)])
    labels = torch.randint(0, 4, (2, *images.shape[2:]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(pixel_values=images, labels=labels).loss
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_objects_add_a_class_for_their_borders():
    assert make("unet").network(torch.zeros(1, 1, 32, 32)).shape[1] == 3
    assert make("unet", instances=True).network(torch.zeros(1, 1, 32, 32)).shape[1] == 4


@pytest.mark.parametrize(
    ("architecture", "patch_size"),
    [("unet", [32, 33]), ("unet3d", [32, 32]), ("unet", [32, 32, 32]), ("unet", [0, 32])],
)
def test_patches_that_cannot_be_halved_are_refused(architecture: str, patch_size: list[int]):
    with pytest.raises(ConfigError, match="multiples of"):
        ImageSegmentationConfig(architecture=architecture, patch_size=patch_size)


def test_every_network_has_settings():
    for name in NETWORKS:
        Settings.from_dict(TRAINING.get(name, TRAINING["default"]))


# -- the loss --


def test_soft_dice_is_monais():
    losses = pytest.importorskip("monai.losses")
    logits, labels = torch.randn(2, 3, 8, 9), torch.randint(0, 3, (2, 8, 9))
    theirs = losses.DiceLoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1.0, smooth_dr=1.0
    )
    torch.testing.assert_close(1 - soft_dice(logits, labels).mean(), theirs(logits, labels[:, None]))


def test_loss_adds_cross_entropy():
    logits, labels = torch.randn(2, 3, 8, 9), torch.randint(0, 3, (2, 8, 9))
    expected = torch.nn.functional.cross_entropy(logits, labels) + 1 - soft_dice(logits, labels).mean()
    torch.testing.assert_close(segmentation_loss(logits, labels), expected)


def test_pixels_beside_a_border_count_twice_and_dice_is_of_the_whole_object():
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[:, 2:7, 2:7], labels[:, 3:6, 3:6] = 2, 1
    logits = torch.randn(1, 3, 9, 9)
    twice = torch.nn.functional.pad(torch.ones(1, 7, 7), (1, 1, 1, 1))
    twice[:, 4, 4] = 0  # the middle of the object touches no border
    entropy = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    inside, whole = soft_dice(logits, labels, border=True)
    expected = (entropy * (1 + twice)).sum() / (81 + twice.sum()) + 1 - (inside + whole) / 2
    torch.testing.assert_close(segmentation_loss(logits, labels, border=True), expected)
    either = torch.stack([logits[:, 0], logits[:, 1:].logsumexp(1)], dim=1)
    torch.testing.assert_close(whole, soft_dice(either, labels.clamp(max=1))[0])


def test_ignored_pixels_do_not_count():
    logits, labels = torch.randn(1, 3, 4, 8), torch.randint(0, 3, (1, 4, 8))
    labels[..., 4:] = IGNORED
    other = logits.clone()
    other[..., 4:] = 50 * torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(segmentation_loss(logits, labels), segmentation_loss(other, labels))
    nothing = torch.full_like(labels, IGNORED)
    assert segmentation_loss(logits, nothing).isfinite()


def test_the_right_answer_costs_nothing():
    labels = torch.randint(0, 3, (2, 8, 9))
    logits = 60 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert segmentation_loss(logits, labels) < 1e-4
