"""Where DICOM's slices lie in the patient, and what is refused because they cannot be placed."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.geometry import canonical

pydicom = pytest.importorskip("pydicom")
FOLDER = Path(pydicom.data.__file__).parent / "test_files"


def dataset(name: str):
    return pydicom.dcmread(FOLDER / name)


def change(folder: Path, name: str, **elements) -> None:
    """Set elements of one of a series' files, or of all; None deletes one."""
    for path in folder.glob(name):
        data = pydicom.dcmread(path)
        for keyword, value in elements.items():
            setattr(data, keyword, value) if value is not None else delattr(data, keyword)
        data.save_as(path)


def test_single_slice_tells_where_it_lies():
    image = read_image(FOLDER / "CT_small.dcm")  # axial, 5 mm thick, at (-158.135803, -179.035797, -75.699997)
    size = 0.661468
    expected = [[0, 0, size, -158.135803], [0, size, 0, -179.035797], [5, 0, 0, -75.699997], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, expected)
    assert len(image.spacing) == 2


WHERE = ("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "PixelSpacing")


@pytest.mark.parametrize("element", WHERE)
def test_affine_is_not_invented(element: str):
    data = dataset("CT_small.dcm")
    delattr(data, element)
    image = read_image(data)
    assert image.affine is None
    assert (image.spacing is None) == (element == "PixelSpacing")
    with pytest.raises(InputError, match="does not tell how its voxels lie"):
        canonical(image)


@pytest.mark.parametrize("orientation", [[1, 0, 0, 1, 0, 0], [0] * 6, [2, 0, 0, 0, 1, 0], [1, 0, 0]])
def test_impossible_orientations_are_not_used(series: Path, orientation: list[float]):
    data = dataset("CT_small.dcm")
    data.ImageOrientationPatient = orientation
    assert read_image(data).affine is None
    change(series, "c.dcm", ImageOrientationPatient=orientation)
    with pytest.raises(InputError, match=r"series: c\.dcm lacks ImageOrientationPatient or has an invalid one"):
        read_image(series)


def test_series_without_pixel_spacing_has_an_order_but_no_affine(series: Path):
    change(series, "*.dcm", PixelSpacing=None)
    volume = read_image(series)
    np.testing.assert_array_equal(volume.pixels[:, 0, 0, 0], np.array([0, 250, 500, 750]) - 1024)
    assert (volume.affine, volume.spacing) == (None, None)
    with pytest.raises(InputError, match="does not tell how its voxels lie"):
        canonical(volume)
    change(series, "a.dcm", PixelSpacing=[1, 1])
    with pytest.raises(InputError, match="pixels differ in size"):
        read_image(series)


def test_missing_slice_is_noticed(series: Path):
    (series / "c.dcm").unlink()  # leaves 0, 5 and 7.5 mm
    with pytest.raises(InputError, match=r"do not follow evenly, but 2\.5 to 5 mm apart\. One may be missing"):
        read_image(series)


def test_rounded_positions_are_even_enough(series: Path):
    change(series, "d.dcm", ImagePositionPatient=[-158.1, -179.0, -75.1])
    assert read_image(series).spacing[0] == pytest.approx(2.5)


def test_tilted_gantry_shears_the_affine(series: Path):
    for name, place in (("a", 7.5), ("b", 0.0), ("c", 2.5), ("d", 5.0)):
        change(series, f"{name}.dcm", ImagePositionPatient=[-158.1, -179.0 + 0.4 * place, -80 + place])
    volume = read_image(series)
    np.testing.assert_allclose(volume.affine[:3, 0], [0, 1, 2.5], atol=1e-9)
    assert volume.spacing[0] == pytest.approx(2.5)  # between planes, so that volumes come out right
    assert np.prod(volume.spacing) == pytest.approx(abs(np.linalg.det(volume.affine)))


def test_sagittal_series_runs_along_its_normal(series: Path):
    for name, place in (("a", 7.5), ("b", 0.0), ("c", 2.5), ("d", 5.0)):
        change(
            series, f"{name}.dcm", ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[-place, 10, 20]
        )
    volume = read_image(series)  # rows run to the feet and columns to the back: the normal points to the right
    np.testing.assert_array_equal(volume.pixels[:, 0, 0, 0], np.array([0, 250, 500, 750]) - 1024)
    np.testing.assert_allclose(volume.affine @ [1, 2, 3, 1], [-2.5, 10 + 3 * 0.661468, 20 - 2 * 0.661468, 1])


def test_frames_of_an_enhanced_file_are_ordered_by_place(enhanced, series: Path):
    image, volume = read_image(enhanced), read_image(series)
    np.testing.assert_array_equal(image.pixels, volume.pixels)
    np.testing.assert_allclose(image.affine, volume.affine)
    assert image.spacing == pytest.approx(volume.spacing)


def test_enhanced_files_that_make_no_volume(enhanced):
    def place(frame: int):
        return enhanced.PerFrameFunctionalGroupsSequence[frame].PlanePositionSequence[0]

    moved = deepcopy(place(0).ImagePositionPatient)
    place(0).ImagePositionPatient = place(1).ImagePositionPatient
    with pytest.raises(InputError, match="two slices at one place"):
        read_image(enhanced)
    place(0).ImagePositionPatient = [*moved[:2], moved[2] + 10]
    with pytest.raises(InputError, match="do not follow evenly"):
        read_image(enhanced)
    del place(0).ImagePositionPatient
    with pytest.raises(InputError, match="frame 1 does not tell its place"):
        read_image(enhanced)
    place(0).ImagePositionPatient = moved
    tilted = pydicom.Dataset()
    tilted.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    enhanced.PerFrameFunctionalGroupsSequence[0].PlaneOrientationSequence = [tilted]
    with pytest.raises(InputError, match="several orientations"):
        read_image(enhanced)


def test_frames_without_places_keep_their_order_and_have_no_affine():
    image = read_image(FOLDER / "rtdose.dcm")  # its head gives the place of the first frame only
    assert image.slices == 15
    assert (image.affine, image.spacing) == (None, None)
    data = dataset("rtdose.dcm")
    data.SpacingBetweenSlices = 3
    assert read_image(data).spacing == (3, 10, 10)


def test_slice_of_a_volume_keeps_its_place(series: Path):
    volume = read_image(series)
    picture = volume.slice(2)
    np.testing.assert_allclose(picture.affine @ [0, 4, 5, 1], volume.affine @ [2, 4, 5, 1])
    assert picture.spacing == volume.spacing[1:]
