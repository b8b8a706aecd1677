"""The rows of imaging/segmentation: synthetic, public, the user's own; which crops belong together; the baselines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medhub.data import load_data
from medhub.errors import InputError, LabelError, MedHubError
from medhub.plugins.imaging.crops import crop_groups
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.segmentation.baselines import atlas, threshold
from medhub.plugins.imaging.segmentation.config import ImageSegmentationConfig
from medhub.plugins.imaging.segmentation.data import DATASETS, own_files, synthetic
from medhub.plugins.imaging.segmentation.grids import mask_on
from medhub.plugins.imaging.segmentation.processing import ImageSegmentationProcessor

nibabel = pytest.importorskip("nibabel")
pillow = pytest.importorskip("PIL.Image")
pydicom = pytest.importorskip("pydicom")
DICOM = Path(pydicom.data.__file__).parent / "test_files"


def png(path: Path, pixels: NDArray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.fromarray(pixels).save(path)
    return path


def nifti(path: Path, voxels: NDArray, *, origin: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[0, 3] = origin
    nibabel.Nifti1Image(voxels, affine).to_filename(path)
    return path


def pair(folder: Path, name: str, mask: NDArray, *, level: int = 50) -> None:
    png(folder / "images" / f"{name}.png", np.full(mask.shape, level, np.uint8))
    png(folder / "masks" / f"{name}.png", mask)


def numbers(row: dict[str, Any]) -> NDArray:
    return read_image(row["labels"]["mask"]).pixels[0, ..., 0].astype(int)


def corner(value: int, *, size: int = 8) -> NDArray[np.uint8]:
    mask = np.zeros((size, size), np.uint8)
    mask[:3, :3] = value
    return mask


# --- synthetic


def test_synthetic_volumes_repeat_by_seed():
    first, again, other = (synthetic(size=4, seed=seed).rows.to_dict() for seed in (0, 0, 1))
    assert first == again != other


def test_synthetic_masks_lie_on_their_volumes_and_show_both_labels_in_the_middle():
    table = synthetic(size=8)
    assert len(set(table.rows["group"])) == 4
    shapes, turned = set(), set()
    for row in table.rows:
        image, mask = read_image(row["input"]), read_image(row["labels"]["mask"])
        assert image.pixels.shape == mask.pixels.shape
        np.testing.assert_array_equal(image.affine, mask.affine)
        assert set(np.unique(mask.pixels[mask.slices // 2])) == {0, 1, 2}
        shapes.add(image.pixels.shape)
        turned.add(nibabel.Nifti1Image.from_bytes(row["input"][0]["bytes"]).affine[0, 0])
    assert len(shapes) > 1
    assert turned == {-1.0, 1.0}


# --- crops of one field


def test_crops_that_continue_each_other_are_one_group():
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:128, 0:128]
    field = sum(np.sin((rows * a + columns * b) / 9 + c) for a, b, c in random.uniform(-1, 1, (8, 3)))
    field = (60 + 8 * field + random.normal(0, 0.5, field.shape)).clip(0, 255).astype(np.uint8)
    quarters = [field[:64, :64], field[:64, 64:], field[64:, :64], field[64:, 64:]]
    other = random.integers(0, 99, (64, 64)).astype(np.uint8)
    again = (other + random.integers(0, 9, other.shape)).astype(np.uint8)
    assert crop_groups([quarters[0], other, *quarters[1:], again]) == [0, 1, 0, 0, 0, 1]


def test_pictures_without_contrast_or_of_other_size_are_not_taken_for_one():
    blank = np.zeros((64, 64), np.uint8)
    assert crop_groups([blank, blank, np.zeros((32, 32), np.uint8)]) == [0, 1, 2]


# --- folders


def test_folder_of_images_and_masks(tmp_path: Path):
    pair(tmp_path, "a", corner(1))
    pair(tmp_path, "b", corner(2), level=60)
    png(tmp_path / "images" / "lone.png", corner(0))
    (tmp_path / "masks" / "notes.txt").write_text("notes")
    table = own_files(tmp_path)
    assert table.label_names == ("label 1", "label 2")
    assert [labels["instances"] for labels in table.rows["labels"]] == [False, False]
    np.testing.assert_array_equal(numbers(table.rows[1]), corner(2))
    assert len(set(table.rows["group"])) == 2
    assert table.dropped == {"image without a mask": 1}
    assert "patient of 2 of 2 images is unknown" in table.notes[0]


def test_labels_are_named_by_a_file(tmp_path: Path):
    pair(tmp_path, "a", corner(2))
    (tmp_path / "labels.txt").write_text("liver\n\nspleen\n")
    assert own_files(tmp_path).label_names == ("liver", "spleen")
    (tmp_path / "labels.txt").unlink()
    (tmp_path / "labels.json").write_text('["kidney", "cyst"]')
    assert own_files(tmp_path).label_names == ("kidney", "cyst")


def test_one_name_for_many_numbers_means_objects(tmp_path: Path):
    mask = corner(1).astype(np.uint16)
    mask[5:, 5:] = 300
    pair(tmp_path, "a", mask)
    (tmp_path / "labels.txt").write_text("nucleus")
    table = own_files(tmp_path)
    assert table.rows[0]["labels"]["instances"]
    config = ImageSegmentationConfig.tiny(id2label={0: "nucleus"})
    processor = ImageSegmentationProcessor.fit(table.rows, config)
    assert processor.targets(table.rows[0])["labels"].max(0).tolist() == [1, 300]


def test_black_and_white_and_palettes_are_numbers(tmp_path: Path):
    pair(tmp_path / "white", "a", corner(255))
    table = own_files(tmp_path / "white")
    assert table.label_names == ("label 1",)
    np.testing.assert_array_equal(numbers(table.rows[0]), corner(1))

    pair(tmp_path / "palette", "a", corner(0))
    coloured = pillow.fromarray(corner(2))
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    coloured.save(tmp_path / "palette" / "masks" / "a.png")
    np.testing.assert_array_equal(numbers(own_files(tmp_path / "palette").rows[0]), corner(2))


def test_folders_inside_are_patients(tmp_path: Path):
    for name in ("anna/1", "anna/2", "bert/1"):
        pair(tmp_path, name, corner(1), level=len(name))
    table = own_files(tmp_path)
    assert table.rows["group"][:] == ["anna", "anna", "bert"]
    assert table.notes == ()


def test_volumes_and_series(tmp_path: Path):
    voxels = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype(np.int16)
    nifti(tmp_path / "images" / "one.nii.gz", voxels)
    nifti(tmp_path / "masks" / "one.nii", (voxels > 50).astype(np.uint8))
    for number in range(3):
        data = pydicom.dcmread(DICOM / "CT_small.dcm")
        data.PatientID, data.ImagePositionPatient = "SECRET", [0, 0, 5.0 * number]
        (tmp_path / "images" / "scan").mkdir(exist_ok=True)
        data.save_as(tmp_path / "images" / "scan" / f"{number}")
    image = read_image(tmp_path / "images" / "scan")
    # nibabel's axes run to the right and front, DICOM's to the left and back
    to_nifti = np.diag([-1, -1, 1, 1]) @ image.affine
    mask = nibabel.Nifti1Image(np.ones(image.pixels.shape[:3], np.uint8), to_nifti)
    mask.to_filename(tmp_path / "masks" / "scan.nii.gz")
    table = own_files(tmp_path)
    assert [len(files) for files in table.rows["input"]] == [1, 3]
    assert table.rows["group"][1] == "patient 1"
    assert table.rows["modality"][:] == [None, "CT"]
    assert table.dropped == {}
    assert "SECRET" not in str(table.rows.to_dict())


def test_masks_that_do_not_fit_are_refused(tmp_path: Path):
    png(tmp_path / "a" / "images" / "x.png", corner(0))
    png(tmp_path / "a" / "masks" / "x.png", corner(1, size=9))
    with pytest.raises(InputError, match=r"mask x\.png has the shape .* its image x\.png needs"):
        own_files(tmp_path / "a")

    voxels = np.ones((4, 4, 4), np.uint8)
    nifti(tmp_path / "b" / "images" / "x.nii", voxels)
    nifti(tmp_path / "b" / "masks" / "x.nii", voxels, origin=5)
    with pytest.raises(InputError, match="lies elsewhere in the patient than its image"):
        own_files(tmp_path / "b")

    nifti(tmp_path / "c" / "images" / "x.nii", voxels)
    nifti(tmp_path / "c" / "masks" / "x.nii", np.full((4, 4, 4), 0.5, np.float32))
    with pytest.raises(InputError, match=r"x\.nii holds 0\.5; a mask holds whole numbers"):
        own_files(tmp_path / "c")


def test_a_mask_in_another_order_of_axes_is_turned(tmp_path: Path):
    random = np.random.default_rng(0)
    voxels = random.integers(0, 9, (6, 5, 4)).astype(np.int16)
    image = nibabel.Nifti1Image(voxels, np.diag([2.0, 1.5, 1, 1]))
    swap = np.array([[0, 1], [2, -1], [1, 1]])  # axis and sense to which each goes
    turned = nibabel.Nifti1Image((voxels > 4).astype(np.uint8), image.affine).as_reoriented(swap)
    assert turned.shape == (6, 4, 5)
    for folder, file in (("images", image), ("masks", turned)):
        (tmp_path / folder).mkdir()
        file.to_filename(tmp_path / folder / "x.nii")
    original = read_image(tmp_path / "images" / "x.nii")
    mask = mask_on(original, read_image(tmp_path / "masks" / "x.nii"))
    np.testing.assert_array_equal(mask.pixels, original.pixels > 4)
    assert own_files(tmp_path).label_names == ("label 1",)


@pytest.mark.parametrize(
    ("masks", "labels", "message"),
    [
        ({}, None, "holds no mask"),
        ({"scam": 1}, None, r"scam\.png has no image; did you mean 'scan'"),
        ({"scan": 0}, None, "all masks of .* are 0"),
        ({"scan": 200}, None, "hold numbers up to 200 without names"),
        ({"scan": 3}, "liver\nspleen", "hold the number 3, but it names 2 labels: liver, spleen"),
        ({"scan": 1}, "\n", r"labels\.txt names no labels"),
        ({"scan": 1}, "liver\nliver", "names a label twice"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, masks: dict[str, int], labels: str | None, message: str):
    png(tmp_path / "images" / "scan.png", corner(0))
    (tmp_path / "masks").mkdir()
    for name, value in masks.items():
        png(tmp_path / "masks" / f"{name}.png", corner(value))
    if labels is not None:
        (tmp_path / "labels.txt").write_text(labels)
    with pytest.raises(MedHubError, match=message):
        own_files(tmp_path)


def test_paths_that_cannot_be_used(tmp_path: Path):
    with pytest.raises(InputError, match="there is no file or folder"):
        own_files(tmp_path / "absent")
    with pytest.raises(InputError, match=r"no folder .*images"):
        own_files(tmp_path)
    (tmp_path / "rows.csv").write_text("")
    with pytest.raises(InputError, match=r"rows\.csv is no COCO file"):
        own_files(tmp_path / "rows.csv")
    pair(tmp_path, "a", corner(1))
    png(tmp_path / "images" / "a.jpg", corner(0))
    with pytest.raises(InputError, match="have one name"):
        own_files(tmp_path)


# --- COCO


def coco(folder: Path, *annotations: dict[str, Any], **changes: Any) -> Path:
    """A file with two pictures of 8 rows by 10 columns, and the categories cell and, if said, clump."""
    for name in ("one", "two"):
        png(folder / "images" / f"{name}.png", np.full((8, 10), len(name) + ord(name[0]), np.uint8))
    content = {
        "images": [{"id": 7, "file_name": "one.png", "height": 8, "width": 10}, {"id": 8, "file_name": "two.png"}],
        "categories": [{"id": 3, "name": "cell"}],
        "annotations": [{"id": 100 + place, "image_id": 7, "category_id": 3, **one}
                        for place, one in enumerate(annotations)],
    }  # fmt: skip
    path = folder / "cells.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


SQUARE = {"segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}


def test_polygons_mark_the_pixels_whose_centre_they_hold(tmp_path: Path):
    table = own_files(coco(tmp_path, SQUARE, {"segmentation": [[0, 6, 2, 6, 2, 8, 0, 8], [8, 6, 10, 6, 10, 8, 8, 8]]}))
    assert table.label_names == ("cell",)
    wanted = np.zeros((8, 10), int)
    wanted[1:4, 2:6] = 1
    wanted[6:8, 0:2] = wanted[6:8, 8:10] = 2  # one object in two parts
    np.testing.assert_array_equal(numbers(table.rows[0]), wanted)
    assert not numbers(table.rows[1]).any()
    assert table.rows[0]["labels"]["instances"]
    assert len(set(table.rows["group"])) == 2


def test_run_lengths_go_down_the_columns(tmp_path: Path):
    runs = {"segmentation": {"size": [8, 10], "counts": [1, 2, 8, 1, 68]}, "iscrowd": 1}
    wanted = np.zeros((8, 10), int)
    wanted[1:3, 0] = wanted[3, 1] = 1
    np.testing.assert_array_equal(numbers(own_files(coco(tmp_path, runs)).rows[0]), wanted)


def test_several_categories_are_classes_and_the_later_object_lies_on_top(tmp_path: Path):
    categories = [{"id": 9, "name": "clump"}, {"id": 3, "name": "cell"}]
    table = own_files(coco(tmp_path, SQUARE, {**SQUARE, "category_id": 9}, SQUARE, categories=categories))
    assert table.label_names == ("cell", "clump")
    assert not table.rows[0]["labels"]["instances"]
    assert numbers(table.rows[0])[2, 3] == 1


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"segmentation": [[1, 2, 3, 4]]}, r"cells\.json: annotation 100 has a polygon of 4 values"),
        ({"segmentation": [["a"] * 6]}, "annotation 100 has a polygon"),
        ({"segmentation": []}, "annotation 100 has no segmentation"),
        ({}, "annotation 100 has no segmentation"),
        ({"segmentation": {"size": [8, 10], "counts": "abc"}}, "annotation 100 has compressed run lengths"),
        ({"segmentation": {"size": [8, 10], "counts": [3]}}, "annotation 100 has run lengths of 3 pixels"),
        ({**SQUARE, "category_id": 4}, "annotation 100 has the category_id 4"),
        ({**SQUARE, "image_id": 4, "id": "x"}, "annotation x has the image_id 4"),
    ],
)
def test_annotations_that_cannot_be_used(tmp_path: Path, annotation: dict[str, Any], message: str):
    with pytest.raises(LabelError, match=message):
        own_files(coco(tmp_path, annotation))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": []}, "has no annotation"),
        ({"images": [{"id": 7, "file_name": "absent.png"}]}, r"there is no file absent\.png"),
        ({"images": [{"id": 7, "file_name": "one.png", "height": 80, "width": 100}]}, "8 by 10 pixels, but .* 80 by"),
        ({"images": [{"id": 7}]}, "entry 0 of images has no 'file_name'"),
        ({"categories": None}, "has no list 'categories'"),
    ],
)
def test_coco_files_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(MedHubError, match=message):
        own_files(coco(tmp_path, SQUARE, **changes))


def test_a_file_that_is_no_json(tmp_path: Path):
    (tmp_path / "cells.json").write_text("{")
    with pytest.raises(InputError, match=r"cells\.json cannot be read as JSON"):
        own_files(tmp_path / "cells.json")


# --- baselines


def dice(found: NDArray, truth: NDArray, label: int) -> float:
    first, second = found == label, truth == label
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("architecture", ["unet", "unet3d"])
def test_baselines_find_what_is_bright_and_what_lies_where_it_always_lies(architecture: str):
    splits = load_data(synthetic(size=24))
    config = ImageSegmentationConfig.tiny(architecture, id2label=dict(enumerate(splits.label_names)))
    processor = ImageSegmentationProcessor.fit(splits.train, config)
    rows = [{**processor.features(processor.read(row["input"])), **processor.targets(row)} for row in splits.test]
    truths = processor.truths(processor.stack(rows))
    for baseline, label, least in ((threshold, 1, 0.8), (threshold, 2, 0.7), (atlas, 1, 0.7)):
        found = baseline(splits.train, splits.test, labels=splits.label_names, processor=processor, seed=0)
        assert found.shape == truths.shape
        for one, truth in zip(found, truths, strict=True):
            assert one.classes.shape == truth.classes.shape
            assert one.spacing == truth.spacing
        mean = np.mean([dice(one.classes, truth.classes, label) for one, truth in zip(found, truths, strict=True)])
        assert mean > least


@pytest.mark.parametrize("bright", [True, False])
def test_threshold_learns_the_sign_and_divides_touching_objects(tmp_path: Path, bright: bool):
    rows, columns = np.mgrid[0:40, 0:60]
    for name in "abcd":
        mask = np.zeros((40, 60), np.uint8)
        mask[(rows - 20) ** 2 + (columns - 20) ** 2 < 100] = 1
        mask[(rows - 20) ** 2 + (columns - 36) ** 2 < 81] = 2
        noise = np.random.default_rng(ord(name)).normal(0, 5, mask.shape)
        level = np.where((mask > 0) == bright, 180, 60)
        png(tmp_path / "images" / f"{name}.png", (level + noise).astype(np.uint8))
        png(tmp_path / "masks" / f"{name}.png", mask)
    (tmp_path / "labels.txt").write_text("cell")
    table = own_files(tmp_path)
    processor = ImageSegmentationProcessor.fit(table.rows, ImageSegmentationConfig.tiny(id2label={0: "cell"}))
    found, *_ = threshold(table.rows, table.rows, labels=table.label_names, processor=processor, seed=0)
    assert found.instances.max() == 2
    assert dice(found.classes, numbers(table.rows[0]) > 0, 1) > 0.95
    left, right = found.instances[20, 15], found.instances[20, 42]
    assert 0 < left != right > 0


# --- public data sets


@pytest.mark.usefixtures("mirror", "cache")
def test_dsb2018_keeps_fields_of_view_together():
    splits = load_data(DATASETS["dsb2018"])
    sizes = {part: (len(rows), len(set(rows["group"]))) for part, rows in splits.dataset_dict().items()}
    assert sizes == {"train": (433, 192), "validation": (54, 32), "test": (54, 20)}
    row = splits.train[0]
    image, mask = read_image(row["input"]), read_image(row["labels"]["mask"])
    assert image.pixels.shape == mask.pixels.shape
    assert row["labels"]["instances"]


@pytest.mark.usefixtures("mirror", "cache")
def test_hippocampus_keeps_a_persons_two_cases_together():
    source = DATASETS["hippocampus"]
    table = source.load(source.fetch())
    assert len(table.rows) == 260
    assert len(set(table.rows["group"])) == 170
    assert table.label_names == ("anterior", "posterior")
    mask = read_image(table.rows[0]["labels"]["mask"])
    assert set(np.unique(mask.pixels)) == {0, 1, 2}


@pytest.mark.index
@pytest.mark.usefixtures("cache")
def test_stardists_picture_comes_in_tiles():
    source = DATASETS["stardist-example"]
    table = source.load(source.fetch())
    assert len(table.rows) == 16
    objects = [numbers(row) for row in table.rows]
    assert {each.shape for each in objects} == {(128, 128)}
    assert len(set(np.concatenate([np.unique(each) for each in objects])) - {0}) == 125
    with pillow.open(io.BytesIO(table.rows[0]["input"][0]["bytes"])) as picture:
        assert picture.mode == "I;16"
