"""The rows of imaging/classification: synthetic, public and the user's own; and the baselines on them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import medhub
from medhub.data import Splits, load_data
from medhub.errors import InputError, LabelError
from medhub.plugins.imaging.classification.baselines import majority, pixel_regression, size_regression
from medhub.plugins.imaging.classification.config import ImageClassificationConfig
from medhub.plugins.imaging.classification.data import DATASETS, own_files, synthetic
from medhub.plugins.imaging.classification.processing import ImageClassificationProcessor

pillow = pytest.importorskip("PIL.Image")
pydicom = pytest.importorskip("pydicom")
DICOM = Path(pydicom.data.__file__).parent / "test_files"


def png(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.fromarray(np.full((8, 8), value, np.uint8)).save(path)
    return path


def dicom(path: Path, *, patient: str, height: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = pydicom.dcmread(DICOM / "CT_small.dcm")
    data.PatientID, data.ImagePositionPatient = patient, [0, 0, height]
    data.save_as(path)
    return path


def write_csv(path: Path, *rows: list[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def baseline(score: Callable[..., np.ndarray], splits: Splits) -> np.ndarray:
    processor = ImageClassificationProcessor.fit(splits.train, ImageClassificationConfig())
    return score(splits.train, splits.test, labels=splits.label_names, processor=processor, seed=0)


# --- synthetic


def test_synthetic_studies_repeat_by_seed():
    first, again, other = (synthetic(size=6, seed=seed).rows.to_dict() for seed in (0, 0, 1))
    assert first == again != other


def test_synthetic_studies_can_be_told_apart_from_their_middle_slice():
    splits = load_data(synthetic(size=200), split="group")
    scores = baseline(pixel_regression, splits)
    auroc = medhub.get("imaging/classification").metric("auroc").compute
    assert auroc(scores, np.array(splits.test["labels"][:])) > 0.6
    guess = baseline(majority, splits)
    np.testing.assert_allclose(guess.sum(1), 1)
    assert len(np.unique(guess, axis=0)) == 1


@pytest.mark.parametrize("what", ["size", "brightness"])
def test_size_and_brightness_betray_a_label(tmp_path: Path, what: str):
    random = np.random.default_rng(0)
    for number in range(40):
        side, level = (20 + number % 2 * 4, 100) if what == "size" else (20, 100 + number % 2 * 20)
        pixels = random.integers(level, level + 60, (side, side), dtype=np.uint8)
        path = tmp_path / ("ill", "well")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pillow.fromarray(pixels).save(path)
    splits = load_data(own_files(tmp_path), split="group")
    scores = baseline(size_regression, splits)
    np.testing.assert_array_equal(scores.argmax(1), splits.test["labels"][:])
    np.testing.assert_allclose(scores.sum(1), 1)


# --- own files


def test_folder_a_class(tmp_path: Path):
    png(tmp_path / "ill" / "a.png", 10)
    png(tmp_path / "ill" / "b.JPG", 20)
    png(tmp_path / "well" / "c.png", 30)
    (tmp_path / "well" / "readme.txt").write_text("notes")
    (tmp_path / "well" / ".DS_Store").write_text("hidden")
    table = own_files(tmp_path)
    assert table.label_names == ("ill", "well")
    assert table.rows["labels"][:] == [0, 0, 1]
    assert len(set(table.rows["group"])) == 3
    assert table.dropped == {"file that is no image": 1}
    assert "patient of 3 of 3 images is unknown" in table.notes[0]


def test_equal_images_share_a_group(tmp_path: Path):
    for name in ("ill/a.png", "ill/b.png", "well/c.png"):
        png(tmp_path / name, 10)
    assert len(set(own_files(tmp_path).rows["group"])) == 1


def test_dicom_tells_patient_and_modality(tmp_path: Path):
    dicom(tmp_path / "ill" / "a.dcm", patient="SECRET-1")
    dicom(tmp_path / "ill" / "b_without_suffix", patient="SECRET-2")
    dicom(tmp_path / "well" / "c.dcm", patient="SECRET-1", height=3)
    table = own_files(tmp_path)
    assert table.rows["group"][:] == ["patient 1", "patient 2", "patient 1"]
    assert table.rows["modality"][:] == ["CT"] * 3
    assert table.notes == ()
    assert "SECRET" not in str(table.rows.to_dict())


def test_folder_in_a_class_is_a_series(tmp_path: Path):
    for number, height in enumerate((5.0, 0.0, 2.5)):
        dicom(tmp_path / "ill" / "scan" / f"{number}.dcm", patient="1", height=height)
    png(tmp_path / "well" / "c.png", 30)
    table = own_files(tmp_path)
    assert [len(files) for files in table.rows["input"]] == [3, 1]
    config = ImageClassificationConfig.tiny("cnn_rnn")
    processor = ImageClassificationProcessor.fit(table.rows, config)
    assert processor.features(processor.read(table.rows[0]["input"]))["pixel_values"].shape == (3, 1, 28, 28)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], InputError, "no folder a class"),
        (["loose.png"], InputError, "no folder a class"),
        (["ill/a.png", "well/notes.txt"], LabelError, "well holds no image"),
        (["ill/a.png", "well/series/notes.txt"], InputError, "series holds no DICOM file"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, names: list[str], error: type[Exception], message: str):
    for name in names:
        png(tmp_path / name, 1) if name.endswith("png") else (tmp_path / name).parent.mkdir(parents=True)
        if not name.endswith("png"):
            (tmp_path / name).write_text("text")
    with pytest.raises(error, match=message):
        own_files(tmp_path)


def test_csv_with_patients_and_splits(tmp_path: Path):
    rows = [["path", "label", "patient", "split"]]
    for number, split in enumerate(("train", "train", "validation", "test", "train")):
        png(tmp_path / "images" / f"{number}.png", 20 * number)
        rows.append([f"images/{number}.png", ("ill", "well")[number % 2], f"p{number // 2}", split])
    rows[2][2] = "p0"
    rows[4][2], rows[5][2] = "p3", "p4"
    table = own_files(write_csv(tmp_path / "list.csv", *rows))
    assert table.rows["group"][:] == ["p0", "p0", "p1", "p3", "p4"]
    assert table.notes == ()
    splits = load_data(table, split="official")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [3, 1, 1]


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (["absent.png", "ill", "p"], InputError, r"line 3: there is no file .*absent\.png"),
        (["a.png", "", "p"], LabelError, "line 3: the label is empty"),
        (["", "ill", "p"], LabelError, "line 3: the path is empty"),
        (["a.png", "ill", " "], LabelError, "line 3: the patient is empty"),
        (["a.png", "ill"], LabelError, "line 3: the patient is empty"),
    ],
)
def test_csv_rows_that_cannot_be_used(tmp_path: Path, row: list[str], error: type[Exception], message: str):
    png(tmp_path / "a.png", 1)
    path = write_csv(tmp_path / "list.csv", ["path", "label", "patient"], ["a.png", "well", "p"], row)
    with pytest.raises(error, match=message):
        own_files(path)


def test_csv_with_an_odd_split_or_header(tmp_path: Path):
    png(tmp_path / "a.png", 1)
    path = write_csv(tmp_path / "list.csv", ["path", "label", "split"], ["a.png", "well", "trian"])
    with pytest.raises(InputError, match="line 2: no split 'trian'; did you mean 'train'"):
        own_files(path)
    path = write_csv(tmp_path / "list.csv", ["path", "labels"], ["a.png", "well"])
    with pytest.raises(InputError, match="lacks the column 'label'; did you mean 'labels'"):
        own_files(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=r"list\.csv cannot be read as CSV"):
        own_files(path)
    with pytest.raises(InputError, match="there is no file or folder"):
        own_files(tmp_path / "absent.csv")


# --- public data sets


@pytest.mark.usefixtures("mirror", "cache")
def test_pneumoniamnist_has_the_official_parts():
    splits = load_data(DATASETS["pneumoniamnist"])
    sizes = {part: len(rows) for part, rows in splits.dataset_dict().items()}
    # 4,708 training images, less those that the validation part has too
    assert sizes == {"train": 4708 - 10, "validation": 524, "test": 624}
    assert dict(splits.dropped) == {"image of train that also stands in validation": 10}
    counts = {part: np.bincount(rows["labels"][:]).tolist() for part, rows in splits.dataset_dict().items()}
    assert counts == {"train": [1214, 3484], "validation": [135, 389], "test": [234, 390]}
    processor = ImageClassificationProcessor.fit(splits.train.select(range(50)), ImageClassificationConfig())
    assert processor.modalities == ["CR", "DX"]


@pytest.mark.usefixtures("mirror", "cache")
def test_busi_keeps_near_duplicates_together():
    source = DATASETS["busi"]
    paths = source.fetch()
    assert sum(name.endswith(".png") for name in paths) == 780
    table = source.load(paths)
    # the one exact pair stands under two labels, and so falls out
    assert table.dropped == {"scan that stands under two labels": 2}
    assert np.bincount(table.rows["labels"][:]).tolist() == [436, 209, 133]
    assert len(set(table.rows["group"])) == 612
    splits = load_data(source)
    assert min(len(splits.train), 10 * len(splits.validation), 10 * len(splits.test)) > 500


def nifti(path: Path, voxels: np.ndarray, *, millimetres: float) -> Path:
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([*[millimetres] * 3, 1])), path)
    return path


def test_hippocampi_are_labelled_by_their_millilitres(tmp_path: Path):
    paths = {}
    for case, marked in (("hippocampus_001", 400), ("hippocampus_002", 430)):  # of 8 cubic millimetres
        mask = np.zeros(1000, np.uint8)
        mask[:100], mask[100:marked] = 1, 2
        voxels = {"images": np.arange(1000, dtype=np.float32), "labels": mask}
        for folder, values in voxels.items():
            name = f"{folder}/{case}.nii.gz"
            paths[name] = nifti(tmp_path / name, values.reshape(10, 10, 10), millimetres=2.0)
    table = DATASETS["hippocampus-volume"].load(paths)
    assert [table.label_names[label] for label in table.rows["labels"]] == ["smaller", "larger"]
    assert table.rows["group"][:] == ["pair 1", "pair 1"]
    # the network gets the image alone
    assert [[Path(file["path"]).parent.name for file in files] for files in table.rows["input"]] == [["images"]] * 2


@pytest.mark.usefixtures("mirror", "cache")
def test_half_of_the_hippocampi_are_smaller():
    splits = load_data(DATASETS["hippocampus-volume"])
    parts = splits.dataset_dict()
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 208, "validation": 26, "test": 26}
    assert sum(np.bincount(rows["labels"][:]) for rows in parts.values()).tolist() == [130, 130]
    assert "It is no diagnosis" in splits.notes[0]
    assert "Each volume was cut out around a hippocampus" in splits.notes[1]
