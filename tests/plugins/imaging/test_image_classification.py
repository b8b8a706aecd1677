"""The networks and the processor of imaging/classification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import medhub
from medhub.data import Batches, prepare
from medhub.errors import ConfigError, InputError, ModalityError
from medhub.plugins.imaging.classification.augmentation import augment
from medhub.plugins.imaging.classification.config import TRAINING, ImageClassificationConfig
from medhub.plugins.imaging.classification.data import synthetic
from medhub.plugins.imaging.classification.model import ImageClassificationModel
from medhub.plugins.imaging.classification.processing import ImageClassificationProcessor
from medhub.plugins.imaging.files import read_image

pytest.importorskip("PIL")
NETWORKS = ("cnn", "cnn_rnn", "test_resnet", "test_vit")


def make(architecture: str, **changes):
    """Return a tiny model, its processor and the synthetic rows it was fitted to."""
    if architecture not in ImageClassificationConfig.ARCHITECTURES:
        pytest.importorskip("timm")
    rows = synthetic(size=16).rows
    config = ImageClassificationConfig.tiny(architecture, **changes)
    processor = ImageClassificationProcessor.fit(rows, config)
    torch.manual_seed(0)
    return ImageClassificationModel(config), processor, rows


def overfit(model, processor, rows, *, steps: int, learning_rate: float = 3e-3) -> list[float]:
    features = prepare(rows, processor, cache=False)
    batch = processor.collate(features.take(np.arange(len(rows))))
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = model(**batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("architecture", NETWORKS)
def test_overfits_eight_studies(architecture: str):
    model, processor, rows = make(architecture, image_size=32)
    losses = overfit(model, processor, rows.select(range(8)), steps=40)
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_saved_model_is_the_same(architecture: str, tmp_path: Path):
    model, processor, rows = make(architecture, image_size=32)
    model.eval().save_pretrained(tmp_path)
    loaded = ImageClassificationModel.from_pretrained(tmp_path).eval()
    batch = processor.collate(processor.stack([processor.features(processor.read(rows[0]["input"]))]))
    with torch.inference_mode():
        # a file's weights may lie at odd addresses, where convolutions round differently
        torch.testing.assert_close(model(**batch).logits, loaded(**batch).logits, atol=1e-6, rtol=0)


def test_padding_does_not_change_a_volumes_scores():
    model, _, _ = make("cnn_rnn")
    volume = torch.randn(1, 3, 1, 28, 28)
    padded = torch.cat([volume, torch.full((1, 4, 1, 28, 28), 9.0)], dim=1)
    lengths = torch.tensor([3])
    for training in (False, True):  # padding must not enter BatchNorm's statistics either
        model.train(training)
        with torch.inference_mode():
            alone = model(pixel_values=volume).logits
            among = model(pixel_values=padded, lengths=lengths).logits
        torch.testing.assert_close(alone, among, atol=1e-6, rtol=0)


def test_order_of_slices_matters():
    model, _, _ = make("cnn_rnn")
    volume = torch.randn(1, 5, 1, 28, 28)
    with torch.inference_mode():
        forwards, backwards = (model.eval()(pixel_values=v).logits for v in (volume, volume.flip(1)))
    assert not torch.allclose(forwards, backwards, atol=1e-5)


def test_defaults_are_the_published_network():
    model = ImageClassificationModel(ImageClassificationConfig(num_labels=2))
    assert sum(parameter.numel() for parameter in model.parameters()) < 3_000_000
    assert model(pixel_values=torch.zeros(2, 1, 28, 28)).logits.shape == (2, 2)


@pytest.mark.parametrize(("size", "stages"), [(28, 4), (64, 5), (128, 6), (224, 6)])
def test_larger_images_get_more_stages(size: int, stages: int):
    model = ImageClassificationModel(ImageClassificationConfig(image_size=size))
    maps = model.encoder(torch.zeros(1, 1, size, size))
    assert len(model.encoder.stages) == stages
    assert 4 <= maps.shape[-1] <= 7


def test_misspelt_networks_get_the_nearest_name():
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        ImageClassificationConfig(architecture="resnet_18")
    with pytest.raises(ConfigError, match="did you mean 'cnn_rnn'"):
        ImageClassificationConfig(architecture="cnn-rnn")
    with pytest.raises(ConfigError, match="no key 'image_sise'; did you mean 'image_size'"):
        ImageClassificationConfig(image_sise=28)


def test_training_settings_exist_for_all_networks():
    from medhub.training import Settings

    assert {"default", *ImageClassificationConfig.ARCHITECTURES} == set(TRAINING)
    for settings in TRAINING.values():
        Settings.from_dict(settings)


# --- processor


def test_fit_normalises_the_training_rows():
    _, processor, rows = make("cnn")
    batch = processor.collate(prepare(rows, processor, cache=False).take(np.arange(len(rows))))
    pixels = batch["pixel_values"]
    assert abs(float(pixels.mean())) < 1e-3
    assert abs(float(pixels.std()) - 1) < 1e-2


def test_features_are_bytes_of_one_size():
    _, processor, _ = make("cnn", image_size=20)
    wide = np.zeros((40, 100), np.uint8)
    wide[:, 30:70] = 200  # exactly the middle square
    features = processor.features(processor.read(wide))["pixel_values"]
    assert (features.shape, features.dtype) == ((1, 20, 20), np.uint8)
    assert (features == 200).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_converted(channels: int):
    _, processor, _ = make("cnn", channels=channels)
    for picture in (np.full((28, 28), 90, np.uint8), np.full((28, 28, 3), 90, np.uint8)):
        features = processor.features(processor.read(picture))["pixel_values"]
        assert features.shape == (channels, 28, 28)
        assert (features == 90).all()


def test_networks_for_pictures_see_the_middle_slice_and_say_so():
    _, processor, _ = make("cnn")
    volume = np.stack([np.full((28, 28), value, np.uint8) for value in (10, 20, 30)])
    sample = processor.read(volume)
    assert (processor.features(sample)["pixel_values"] == 20).all()
    assert processor.describe(sample) == "array, slice 2 of 3"


def test_thick_stacks_are_thinned():
    _, processor, _ = make("cnn_rnn", max_slices=5)
    volume = np.stack([np.full((8, 8), value, np.uint8) for value in range(41)])
    features = processor.features(processor.read(volume))["pixel_values"]
    assert features[:, 0, 14, 14].tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("size", "seen"), [((40, 20), (28, 14)), ((20, 10), (20, 10))])
def test_volumes_are_kept_whole_and_never_enlarged(size: tuple[int, int], seen: tuple[int, int]):
    _, processor, _ = make("cnn_rnn")
    features = processor.features(processor.read(np.full((3, *size), 200, np.uint8)))["pixel_values"]
    assert features.shape == (3, 1, 28, 28)
    rows, columns = np.nonzero(features[1, 0] > 100)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == seen
    assert rows.min() + rows.max() == columns.min() + columns.max() == 27  # in the middle


def test_ct_is_refused_by_an_xray_model():
    pydicom = pytest.importorskip("pydicom")
    ct = Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm"
    _, processor, _ = make("cnn", modalities=["CR", "DX"])
    with pytest.raises(ModalityError, match=r"CT_small\.dcm is of modality CT, but the model was trained on CR, DX"):
        processor.read(ct)
    _, anything, _ = make("cnn", modalities=[])
    assert anything.read(ct).modality == "CT"


def test_modalities_are_learnt_from_the_rows():
    rows = synthetic(size=4).rows.remove_columns("modality")
    for named, expected in ((["DX"] * 4, ["CR", "DX"]), (["CT", "MR"] * 2, ["CT", "MR"]), (["CT", None] * 2, [])):
        config = ImageClassificationConfig.tiny()
        processor = ImageClassificationProcessor.fit(rows.add_column("modality", named), config)
        assert processor.modalities == config.modalities == expected
    assert ImageClassificationProcessor.fit(rows, ImageClassificationConfig.tiny()).modalities == []


@pytest.mark.parametrize("architecture", ["cnn", "cnn_rnn"])
def test_augmentation_repeats_by_its_generator_and_keeps_the_shape(architecture: str):
    _, processor, rows = make(architecture, horizontal_flip=True)
    columns = prepare(rows, processor, cache=False).take(np.arange(6))
    plain = processor.collate(columns)
    first, again, other = (processor.collate(columns, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first["pixel_values"].shape == plain["pixel_values"].shape
    assert torch.equal(first["pixel_values"], again["pixel_values"])
    assert not torch.equal(first["pixel_values"], other["pixel_values"])
    assert not torch.equal(first["pixel_values"], plain["pixel_values"])
    assert first["pixel_values"].isfinite().all()


def test_augmentation_moves_the_slices_of_a_volume_together():
    volume = torch.randn(4, 1, 16, 16).expand(4, 5, 16, 16)
    augmented = augment(volume, torch.Generator().manual_seed(0), horizontal_flip=False)
    torch.testing.assert_close(augmented, augmented[:, :1].expand_as(augmented))


@pytest.mark.parametrize(("architecture", "slices"), [("cnn", ()), ("cnn_rnn", (1,))])
def test_augmentation_leaves_the_size_of_things_in_a_volume(architecture: str, slices: tuple[int, ...]):
    _, processor, _ = make(architecture)
    down, across = np.mgrid[-14:14, -14:14] + 0.5
    disc = (200 * (down**2 + across**2 < 36)).astype(np.uint8)
    columns = processor.stack([{"pixel_values": disc.reshape(*slices, 1, 28, 28)}] * 200)
    seen = processor.collate(columns, torch.Generator().manual_seed(0))["pixel_values"].reshape(200, -1)
    middle = (seen.amin(1) + seen.amax(1)) / 2
    areas = (seen > middle[:, None]).sum(1).float()
    largest = float(areas.max() / areas.median())
    assert largest < 1.2 if slices else largest > 1.2


def test_images_are_mirrored_only_where_allowed():
    half = torch.zeros(200, 1, 16, 16)
    half[..., :8] = 1.0
    for flip, mirrored in ((False, 0.0), (True, 0.5)):
        augmented = augment(half, torch.Generator().manual_seed(0), horizontal_flip=flip)
        left, right = augmented[..., :4].mean((1, 2, 3)), augmented[..., 12:].mean((1, 2, 3))
        assert abs(float((right > left).float().mean()) - mirrored) < 0.1


def test_batches_of_volumes_are_padded():
    _, processor, rows = make("cnn_rnn")
    features = prepare(rows, processor, cache=False)
    batches = Batches(features, processor.collate, batch_size=4, seed=0, shuffle=True)
    for batch in batches.epoch(0):
        assert batch["pixel_values"].shape[:2] == (len(batch["labels"]), int(batch["lengths"].max()))


# --- explanation and result


SPOT = (9, 18)
"""Row and column of the lesion that is planted."""


def picture(*, lesion: bool) -> np.ndarray:
    """Return the middle slice of a healthy synthetic study, and plant a lesion in it where asked."""
    healthy = synthetic(size=4, seed=9).rows[0]["input"]
    pixels = read_image(healthy[len(healthy) // 2]).pixels[0, ..., 0]
    rows, columns = np.indices(pixels.shape)
    distance = (rows - SPOT[0]) ** 2 + (columns - SPOT[1]) ** 2
    return (pixels + 130 * lesion * np.exp(-distance / 7)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    """A small network that has learnt the synthetic lesions."""
    pytest.importorskip("captum")
    rows = synthetic(size=48).rows
    config = ImageClassificationConfig.tiny(
        "cnn", widths=[8, 16, 16], id2label={0: "normal", 1: "lesion"}, label2id={"normal": 0, "lesion": 1}
    )
    processor = ImageClassificationProcessor.fit(rows, config)
    torch.manual_seed(0)
    model = ImageClassificationModel(config)
    losses = overfit(model, processor, rows, steps=50, learning_rate=1e-2)
    assert losses[-1] < 0.05
    return model.eval(), processor


@pytest.mark.parametrize("method", ["Grad-CAM", "integrated gradients"])
def test_explanation_finds_the_lesion(trained, method: str):
    model, processor = trained
    explanation = processor.explain(model, processor.read(picture(lesion=True)), "lesion", method=method)
    near = np.zeros((28, 28), bool)
    near[SPOT[0] - 6 : SPOT[0] + 7, SPOT[1] - 6 : SPOT[1] + 7] = True
    heat = explanation.values.clip(min=0)
    assert explanation.method == method
    assert heat[near].mean() > 3 * heat[~near].mean()
    assert explanation.picture.size == (336, 336)


def test_grad_cam_is_the_default_but_not_for_a_transformer(trained):
    model, processor = trained
    assert processor.explain(model, processor.read(picture(lesion=True)), "lesion").method == "Grad-CAM"
    with pytest.raises(InputError, match="did you mean 'Grad-CAM'"):
        processor.explain(model, processor.read(picture(lesion=True)), "lesion", method="grad-cam")
    vit, its_processor, rows = make("test_vit", image_size=32)
    sample = its_processor.read(rows[0]["input"])
    assert its_processor.explain(vit, sample, "LABEL_0").method == "integrated gradients"
    with pytest.raises(InputError, match="test_vit has no convolutional map"):
        its_processor.explain(vit, sample, "LABEL_0", method="Grad-CAM")


@pytest.mark.parametrize("method", ["Grad-CAM", "integrated gradients"])
def test_volumes_are_explained_slice_by_slice(method: str):
    pytest.importorskip("captum")
    model, processor, rows = make("cnn_rnn")
    model.eval()
    study = rows[3]["input"]
    explanation = processor.explain(model, processor.read(study), "LABEL_1", method=method)
    assert explanation.values.shape == (len(study), 28, 28)
    assert explanation.picture.size == (336, 336)
    assert not model.training


def test_predicts_files_through_the_hub(tmp_path: Path, trained):
    import PIL.Image

    from medhub.predictor import Predictor

    model, processor = trained
    predictor = Predictor(medhub.get("imaging/classification"), model, processor)
    paths = []
    for lesion in (False, True):
        paths.append(str(tmp_path / f"{lesion}.png"))
        PIL.Image.fromarray(picture(lesion=lesion)).save(paths[-1])
    results = predictor.predict(paths)
    assert [result.label for result in results] == ["normal", "lesion"]
    assert [result.input for result in results] == ["False.png", "True.png"]
    alone = predictor.predict(paths[1])
    assert alone.probabilities == pytest.approx(results[1].probabilities, abs=1e-6)
