"""Masks go back to where their image lay: NIfTI to the last bit, DICOM SEG slice by slice."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medhub.errors import InputError
from medhub.plugins.imaging.export import save_dicom_seg, save_label_png, save_nifti
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.geometry import canonical, restore, with_spacing

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
FOLDER = Path(pydicom.data.__file__).parent / "test_files"
ORIENTATIONS = [*product(permutations(range(3)), product((1, -1), repeat=3))]
"""The 48 ways in which three axes can lie along the patient's."""


def lying(axes, senses, sizes, turn) -> np.ndarray:
    """Return an affine of voxels of `sizes` along the patient's `axes` in `senses`, then turned by degrees."""
    along = np.zeros((3, 3))
    along[list(axes), range(3)] = senses
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ along * sizes
    affine[:3, 3] = (10.1, -20.2, 30.3)
    return affine


def texts(header) -> dict[str, bytes]:
    return {name: value.item() for name, value in header.items() if value.dtype.kind == "S" and name != "magic"}


def round_trip(volume, folder: Path, suffix: str) -> tuple[np.ndarray, object]:
    """Send a label volume through the whole way: read it, turn it, take its pixels for the mask, and write that."""
    path = folder / f"scan{suffix}"
    nibabel.save(volume, path)
    image = read_image(path)
    if image.affine is None:
        mask = image.pixels[..., 0]
    else:
        turned = canonical(image)
        mask = restore(turned.pixels[..., 0], turned, image)
    answer = folder / f"mask{suffix}"
    save_nifti(answer, mask.astype(np.uint16), image)
    assert sorted(folder.iterdir()) == sorted([path, answer])  # nothing temporary is left
    written = nibabel.load(answer)
    return np.asarray(written.dataobj), written.header


# --- NIfTI


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
    sizes=st.tuples(*[st.floats(0.2, 9)] * 3),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    unit=st.sampled_from(["unknown", "meter", "mm", "micron"]),
    kind=st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]),
)
def test_nifti_comes_back_to_the_last_bit(tmp_path_factory, orientation, turn, sizes, shape, codes, unit, kind):
    volume = kind(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape), None)
    affine = lying(*orientation, sizes, turn)
    volume.set_qform(affine, code=codes[0])
    volume.set_sform(affine + np.diag([0.1, 0, 0, 0]) * (codes[0] > 0), code=codes[1])  # the two may differ
    volume.header.set_xyzt_units(unit)
    volume.header["descrip"] = volume.header["aux_file"] = b"Secret^Name"
    expected = volume.header.copy()
    voxels, header = round_trip(volume, tmp_path_factory.mktemp("nifti"), ".nii")
    np.testing.assert_array_equal(voxels, np.asarray(volume.dataobj))
    assert type(header) is type(expected)
    for name in ("dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z"):
        np.testing.assert_array_equal(header[name], expected[name])
    np.testing.assert_array_equal(header.get_best_affine(), expected.get_best_affine())
    np.testing.assert_array_equal(header.get_qform(), expected.get_qform())
    assert not any(texts(header).values())


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_nifti_of_every_axis_order(tmp_path: Path, orientation):
    affine = lying(*orientation, (2, 3, 4), (0, 0, 0))
    volume = nibabel.Nifti1Image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), affine)
    voxels, header = round_trip(volume, tmp_path, ".nii.gz")
    np.testing.assert_array_equal(voxels, np.asarray(volume.dataobj))
    np.testing.assert_array_equal(header.get_best_affine(), volume.affine.astype(np.float32))


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5, 1)])
def test_nifti_keeps_its_number_of_axes(tmp_path: Path, shape: tuple[int, ...]):
    volume = nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape), np.diag([-2, 3, 4, 1]))
    voxels, _ = round_trip(volume, tmp_path, ".nii")
    np.testing.assert_array_equal(voxels, np.asarray(volume.dataobj))


def test_nifti_on_a_big_endian_disk(tmp_path: Path):
    volume = nibabel.Nifti1Image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), np.diag([-2, 3, 4, 1]))
    swapped = nibabel.Nifti1Image(np.asarray(volume.dataobj), None, volume.header.as_byteswapped(">"))
    assert swapped.header.endianness == ">"
    voxels, header = round_trip(swapped, tmp_path, ".nii")
    np.testing.assert_array_equal(voxels, np.asarray(volume.dataobj))
    np.testing.assert_array_equal(header.get_best_affine(), volume.affine)


