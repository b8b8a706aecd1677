"""Reading pictures, arrays and NIfTI volumes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medhub.errors import InputError
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.overlays import heat_overlay

nibabel = pytest.importorskip("nibabel")
pillow = pytest.importorskip("PIL.Image")

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def save(array: np.ndarray, path: Path, **options) -> Path:
    pillow.fromarray(array).save(path, **options)
    return path


def test_eight_bit_pictures_are_shown_as_they_are(tmp_path: Path):
    image = read_image(save(RAMP, tmp_path / "ramp.png"))
    np.testing.assert_array_equal(image.grey_levels()[0, ..., 0], RAMP)
    assert (image.source, image.modality, image.spacing) == ("ramp.png", None, None)
    colours = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)
    np.testing.assert_array_equal(read_image(save(colours, tmp_path / "colour.png")).grey_levels()[0], colours)


def test_sixteen_bits_keep_their_levels(tmp_path: Path):
    deep = RAMP.astype(np.uint16) * 16
    image = read_image(save(deep, tmp_path / "deep.png"))
    np.testing.assert_array_equal(image.pixels[0, ..., 0], deep)
    assert image.white == pytest.approx(np.percentile(deep, 99.5))
    assert len(np.unique(image.grey_levels())) > 240


def test_exif_orientation_is_applied(tmp_path: Path):
    exif = pillow.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    flat = np.zeros((16, 32), np.uint8)
    flat[:, :8] = 255
    image = read_image(save(flat, tmp_path / "turned.jpg", exif=exif, quality=95))
    assert image.pixels.shape == (1, 32, 16, 1)
    assert image.pixels[0, 2, 8, 0] > 200 > 50 > image.pixels[0, 30, 8, 0]


@pytest.mark.parametrize(("mode", "channels"), [("LA", 1), ("RGBA", 3), ("P", 3), ("1", 1), ("CMYK", 3)])
def test_alpha_is_dropped_and_modes_are_unified(mode: str, channels: int):
    picture = pillow.fromarray(RAMP).convert("RGB").convert(mode)
    assert read_image(picture).pixels.shape == (1, 16, 16, channels)


@pytest.mark.parametrize("keep", [30, 60, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_picture_that_is_cut_off(tmp_path: Path, suffix: str, keep: float):
    path = save(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8), tmp_path / f"cut.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if keep < 1 else int(keep)])
    with pytest.raises(InputError, match=rf"cut\.{suffix}"):
        read_image(path)


def test_what_is_no_image(tmp_path: Path):
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(InputError, match=r"empty\.png is empty"):
        read_image(empty)
    text = tmp_path / "letter.dcm"
    text.write_text("dear colleague")
    with pytest.raises(InputError, match=r"letter\.dcm is none of DICOM, NIfTI, PNG and JPEG"):
        read_image(text)
    with pytest.raises(InputError, match=r"absent\.png' cannot be read: No such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(InputError, match="from int"):
        read_image(7)
    with pytest.raises(InputError, match="list of slices is empty"):
        read_image([])


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(data: bytes):
    for prefix in (b"", b"\x89PNG\r\n\x1a\n", b"\x1f\x8b", b"\0" * 128 + b"DICM", b"\0" * 344 + b"n+1\0"):
        try:
            image = read_image(prefix + data)
        except InputError:
            continue
        assert np.isfinite(image.pixels).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 6), (1, 5, 6, 1)), ((5, 6, 3), (1, 5, 6, 3)), ((5, 6, 4), (1, 5, 6, 3)), ((9, 5, 6), (9, 5, 6, 1)),
     ((9, 5, 6, 3), (9, 5, 6, 3)), ((9, 5, 6, 1), (9, 5, 6, 1)), ((5, 6, 1), (1, 5, 6, 1))],
)  # fmt: skip
def test_shapes_of_arrays(shape: tuple[int, ...], expected: tuple[int, ...]):
    assert read_image(np.zeros(shape)).pixels.shape == expected


@pytest.mark.parametrize("array", [np.zeros(5), np.zeros((2, 2, 2, 2, 2)), np.zeros((0, 4)), np.array([["a"]])])
def test_arrays_that_are_no_image(array: np.ndarray):
    with pytest.raises(InputError, match="array"):
        read_image(array)


def test_arrays_must_be_finite():
    with pytest.raises(InputError, match="not finite"):
        read_image(np.array([[0.0, np.nan]]))


def test_flat_image_is_black():
    assert read_image(np.full((4, 4), 7.0)).grey_levels().max() == 0


def test_pictures_are_slices_in_the_order_given():
    planes = [np.full((4, 4), value, np.uint8) for value in (9, 3, 6)]
    volume = read_image([pillow.fromarray(plane) for plane in planes])
    np.testing.assert_array_equal(volume.grey_levels()[:, 0, 0, 0], [9, 3, 6])
    assert volume.slice(1).grey_levels()[0, 0, 0, 0] == 3
    assert volume.slice(1).source.endswith("slice 2 of 3")
    with pytest.raises(InputError, match="slices of one size"):
        read_image([planes[0], np.zeros((5, 4), np.uint8)])


@pytest.fixture
def canonical() -> np.ndarray:
    """Voxels that run to the patient's left, back and head, one of them bright."""
    voxels = np.zeros((6, 5, 4), np.int16)
    voxels[3, 2, 1] = 100
    return voxels


