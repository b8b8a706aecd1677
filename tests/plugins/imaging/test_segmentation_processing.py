"""The processor of imaging/segmentation: from a file to a batch, and from the network's maps onto the file's grid."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import torch

from medhub.data import prepare
from medhub.errors import InputError, ModalityError
from medhub.plugins.imaging.segmentation import explanation
from medhub.plugins.imaging.segmentation.augmentation import class_map, cut_patches, expose
from medhub.plugins.imaging.segmentation.config import ImageSegmentationConfig
from medhub.plugins.imaging.segmentation.data import DATASETS, synthetic
from medhub.plugins.imaging.segmentation.label_map import SMALLEST_OBJECT, decide
from medhub.plugins.imaging.segmentation.losses import IGNORED
from medhub.plugins.imaging.segmentation.model import ImageSegmentationModel, SegmentationOutput
from medhub.plugins.imaging.segmentation.processing import ImageSegmentationProcessor

nibabel = pytest.importorskip("nibabel")
pytest.importorskip("skimage")
LYING = np.array([[0, -2.0, 0, 10], [0, 0, 1.5, -20], [1.0, 0, 0, 5], [0, 0, 0, 1]])
"""A volume that is stored by columns of 1 mm to the head, then 2 mm to the left, then 1.5 mm to the front (RAS)."""


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def nifti(values: np.ndarray, affine: np.ndarray = LYING) -> bytes:
    return nibabel.Nifti1Image(values, affine).to_bytes()


def row(image: bytes, mask: bytes, *, instances: bool = False) -> dict:
    files = ({"path": name, "bytes": data} for name, data in (("scan", image), ("mask", mask)))
    return {"input": [next(files)], "labels": {"mask": next(files), "instances": instances}}


def make(architecture: str, **changes) -> ImageSegmentationProcessor:
    config = ImageSegmentationConfig.tiny(architecture, id2label={0: "organ", 1: "lesion"}, **changes)
    return ImageSegmentationProcessor.fit(synthetic(size=6).rows, config)


def answer(processor: ImageSegmentationProcessor, example: dict):
    """Return the result when the network's answer is the mask itself."""
    sample = processor.read(example["input"])
    columns = processor.stack([processor.features(sample) | processor.targets(example)])
    (truth,) = processor.truths(columns)
    config = ImageSegmentationConfig(id2label={0: "organ", 1: "lesion"})
    return processor.result(sample, truth, config)


def nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of 50 by 70 pixels with three squares, of which two touch, and their numbers."""
    numbers = np.zeros((50, 70), np.uint16)
    numbers[10:22, 10:22], numbers[10:22, 22:34], numbers[30:44, 40:60] = 1, 2, 300
    return (20 + 100 * (numbers > 0)).astype(np.uint8), numbers


# -- files in --


def test_pixels_are_normalised_image_by_image():
    picture, _ = nuclei()
    processor = make("unet")
    dim, bright = (processor.features(processor.read(png(levels))) for levels in (picture // 4, picture))
    assert dim["size"].tolist() == [50, 70]
    for values in (dim["pixel_values"], bright["pixel_values"]):
        assert values.shape == (3500, 1)
        assert values.dtype == np.float16
        assert abs(float(values.astype(float).mean())) < 1e-3
        assert abs(float(values.astype(float).std()) - 1) < 1e-3
    np.testing.assert_allclose(dim["pixel_values"], bright["pixel_values"], atol=1e-2)


def test_an_even_picture_is_not_divided_by_nothing():
    processor = make("unet")
    values = processor.features(processor.read(png(np.full((20, 20), 7, np.uint8))))["pixel_values"]
    assert not values.any()


def test_colours_become_grey_and_grey_becomes_coloured():
    picture, _ = nuclei()
    coloured = png(np.stack([picture] * 3, -1))
    grey, three = make("unet"), make("unet", channels=3)
    assert np.array_equal(
        grey.features(grey.read(coloured))["pixel_values"], grey.features(grey.read(png(picture)))["pixel_values"]
    )
    assert three.features(three.read(png(picture)))["pixel_values"].shape == (3500, 3)


def test_a_network_for_pictures_sees_the_middle_slice_and_its_mask():
    example = synthetic(size=1).rows[0]
    flat, deep = make("unet"), make("unet3d")
    size = deep.features(deep.read(example["input"]))["size"]
    whole = deep.targets(example)["labels"].reshape(*size, 2)
    sample = flat.read(example["input"])
    assert "slice" in flat.describe(sample)
    middle = flat.targets(example)["labels"].reshape(*flat.features(sample)["size"], 2)
    # the volume may run from the other side on the disk
    assert sorted(map(int, middle[..., 0].sum(1))) == sorted(map(int, whole[len(whole) // 2, ..., 0].sum(1)))


def test_a_mask_comes_back_onto_the_files_own_grid():
    random = np.random.default_rng(0)
    values, mask = random.normal(size=(18, 12, 14)).astype(np.float32), np.zeros((18, 12, 14), np.uint8)
    mask[4:12, 2:8, 3:9], mask[12:15, 2:8, 3:9] = 1, 2
    example = row(nifti(values), nifti(mask))
    # slices are the file's first axis, rows its third reversed, columns its second reversed
    processor = make("unet3d", spacing=[1.0, 1.5, 2.0])
    assert processor.features(processor.read(example["input"]))["size"].tolist() == [18, 14, 12]
    result = answer(processor, example)
    assert result.image.pixels.shape[:3] == result.mask.shape
    assert {label: region.pixels for label, region in result.regions.items()} == {"organ": 288, "lesion": 108}
    assert result.regions["lesion"].volume_ml == pytest.approx(108 * 3 / 1000)
    # the voxels are those of the file in whatever order it was read
    np.testing.assert_allclose(
        np.sort(result.image.pixels[result.mask == 2].ravel()), np.sort(values[mask == 2]), rtol=1e-6
    )


def test_a_mask_of_another_spacing_comes_back_nearly_the_same():
    mask = np.zeros((30, 24, 26), np.uint8)
    mask[6:24, 5:19, 6:20] = 1
    example = row(nifti(mask.astype(np.float32)), nifti(mask))
    result = answer(make("unet3d", spacing=[1.3, 1.3, 1.3]), example)
    true = result.image.pixels[..., 0] > 0.5
    dice = 2 * np.count_nonzero(true & (result.mask == 1)) / (true.sum() + (result.mask == 1).sum())
    assert 0.9 < dice < 1


def test_objects_come_back_with_their_count():
    picture, numbers = nuclei()
    result = answer(make("unet", instances=True), row(png(picture), png(numbers), instances=True))
    assert result.regions["organ"].count == 3
    assert np.array_equal(np.unique(result.instances), [0, 1, 2, 300])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((50, 60), np.uint8), "has the shape"),
        (np.zeros((50, 70, 3), np.uint8), "one number a pixel"),
        (np.full((50, 70), 3, np.uint8), "the number 3"),
    ],
)
def test_masks_that_cannot_be_the_images_are_refused(mask: np.ndarray, said: str):
    picture, _ = nuclei()
    with pytest.raises(InputError, match=said):
        make("unet").targets(row(png(picture), png(mask)))


def test_a_mask_that_lies_elsewhere_is_refused():
    values, moved = np.zeros((8, 9, 10), np.float32), LYING.copy()
    moved[0, 3] += 5
    with pytest.raises(InputError, match="elsewhere in the patient"):
        make("unet3d").targets(row(nifti(values), nifti(values.astype(np.uint8), moved)))


def test_a_volume_that_does_not_say_how_it_lies_is_refused():
    slices = [png(np.zeros((20, 20), np.uint8))] * 5
    with pytest.raises(InputError, match="how its voxels lie"):
        make("unet3d").read(slices)


def test_another_modality_is_refused():
    dicom = pytest.importorskip("pydicom").data.get_testdata_file("CT_small.dcm")
    with pytest.raises(ModalityError, match="of modality CT"):
        make("unet", modalities=["MR"]).read(dicom)


# -- batches --


def test_whole_images_are_padded_with_labels_that_do_not_count():
    picture, numbers = nuclei()
    processor = make("unet", instances=True)
    examples = []
    for height in (50, 30):
        example = row(png(picture[:height]), png(numbers[:height]), instances=True)
        examples.append(processor.features(processor.read(example["input"])) | processor.targets(example))
    batch = processor.collate(processor.stack(examples))
    assert batch["pixel_values"].shape == (2, 1, 64, 96)
    assert batch["size"].tolist() == [[50, 70], [30, 70]]
    assert (batch["labels"] == IGNORED).sum(dim=(1, 2)).tolist() == [64 * 96 - 3500, 64 * 96 - 2100]


def test_borders_of_objects_are_a_class_of_their_own():
    objects = torch.zeros(1, 9, 12, dtype=torch.long)
    objects[:, 2:7, 1:6], objects[:, 2:7, 6:11] = 1, 2
    drawn = class_map((objects > 0).long(), objects, border=2)[0]
    inside = torch.zeros(9, 12, dtype=torch.bool)
    inside[3:6, 2:5], inside[3:6, 7:10] = True, True
    assert torch.equal(drawn == 1, inside)
    assert torch.equal(drawn == 2, (objects[0] > 0) & ~inside)


@pytest.mark.parametrize("architecture", ["unet", "unet3d"])
def test_training_cuts_patches_that_the_generator_decides(architecture: str):
    processor = make(architecture)
    features = prepare(synthetic(size=4).rows, processor, cache=False)
    first, again, other = (
        processor.collate(features.take(np.arange(4)), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first["pixel_values"].shape == (4, 1, *processor.patch_size)
    assert first["labels"].shape == (4, *processor.patch_size)
    assert {1, 2} < set(first["labels"].unique().tolist()) <= {IGNORED, 0, 1, 2}
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name])
        assert not torch.equal(tensor, other[name])


@pytest.mark.parametrize("shape", [(60, 80), (30, 40, 36)])
def test_labels_move_with_their_image(shape: tuple[int, ...]):
    """An image that is its own smooth label map still is one after any turn and bend."""
    axes = len(shape)
    ramps = torch.stack(torch.meshgrid(*(torch.linspace(-3, 3, side) for side in shape), indexing="ij"))
    image = (1 - (ramps**2).sum(0).sqrt() / 3)[None]
    label = (image > 0.3).long().repeat(2, *[1] * axes)
    patches, numbers, inside = cut_patches(
        [image] * 4, [label] * 4, patch_size=[32] * axes, spacing=[2.0, 1.0, 1.0][-axes:], flip_axes=[0], turn=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    agree = ((patches[:, 0] > 0.3) == (numbers[:, 0] > 0))[inside]
    assert agree.float().mean() > 0.97
    assert not torch.equal(patches[0], patches[1])


def test_a_small_image_is_continued_by_its_rim_which_does_not_count():
    image, label = torch.ones(1, 10, 12), torch.ones(2, 10, 12, dtype=torch.long)
    patches, numbers, inside = cut_patches(
        [image], [label], patch_size=[32, 32], spacing=[1.0, 1.0], flip_axes=[], turn=False,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    torch.testing.assert_close(patches, torch.ones(1, 1, 32, 32))
    assert (numbers == 1).all()
    assert 60 < inside.sum() < 200  # of 120 pixels, shrunk or enlarged


def test_only_the_given_axes_are_mirrored():
    ramp = torch.linspace(0, 1, 40)
    image = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"))
    label = torch.zeros(2, 40, 40, dtype=torch.long)
    patches, _, _ = cut_patches(
        [image] * 24, [label] * 24, patch_size=[32, 32], spacing=[1.0, 1.0], flip_axes=[1], turn=False,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    down = patches[:, 0, -1].mean(-1) - patches[:, 0, 0].mean(-1)
    across = patches[:, 1, :, -1].mean(-1) - patches[:, 1, :, 0].mean(-1)
    assert (down > 0).all()
    assert 0 < (across > 0).sum() < 24


def test_exposure_changes_every_image_differently_and_stays_finite():
    images = torch.randn(1, 1, 16, 16).repeat(3, 1, 1, 1)
    images[2] = 0
    exposed = expose(images, torch.Generator().manual_seed(0))
    assert exposed.isfinite().all()
    assert not torch.allclose(exposed[0], exposed[1], atol=0.05)


# -- answers out --


def maps(numbers: np.ndarray) -> np.ndarray:
    """Return what a sure network says of objects: (background, inside, border)."""
    objects = torch.from_numpy(numbers.astype(np.int64))[None]
    drawn = class_map((objects > 0).long(), objects, border=2)[0].numpy()
    return np.stack([np.where(drawn == number, 0.9, 0.05) for number in range(3)])


def test_touching_objects_are_told_apart():
    _, numbers = nuclei()
    found = decide(maps(numbers), labels=1)
    assert found.instances.max() == 3
    for number in (1, 2, 300):
        assert len(np.unique(found.instances[numbers == number])) == 1
    assert np.array_equal(found.classes > 0, numbers > 0)
    assert found.confidence == pytest.approx((0.95,))


def test_small_objects_are_dropped_and_those_that_are_all_border_kept():
    numbers = np.zeros((20, 20), np.uint8)
    numbers[2:4, 2:4], numbers[10:12, 5:12] = 1, 2
    assert numbers[2:4, 2:4].size < SMALLEST_OBJECT <= numbers[10:12, 5:12].size
    found = decide(maps(numbers), labels=1)
    assert np.array_equal(found.instances, (numbers == 2).astype(int))
    assert np.array_equal(found.classes, found.instances)


def test_a_pixel_gets_its_likeliest_label_where_the_background_is_less_likely_than_not():
    probabilities = np.array([[0.4, 0.6, 0.45], [0.35, 0.3, 0.2], [0.25, 0.1, 0.35]])[:, None]
    found = decide(probabilities, labels=2, spacing=[1.0, 2.0])
    assert found.classes.tolist() == [[1, 0, 2]]
    assert found.instances is None
    assert found.spacing == (1.0, 2.0)
    assert np.asarray(found).shape == (1, 1, 3)


def test_calibration_makes_probabilities_come_true():
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 1, 40, 40)) * 3
    truth = random.random((6, 40, 40)) < 1 / (
        1 + np.exp(-(0.5 * logits[:, 0] - 1))
    )  # the network is too sure, too keen
    processor, config = make("unet"), ImageSegmentationConfig(id2label={0: "organ", 1: "lesion"})
    images = torch.from_numpy(np.concatenate([0 * logits, logits, 0 * logits - 99], axis=1)).float()
    outputs = SegmentationOutput(logits=images, size=torch.tensor([[40, 40]] * 6))
    labels = [np.stack([one, one], -1).reshape(-1, 2).astype(np.uint16) for one in truth]
    truths = processor.truths({"labels": labels, "size": np.array([[40, 40]] * 6)})
    said = processor.calibrate(processor.scores(outputs, config), truths, config)
    assert config.calibration == pytest.approx([0.5, -1.0], abs=0.1)
    assert "6 validation images" in said
    before = list(config.calibration)
    processor.calibrate(processor.scores(outputs, config), truths, config)
    assert config.calibration == before, "a second fit starts from the network's own logits"
    found = processor.scores(outputs, config)
    assert np.mean([answer.confidence[0] for answer in found]) == pytest.approx(
        np.mean([one[answer.classes == 1].mean() for answer, one in zip(found, truth, strict=True)]), abs=0.03
    )


def test_images_of_background_alone_calibrate_nothing():
    processor, config = make("unet"), ImageSegmentationConfig(id2label={0: "organ", 1: "lesion"})
    outputs = SegmentationOutput(logits=torch.randn(1, 3, 32, 32), size=torch.tensor([[32, 32]]))
    truths = processor.truths({"labels": [np.zeros((1024, 2), np.uint16)], "size": np.array([[32, 32]])})
    assert processor.calibrate(processor.scores(outputs, config), truths, config) is None
    assert config.calibration is None


def test_scores_leave_padding_out():
    processor = make("unet")
    logits = torch.zeros(2, 3, 32, 32)
    logits[:, 1] = 5
    outputs = SegmentationOutput(logits=logits, size=torch.tensor([[20, 30], [32, 32]]))
    first, second = processor.scores(outputs, ImageSegmentationConfig())
    assert first.classes.shape == (20, 30)
    assert second.classes.shape == (32, 32)
    assert (first.classes == 1).all()


@pytest.mark.parametrize("architecture", ["unet", "deeplabv3plus", "unet3d"])
def test_an_explanation_covers_the_image(architecture: str):
    pytest.importorskip("captum")
    processor = make(architecture)
    torch.manual_seed(0)
    names = {0: "organ", 1: "lesion"}
    model = ImageSegmentationModel(ImageSegmentationConfig.tiny(architecture, id2label=names)).eval()
    sample = processor.read(synthetic(size=1).rows[0]["input"])
    explained = processor.explain(model, sample, "lesion")
    assert list(explained.values.shape) == processor.features(sample)["size"].tolist()
    assert np.isfinite(explained.values).all()
    assert explained.picture is not None


class Bright(torch.nn.Module):
    """A network that draws label 1 where the image is bright."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([-images, images, torch.full_like(images, -9.0)], dim=1)