def test_labels_are_as_small_as_they_fit(tmp_path: Path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.eye(4)), tmp_path / "scan.nii")
    image = read_image(tmp_path / "scan.nii")
    mask = np.zeros((5, 4, 3), int)
    for most, dtype in ((1, np.uint8), (255, np.uint8), (256, np.uint16), (65535, np.uint16)):
        mask[0, 0, 0] = most
        save_nifti(tmp_path / "mask.nii", mask, image)
        assert nibabel.load(tmp_path / "mask.nii").get_data_dtype() == dtype
    save_nifti(tmp_path / "mask.nii", mask > 0, image)
    before = (tmp_path / "mask.nii").read_bytes()
    for wrong, message in (
        (mask + 1, "whole numbers from 0 to 65535"), (mask - 1, "from 0 to 65535"), (mask / 2, "mask of float64"),
        (mask[:-1], r"shape \(4, 4, 3\), but its image \(5, 4, 3\)"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            save_nifti(tmp_path / "mask.nii", wrong, image)
    assert (tmp_path / "mask.nii").read_bytes() == before


def test_mask_of_a_dicom_series_as_nifti(tmp_path: Path, series: Path):
    image = read_image(series)
    mask = np.zeros(image.pixels.shape[:3], np.uint8)
    mask[2, 10, 20] = 1
    save_nifti(tmp_path / "mask.nii.gz", mask, image)
    written = nibabel.load(tmp_path / "mask.nii.gz")
    left, back, head = (image.affine @ [2, 10, 20, 1])[:3]
    voxel = np.argwhere(np.asarray(written.dataobj))[0]
    np.testing.assert_allclose(written.affine @ [*voxel, 1], [-left, -back, head, 1], atol=1e-4)
    again = read_image(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(again.pixels[..., 0], mask)
    np.testing.assert_allclose(again.affine, image.affine, atol=1e-4)
    assert written.header.get_xyzt_units()[0] == "mm"


def test_turned_volume_and_slices_lie_where_they_lay(tmp_path: Path):
    affine = lying((1, 2, 0), (1, -1, 1), (2, 3, 4), (10, 0, 20))
    nibabel.save(nibabel.Nifti1Image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), affine), tmp_path / "scan.nii")
    image = read_image(tmp_path / "scan.nii")
    slice_ = image.slice(1)
    save_nifti(tmp_path / "mask.nii", slice_.pixels[0, ..., 0].astype(np.uint8), slice_)
    again = read_image(tmp_path / "mask.nii")
    np.testing.assert_array_equal(again.pixels, slice_.pixels)
    np.testing.assert_allclose(again.affine, slice_.affine, atol=1e-5)


def test_image_without_geometry_has_no_nifti_until_it_is_stated(tmp_path: Path):
    image = read_image(np.zeros((3, 4, 5)))
    with pytest.raises(InputError, match="does not tell how it lies in the patient"):
        save_nifti(tmp_path / "mask.nii", np.zeros((3, 4, 5), np.uint8), image)
    save_nifti(tmp_path / "mask.nii", np.zeros((3, 4, 5), np.uint8), with_spacing(image, (3, 2, 1)))
    assert read_image(tmp_path / "mask.nii").spacing == (3, 2, 1)


def test_real_labels_come_back(mirror: Path, tmp_path: Path):
    name = "hippocampus_001.nii.gz"
    labels = mirror / "hippocampus" / "labels" / name
    image = read_image(mirror / "hippocampus" / "images" / name)
    save_nifti(tmp_path / name, read_image(labels).pixels[..., 0].astype(np.uint8), image)
    ours, theirs = nibabel.load(tmp_path / name), nibabel.load(labels)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    np.testing.assert_array_equal(ours.affine, theirs.affine)


# --- PNG


@pytest.mark.parametrize(("most", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_png_keeps_labels(tmp_path: Path, most: int, dtype: type):
    mask = np.arange(20).reshape(4, 5)
    mask[0, 0] = most
    for shaped in (mask, mask[None]):
        save_label_png(tmp_path / "mask.png", shaped)
        np.testing.assert_array_equal(read_image(tmp_path / "mask.png").pixels[0, ..., 0], mask)
    import PIL.Image

    with PIL.Image.open(tmp_path / "mask.png") as picture:
        assert np.asarray(picture).dtype == dtype


def test_png_holds_one_slice(tmp_path: Path):
    with pytest.raises(InputError, match=r"one slice, but the mask has the shape \(3, 4, 5\); save it as \.nii\.gz"):
        save_label_png(tmp_path / "mask.png", np.zeros((3, 4, 5), np.uint8))


# --- DICOM SEG

LABELS = ("anterior hippocampus, of the left or of the right side", "posterior")


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    """Return a mask of two labels that differs from slice to slice; the first slice has none."""
    mask = np.zeros(shape, np.uint8)
    for place in range(len(mask)):
        mask[place, 10 : 10 + place, 20:25] = 1
        mask[place, 40:43, 50 : 50 + 2 * place] = 2
    return mask


def read_seg(path: Path):
    hd = pytest.importorskip("highdicom")
    return hd.seg.segread(path)


@pytest.mark.parametrize("kind", ["folder", "files", "bytes", "enhanced file"])
def test_seg_lies_on_its_source(tmp_path: Path, series: Path, enhanced, kind: str):
    pytest.importorskip("highdicom")
    enhanced.save_as(tmp_path / "enhanced.dcm")
    files = sorted(series.glob("*.dcm"))
    source = {
        "folder": series, "files": files[::-1], "bytes": [path.read_bytes() for path in files],
        "enhanced file": tmp_path / "enhanced.dcm",
    }[kind]  # fmt: skip
    image = read_image(source)
    mask = blobs(image.pixels.shape[:3])
    path = tmp_path / "answer.dcm"
    save_dicom_seg(path, mask, source, LABELS)
    seg = read_seg(path)
    assert seg.SegmentationType == "BINARY"
    assert [seg.get_segment_description(n).SegmentLabel for n in (1, 2)] == list(LABELS)
    volume = seg.get_volume(combine_segments=True)  # may run the other way, and has no empty slices
    for value in (1, 2):
        found, expected = places(volume.array == value, volume.affine), places(mask == value, image.affine)
        np.testing.assert_allclose(found, expected, atol=1e-3)
    original = pydicom.dcmread(files[0])
    assert (seg.PatientID, seg.StudyInstanceUID) == (original.PatientID, original.StudyInstanceUID)
    assert seg.FrameOfReferenceUID == original.FrameOfReferenceUID


def places(region: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return where a region's voxels lie in the patient, in order."""
    voxels = np.argwhere(region)
    found = (np.c_[voxels, np.ones(len(voxels))] @ affine.T)[:, :3]
    return found[np.lexsort(found.round(2).T)]


def test_seg_names_the_very_slices_of_the_series(tmp_path: Path, series: Path):
    pytest.importorskip("highdicom")
    mask = blobs(read_image(series).pixels.shape[:3])
    save_dicom_seg(tmp_path / "answer.dcm", mask, series, LABELS)
    slices = sorted(map(pydicom.dcmread, series.glob("*.dcm")), key=lambda one: one.ImagePositionPatient[2])
    found = read_seg(tmp_path / "answer.dcm").get_pixels_by_source_instance(
        [one.SOPInstanceUID for one in slices],
        combine_segments=True, assert_missing_frames_are_empty=True, ignore_spatial_locations=True,
    )  # fmt: skip
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm"])
@pytest.mark.parametrize("empty", [False, True])
def test_seg_of_a_single_picture(tmp_path: Path, name: str, empty: bool):
    pytest.importorskip("highdicom")
    image = read_image(FOLDER / name)
    mask = np.zeros(image.pixels.shape[:3], np.uint8)
    if not empty:
        mask[0, 3:7, 2:9], mask[0, 20:22, 5] = 1, 2
    save_dicom_seg(tmp_path / "answer.dcm", mask[0], FOLDER / name, LABELS)
    found = read_seg(tmp_path / "answer.dcm").get_pixels_by_source_instance(
        [pydicom.dcmread(FOLDER / name).SOPInstanceUID],
        combine_segments=True, assert_missing_frames_are_empty=True, ignore_spatial_locations=True,
    )  # fmt: skip
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("name", ["rtdose.dcm", "SC_rgb_rle_2frame.dcm"])
def test_seg_of_frames_without_places_is_refused(tmp_path: Path, name: str):
    image = read_image(FOLDER / name)
    with pytest.raises(InputError, match=f"{name} does not tell where its {image.slices} frames lie"):
        save_dicom_seg(tmp_path / "answer.dcm", np.zeros(image.pixels.shape[:3], np.uint8), FOLDER / name, LABELS)


def test_seg_that_does_not_fit_its_source(tmp_path: Path, series: Path):
    pytest.importorskip("highdicom")
    path = tmp_path / "answer.dcm"
    mask = blobs((4, 128, 128))
    with pytest.raises(InputError, match=r"shape \(3, 128, 128\), but its image \(4, 128, 128\)"):
        save_dicom_seg(path, mask[1:], series, LABELS)
    with pytest.raises(InputError, match="holds the value 2, but 1 labels"):
        save_dicom_seg(path, mask, series, LABELS[:1])
    with pytest.raises(InputError, match="is not DICOM throughout"):
        save_dicom_seg(path, mask, [*series.iterdir()], LABELS)
    for file in series.glob("*.dcm"):
        data = pydicom.dcmread(file)
        del data.SliceThickness
        data.save_as(file)
    with pytest.raises(InputError, match=r"series cannot have a DICOM SEG: .*SliceThickness"):
        save_dicom_seg(path, mask, series, LABELS)
    assert not path.exists()


def test_seg_prints_no_unusual_name(tmp_path: Path, series: Path, recwarn: pytest.WarningsRecorder):
    pytest.importorskip("highdicom")
    for file in series.glob("*.dcm"):
        data = pydicom.dcmread(file)
        data.PatientName = "OnlyOneName"
        data.save_as(file)
    save_dicom_seg(tmp_path / "answer.dcm", blobs((4, 128, 128)), series, LABELS)
    assert not recwarn.list
    assert read_seg(tmp_path / "answer.dcm").PatientName == "OnlyOneName"