def volume_file(path: Path, voxels: np.ndarray, codes: str) -> Path:
    """Store voxels that run to left, back and head in the axes of `codes` instead."""
    from nibabel.orientations import axcodes2ornt, ornt_transform

    affine = np.diag([-2.0, -3.0, 4.0, 1.0])  # NIfTI's own axes run to the right and the front
    image = nibabel.Nifti1Image(voxels, affine)
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(tuple(codes)))
    nibabel.save(image.as_reoriented(turn), path)
    return path


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSR", "SAL", "IRP"])
def test_nifti_lies_as_an_axial_dicom_series(tmp_path: Path, canonical: np.ndarray, codes: str):
    image = read_image(volume_file(tmp_path / "volume.nii.gz", canonical, codes))
    assert image.pixels.shape == (4, 5, 6, 1)
    assert np.argwhere(image.pixels == 100).tolist() == [[1, 2, 3, 0]]
    assert image.spacing == pytest.approx((4.0, 3.0, 2.0))
    # the bright voxel stays where it is in the patient
    np.testing.assert_allclose(image.affine @ [1, 2, 3, 1], [6, 6, 4, 1], atol=1e-5)


def test_nifti_needs_no_suffix_and_takes_bytes(tmp_path: Path, canonical: np.ndarray):
    plain = volume_file(tmp_path / "volume.nii", canonical, "RAS")
    zipped = volume_file(tmp_path / "volume.nii.gz", canonical, "RAS")
    expected = read_image(plain).pixels
    np.testing.assert_array_equal(read_image(zipped.read_bytes()).pixels, expected)
    renamed = zipped.rename(tmp_path / "upload")
    np.testing.assert_array_equal(read_image(renamed).pixels, expected)


def test_nifti_scaling_planes_and_missing_voxels(tmp_path: Path):
    voxels = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    voxels[0, 0, 0] = np.nan
    path = tmp_path / "volume.nii"
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1, -1, 1, 1])), path)
    assert read_image(path).pixels.min() == 1  # the darkest finite voxel
    nibabel.save(nibabel.Nifti1Image(voxels[1], np.eye(4)), path)
    assert read_image(path).pixels.shape == (1, 4, 3, 1)  # two axes are one slice
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3, 2), np.float32), np.eye(4)), path)
    with pytest.raises(InputError, match="not a series in time"):
        read_image(path)


def untold(header_changes: dict[str, object] | None = None) -> bytes:
    """Return a NIfTI file of 2 x 3 x 4 voxels whose two codes say that it does not tell how it lies."""
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), None)
    for name, value in (header_changes or {}).items():
        image.header[name] = value
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 0)
    return image.to_bytes()


