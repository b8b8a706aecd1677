"""Reading DICOM, on the real files in pydicom's wheel."""

from __future__ import annotations

import io
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.imaging.files import read_image

pydicom = pytest.importorskip("pydicom")
FOLDER = Path(pydicom.data.__file__).parent / "test_files"


def dataset(name: str):
    return pydicom.dcmread(FOLDER / name)


def write(dataset, path: Path) -> Path:
    dataset.save_as(path)
    return path


def test_ct_is_rescaled_to_hounsfield_units():
    image = read_image(FOLDER / "CT_small.dcm")
    stored = dataset("CT_small.dcm").pixel_array
    assert image.pixels.shape == (1, 128, 128, 1)
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels[0, ..., 0], stored.astype(np.float32) - 1024)
    assert image.modality == "CT"
    assert image.spacing == pytest.approx((0.661468, 0.661468))
    assert image.source == "CT_small.dcm"


def test_window_agrees_with_the_standards_formula():
    image = read_image(FOLDER / "MR_small.dcm")  # centre 600, width 1600, 16 bits signed
    stored = dataset("MR_small.dcm").pixel_array.astype(float)
    expected = (((stored - (600 - 0.5)) / (1600 - 1)) + 0.5).clip(0, 1) * 255
    np.testing.assert_allclose(image.grey_levels()[0, ..., 0], expected, atol=0.51)
    assert (image.black, image.white) == (-200, 1399)


def test_window_agrees_with_pydicom():
    data = dataset("MR_small.dcm")
    shown = pydicom.pixels.apply_windowing(data.pixel_array, data)
    expected = (shown + 2**15) / (2**16 - 1) * 255
    np.testing.assert_allclose(read_image(data).grey_levels()[0, ..., 0], expected, atol=0.51)


def test_exact_and_sigmoid_windows():
    data = dataset("MR_small.dcm")
    data.VOILUTFunction = "LINEAR_EXACT"
    assert (read_image(data).black, read_image(data).white) == (-200, 1400)
    data.VOILUTFunction = "SIGMOID"
    expected = 255 / (1 + np.exp(-4 * (data.pixel_array - 600.0) / 1600))
    np.testing.assert_allclose(read_image(data).grey_levels()[0, ..., 0], expected, atol=0.51)


def test_first_of_several_windows_counts():
    image = read_image(FOLDER / "examples_overlay.dcm")  # centres 450 and 200, widths 790 and 443
    assert (image.black, image.white) == (450 - 0.5 - 789 / 2, 450 - 0.5 + 789 / 2)


def test_voi_table_is_applied():
    data = dataset("MR_small.dcm")
    table = pydicom.Dataset()
    table.LUTDescriptor = [4, 500, 8]  # four entries, for the values from 500 on
    table.LUTData = [0, 50, 100, 200]
    data.VOILUTSequence = [table]
    data["VOILUTSequence"][0]["LUTData"].VR = "US"
    image = read_image(data)
    expected = np.array([0, 50, 100, 200])[(data.pixel_array.astype(int) - 500).clip(0, 3)]
    np.testing.assert_array_equal(image.pixels[0, ..., 0], expected)
    assert (image.black, image.white) == (0, 200)


def test_monochrome1_is_inverted():
    data = dataset("MR_small.dcm")
    plain = read_image(data).grey_levels()
    data.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_allclose(read_image(data).grey_levels(), 255.0 - plain, atol=1)


def test_without_a_window_padding_sets_no_contrast():
    data = dataset("CT_small.dcm")
    assert data.PixelPaddingValue == -2000
    stored = data.pixel_array.copy()
    stored[:40] = -2000
    data.PixelData = stored.tobytes()
    image = read_image(data)
    assert image.black == pytest.approx(np.percentile(stored[40:] - 1024.0, 0.5), abs=1)
    assert image.grey_levels()[0, :40].max() == 0


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm"]
)
def test_every_encoding_gives_the_same_pixels(name: str):
    np.testing.assert_array_equal(read_image(FOLDER / name).pixels, read_image(FOLDER / "MR_small.dcm").pixels)


