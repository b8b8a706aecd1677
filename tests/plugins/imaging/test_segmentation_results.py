"""What a segmentation says: sizes in the image's unit, run lengths, files on the image's own grid, pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.geometry import with_spacing
from medhub.plugins.imaging.pictures import from_array
from medhub.plugins.imaging.segmentation.data import synthetic
from medhub.plugins.imaging.segmentation.results import SegmentationPrediction
from medhub.results import Explanation, Provenance

nibabel = pytest.importorskip("nibabel")
pillow = pytest.importorskip("PIL.Image")
pydicom = pytest.importorskip("pydicom")
DICOM = Path(pydicom.data.__file__).parent / "test_files"


def nuclei() -> SegmentationPrediction:
    """Two touching objects on a picture of 8 by 6 pixels."""
    objects = np.zeros((1, 8, 6), np.int32)
    objects[0, 1:3, 1:5], objects[0, 3:5, 1:5] = 1, 2
    image = from_array(np.zeros((8, 6), np.uint8), "cells.png")
    return SegmentationPrediction.from_mask(
        image, (objects > 0).astype(np.uint8), labels=["nucleus"], confidence=[0.9], instances=objects
    )


def volume() -> tuple[SegmentationPrediction, dict]:
    """The true answer to a made-up volume, and its row."""
    row = synthetic(size=1).rows[0]
    mask = read_image(row["labels"]["mask"]).pixels[..., 0].astype(np.uint8)
    image = read_image(row["input"])
    return SegmentationPrediction.from_mask(image, mask, labels=["organ", "lesion"], confidence=[0.9, 0.8]), row


def test_objects_are_counted():
    result = nuclei()
    region = result.regions["nucleus"]
    assert (region.count, region.pixels) == (2, 16)
    assert region.share == pytest.approx(16 / 48)
    assert region.area_mm2 is None
    assert region.volume_ml is None
    assert result.title() == "cells.png: nucleus: 2 objects, 33.3 % of the image"
    assert result.bars() == {"nucleus": 0.9}


def test_a_picture_of_known_spacing_has_areas():
    image = with_spacing(from_array(np.zeros((8, 6), np.uint8), "x.png"), (0.5, 0.25))
    result = SegmentationPrediction.from_mask(image, nuclei().mask, labels=["lesion"], confidence=[1.0])
    assert result.regions["lesion"].area_mm2 == pytest.approx(16 * 0.125)
    assert result.title() == "x.png: lesion 2.0 mm²"


def test_a_volume_has_millilitres():
    result, _ = volume()
    voxels = int((result.mask == 1).sum())
    assert result.regions["organ"].volume_ml == pytest.approx(voxels * 2 / 1000)  # voxels of 2 by 1 by 1 mm
    assert f"organ {voxels * 2 / 1000:.2f} ml; lesion" in result.title()


def test_nothing_found_is_said():
    image = from_array(np.zeros((4, 4), np.uint8), "empty.png")
    empty = SegmentationPrediction.from_mask(
        image, np.zeros((1, 4, 4), np.uint8), labels=["a", "b"], confidence=[0.0, 0.0]
    )
    assert empty.title() == "empty.png: no a or b found"
    assert empty.to_dict()["mask"]["a"] == {"size": [4, 4], "counts": [16]}
    assert empty.picture().width > 100


def test_run_lengths_are_cocos():
    mask = np.zeros((1, 2, 3), np.uint8)
    mask[0, 0, 0] = mask[0, :, 2] = 1
    image = from_array(np.zeros((2, 3), np.uint8))
    result = SegmentationPrediction.from_mask(image, mask, labels=["x"], confidence=[1.0])
    assert result.to_dict()["mask"]["x"] == {"size": [2, 3], "counts": [0, 1, 3, 2]}


def test_run_lengths_of_a_volume_unfold_to_the_mask():
    result, _ = volume()
    runs = result.to_dict()["mask"]["lesion"]
    slices, height, width = runs["size"]
    flat = np.repeat(np.arange(len(runs["counts"])) % 2, runs["counts"])
    np.testing.assert_array_equal(flat.reshape(slices, width, height).transpose(0, 2, 1), result.mask == 2)


def test_json_holds_numbers_and_not_the_image():
    provenance = Provenance(model="m", task="t", weights_sha256="w", processor_sha256="p", plugin="i", version="1")
    explanation = Explanation(method="m", label="nucleus", legend="l", values=np.zeros((2, 2)))
    told = json.loads(replace(nuclei(), provenance=provenance, explanation=explanation).to_json())
    assert set(told) == {"input", "provenance", "explanation", "labels", "regions", "mask"}
    assert told["provenance"]["model"] == "m"
    assert told["regions"]["nucleus"]["count"] == 2


def test_nifti_comes_back_on_the_file_it_came_from(tmp_path: Path):
    result, row = volume()
    for name in ("mask.nii", "mask.nii.gz"):
        saved, given = nibabel.load(result.save(tmp_path / name)), nibabel.Nifti1Image.from_bytes(
            row["labels"]["mask"]["bytes"])  # fmt: skip
        np.testing.assert_array_equal(np.asarray(saved.dataobj), np.asarray(given.dataobj))
        np.testing.assert_array_equal(saved.affine, given.affine)


def test_dicom_needs_the_series_and_is_written_on_it(tmp_path: Path):
    image = read_image(DICOM / "CT_small.dcm")
    mask = np.zeros((1, 128, 128), np.uint8)
    mask[0, 40:60, 40:60] = 1
    result = SegmentationPrediction.from_mask(image, mask, labels=["lesion"], confidence=[0.7])
    with pytest.raises(InputError, match="give the series as source"):
        result.save(tmp_path / "seg.dcm")
    written = pydicom.dcmread(result.save(tmp_path / "seg.dcm", source=DICOM / "CT_small.dcm"))
    assert written.Modality == "SEG"
    assert written.pixel_array.sum() == 400


def test_pictures_are_written_as_mask_and_as_page(tmp_path: Path):
    result = nuclei()
    with pillow.open(result.save(tmp_path / "cells.mask.png")) as mask:
        np.testing.assert_array_equal(np.asarray(mask), result.mask[0])
    with pillow.open(result.save(tmp_path / "cells.png")) as page:
        assert page.width == 960
    with pytest.raises(InputError, match="does not tell how it lies"):
        result.save(tmp_path / "cells.nii.gz")
    with pytest.raises(InputError, match=r"Formats: \.nii\.gz"):
        result.save(tmp_path / "cells.tif")


def test_a_volume_is_drawn_where_most_is():
    result, _ = volume()
    most = int((result.mask > 0).sum((1, 2)).argmax())
    np.testing.assert_array_equal(result.picture(), result.slice_picture(most))
    assert not np.array_equal(result.picture(), result.slice_picture(0))