def test_nifti_that_does_not_tell_how_it_lies_gets_no_affine():
    image = read_image(untold())
    assert (image.affine, image.spacing) == (None, None)  # sizes of 1 in no unit are what a writer fills in
    stored = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(image.pixels[..., 0], stored.transpose(2, 1, 0))
    sizes = [1, 0.5, 0.6, 0.7, 1, 1, 1, 1]
    assert read_image(untold({"pixdim": sizes})).spacing == pytest.approx((0.7, 0.6, 0.5))
    assert read_image(untold({"xyzt_units": 2})).spacing == (1, 1, 1)
    assert read_image(untold({"pixdim": [1, 0.5, 0, 0.7, 1, 1, 1, 1]})).spacing is None


@pytest.mark.parametrize(("unit", "millimetres"), [("unknown", 1), ("meter", 1000), ("mm", 1), ("micron", 0.001)])
def test_nifti_in_other_units(unit: str, millimetres: float):
    volume = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([2.0, 3.0, 4.0, 1.0]))
    volume.header.set_xyzt_units(unit)
    image = read_image(volume.to_bytes())
    assert image.spacing == pytest.approx([4 * millimetres, 3 * millimetres, 2 * millimetres])
    assert np.prod(image.spacing) == pytest.approx(abs(np.linalg.det(image.affine)))


def test_qform_counts_where_there_is_no_sform():
    volume = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), None)
    volume.set_qform(np.diag([-2.0, -3.0, 4.0, 1.0]), code=1)
    np.testing.assert_allclose(read_image(volume.to_bytes()).affine, np.diag([4.0, 3, 2, 1])[[2, 1, 0, 3]])


@pytest.mark.parametrize("row", [[0, 0, 0, 0], [np.nan, 0, 0, 0], [0, 3, 0, 5]])
def test_nifti_whose_affine_is_no_space_is_refused(row: list[float]):
    volume = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([2.0, 3.0, 4.0, 1.0]))
    volume.header["srow_x"] = row
    damaged = nibabel.Nifti1Image(volume.dataobj, None, volume.header)
    with pytest.raises(InputError, match="gives its voxels no volume; correct its sform"):
        read_image(damaged.to_bytes())


def test_nifti_that_is_cut_off_or_something_else(tmp_path: Path, canonical: np.ndarray):
    path = volume_file(tmp_path / "cut.nii.gz", canonical, "RAS")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.nii\.gz cannot be read as NIfTI"):
        read_image(path)
    path.write_bytes(gzip.compress(b"a tarball, perhaps" * 50))
    with pytest.raises(InputError, match="what it holds is not NIfTI"):
        read_image(path)


def test_small_file_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch, canonical: np.ndarray):
    from medhub.plugins.imaging import nifti

    monkeypatch.setattr(nifti, "LARGEST", 500)
    packed = gzip.compress(nibabel.Nifti1Image(canonical, np.eye(4)).to_bytes())
    with pytest.raises(InputError, match="unpacks to more than"):
        read_image(packed)


def test_overlay_colours_what_is_hot():
    heat = np.zeros((4, 4))
    heat[0, 0], heat[3, 3] = 1.0, -1.0
    grey = np.full((28, 28, 1), 128, np.uint8)
    drawn = np.asarray(heat_overlay(grey, heat)).astype(int)
    assert drawn.shape == (336, 336, 3)
    assert drawn[10, 10, 0] > drawn[10, 10, 2] + 50  # red
    assert drawn[-10, -10, 2] > drawn[-10, -10, 0] + 50  # blue
    assert (drawn[168 - 60 : 168, 200:230] == 128).all()
    np.testing.assert_array_equal(np.asarray(heat_overlay(grey, np.zeros((4, 4)))), 128)


def test_overlay_over_a_large_coloured_picture():
    picture = np.zeros((400, 500, 3), np.uint8)
    assert heat_overlay(picture, np.ones((7, 7))).size == (500, 400)


def test_jpeg_from_bytes_is_named():
    file = io.BytesIO()
    pillow.fromarray(RAMP).save(file, "JPEG")
    assert read_image(file.getvalue()).source == "image"