def test_of_a_large_image_the_window_around_the_region_is_explained(monkeypatch: pytest.MonkeyPatch):
    model = ImageSegmentationModel(ImageSegmentationConfig.tiny("unet")).eval()
    model.network = Bright()
    image = torch.full((1, 1, 96, 80), -1.0)
    image[..., 60:70, 5:15] = 1
    whole = (slice(0, 96), slice(0, 80))
    assert explanation.explained_window(model, image, [96, 80], 0) == whole
    monkeypatch.setattr(explanation, "LARGEST", 100)
    rows, columns = explanation.explained_window(model, image, [96, 80], 0)
    assert rows.start <= 60 < 70 <= rows.stop == rows.start + 32
    assert columns == slice(0, 32)


@pytest.mark.parametrize(("dataset", "architecture"), [("dsb2018", "unet"), ("hippocampus", "unet3d")])
def test_real_images_become_batches(mirror, cache, dataset: str, architecture: str):
    source = DATASETS[dataset]
    rows = source.load(source.fetch()).rows.select(range(2))
    names = {"dsb2018": ["nucleus"], "hippocampus": ["anterior", "posterior"]}[dataset]
    config = ImageSegmentationConfig.tiny(architecture, id2label=dict(enumerate(names)))
    processor = ImageSegmentationProcessor.fit(rows, config)
    features = prepare(rows, processor, cache=False)
    batch = processor.collate(features.take(np.arange(2)), torch.Generator().manual_seed(0))
    assert batch["pixel_values"].isfinite().all()
    assert processor.instances is (dataset == "dsb2018")
    assert batch["labels"].max() >= 1