def test_twelve_bits_in_sixteen():
    data = dataset("examples_overlay.dcm")
    assert (data.BitsStored, data.BitsAllocated) == (12, 16)
    image = read_image(data)
    np.testing.assert_array_equal(image.pixels[0, ..., 0], data.pixel_array)
    assert image.grey_levels().max() == 255


def test_colours_palettes_and_frames():
    assert read_image(FOLDER / "examples_rgb_color.dcm").pixels.shape == (1, 240, 320, 3)
    assert read_image(FOLDER / "examples_palette.dcm").pixels.shape == (1, 350, 800, 3)
    frames = read_image(FOLDER / "SC_rgb_rle_16bit_2frame.dcm")
    assert frames.pixels.shape == (2, 100, 100, 3)
    # the second frame is the first one inverted
    np.testing.assert_allclose(frames.grey_levels()[0], 255.0 - frames.grey_levels()[1], atol=1)


def test_colour_of_other_spaces_becomes_rgb():
    rgb = read_image(FOLDER / "SC_rgb_rle.dcm").grey_levels().astype(float)
    ybr = read_image(FOLDER / "SC_ybr_full_422_uncompressed.dcm").grey_levels()
    assert np.abs(rgb - ybr).mean() < 5


def test_enhanced_file_keeps_each_frames_rescaling():
    data = dataset("rtdose.dcm")
    frames = []
    for number in range(15):
        values = pydicom.Dataset()
        values.RescaleSlope, values.RescaleIntercept = 1 + number, -5
        group = pydicom.Dataset()
        group.PixelValueTransformationSequence = [values]
        frames.append(group)
    data.PerFrameFunctionalGroupsSequence = frames
    image = read_image(data)
    expected = data.pixel_array * np.arange(1.0, 16)[:, None, None] - 5
    np.testing.assert_allclose(image.pixels[..., 0], expected, rtol=1e-6)


def test_no_person_is_kept(tmp_path: Path):
    data = dataset("CT_small.dcm")
    data.PatientName, data.PatientID = "Secret^Name", "SECRET-7"
    image = read_image(write(data, tmp_path / "scan.dcm"))
    assert "secret" not in repr(image).lower()


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.95])
def test_file_that_is_cut_off(tmp_path: Path, keep: float):
    whole = (FOLDER / "CT_small.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=r"cut\.dcm"):
        read_image(path)


def test_pydicoms_own_truncated_file():
    with pytest.raises(InputError, match=r"MR_truncated\.dcm: the pixels cannot be decoded.*may be cut off"):
        read_image(FOLDER / "MR_truncated.dcm")


def test_missing_decoder_says_what_to_install():
    name = "JPEGLSNearLossless_16.dcm"
    syntax = dataset(name).file_meta.TransferSyntaxUID
    if pydicom.pixels.get_decoder(syntax).is_available:
        pytest.skip("a decoder of JPEG-LS is installed")
    with pytest.raises(InputError, match="pip install python-gdcm"):
        read_image(FOLDER / name)


def test_report_without_pixels():
    with pytest.raises(InputError, match=r"test-SR\.dcm holds no image \(modality SR\)"):
        read_image(FOLDER / "test-SR.dcm")


def test_series_is_ordered_by_place(series: Path):
    volume = read_image(series)
    np.testing.assert_array_equal(volume.pixels[:, 0, 0, 0], np.array([0, 250, 500, 750]) - 1024)
    assert volume.spacing == pytest.approx((2.5, 0.661468, 0.661468))
    assert volume.modality == "CT"
    np.testing.assert_allclose(volume.affine @ [0, 0, 0, 1], [-158.1, -179.0, -80, 1])
    np.testing.assert_allclose(volume.affine @ [2, 10, 20, 1], [-158.1 + 13.22936, -179 + 6.61468, -75, 1])
    files = [*series.glob("*.dcm")]
    np.testing.assert_array_equal(read_image(files).pixels, volume.pixels)
    shuffled = (files[::-1], [file.read_bytes() for file in files[::-1]], [pydicom.dcmread(file) for file in files])
    for raw in shuffled:
        again = read_image(raw)
        np.testing.assert_array_equal(again.pixels, volume.pixels)
        np.testing.assert_array_equal(again.affine, volume.affine)


def test_mixed_series_are_refused(series: Path):
    data = pydicom.dcmread(series / "a.dcm")
    data.SeriesInstanceUID = pydicom.uid.generate_uid()
    write(data, series / "a.dcm")
    with pytest.raises(InputError, match="series holds 4 files of 2 series"):
        read_image(series)


def test_slices_at_one_place_are_refused(series: Path):
    write(pydicom.dcmread(series / "a.dcm"), series / "again.dcm")
    with pytest.raises(InputError, match="two slices at one place"):
        read_image(series)


@pytest.mark.parametrize("element", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_slices_without_a_place_are_refused(series: Path, element: str):
    data = pydicom.dcmread(series / "a.dcm")
    delattr(data, element)
    write(data, series / "a.dcm")
    with pytest.raises(InputError, match=f"lacks {element}"):
        read_image(series)


def test_slices_of_another_plane_or_size_are_refused(series: Path):
    original = pydicom.dcmread(series / "a.dcm")
    tilted = deepcopy(original)
    tilted.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    write(tilted, series / "a.dcm")
    with pytest.raises(InputError, match="several orientations"):
        read_image(series)
    small = deepcopy(original)
    small.Rows, small.PixelData = 64, small.PixelData[: 64 * 128 * 2]
    write(small, series / "a.dcm")
    with pytest.raises(InputError, match=r"a\.dcm has the shape \(1, 64, 128, 1\)"):
        read_image(series)


def test_folder_without_dicom(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="holds no DICOM file"):
        read_image(tmp_path)


def test_bytes_and_datasets_are_read_like_files():
    path = FOLDER / "CT_small.dcm"
    expected = read_image(path).pixels
    for raw in (path.read_bytes(), str(path), dataset(path.name), {"path": str(path), "bytes": None}):
        np.testing.assert_array_equal(read_image(raw).pixels, expected)
    named = read_image({"path": "elsewhere/x.dcm", "bytes": io.BytesIO(path.read_bytes()).getvalue()})
    assert named.source == "x.dcm"


def test_narrowest_window_is_a_threshold():
    data = dataset("MR_small.dcm")
    data.WindowCenter, data.WindowWidth = 600.5, 1
    np.testing.assert_array_equal(read_image(data).grey_levels()[0, ..., 0] == 255, data.pixel_array > 600)


def change(folder: Path, name: str, **elements) -> None:
    """Set elements of one of a series' files, or of all; None deletes one."""
    for path in folder.glob(name):
        data = pydicom.dcmread(path)
        for keyword, value in elements.items():
            setattr(data, keyword, value) if value is not None else delattr(data, keyword)
        write(data, path)


def test_monochrome1_series_is_inverted_about_one_window(series: Path):
    for name, window in (("a", 100), ("b", 200), ("c", 300), ("d", 400)):
        change(series, f"{name}.dcm", WindowCenter=window, WindowWidth=1000)
    plain = read_image(series)
    assert (plain.black, plain.white) == (400 - 0.5 - 999 / 2, 400 - 0.5 + 999 / 2)  # the middle slice's
    change(series, "*.dcm", PhotometricInterpretation="MONOCHROME1")
    inverted = read_image(series)
    np.testing.assert_allclose(inverted.pixels, plain.black + plain.white - plain.pixels)
    change(series, "a.dcm", PhotometricInterpretation="MONOCHROME2")
    with pytest.raises(InputError, match="mixes MONOCHROME1 and MONOCHROME2"):
        read_image(series)


def test_series_with_a_slope_of_its_own_in_each_slice(series: Path):
    for name, slope in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        change(series, f"{name}.dcm", RescaleSlope=slope, RescaleIntercept=-7)
    expected = np.array([0 * 2, 250 * 3, 500 * 4, 750 * 1]) - 7
    np.testing.assert_array_equal(read_image(series).pixels[:, 0, 0, 0], expected)


def test_incomplete_voi_table_is_refused():
    data = dataset("MR_small.dcm")
    data.VOILUTSequence = [pydicom.Dataset()]
    with pytest.raises(InputError, match="its window cannot be applied"):
        read_image(data)
