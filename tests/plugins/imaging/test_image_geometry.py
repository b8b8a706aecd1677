"""Turning volumes to one convention and back, and bringing them to one spacing."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medhub.errors import InputError
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.geometry import canonical, resample, restore, spacing_of, with_spacing
from medhub.plugins.imaging.image import Image

pytest.importorskip("nibabel")

ORIENTATIONS = [*product(permutations(range(3)), product((1, -1), repeat=3))]
"""The 48 ways in which three axes can lie along the patient's."""


def volume(affine: np.ndarray | None, shape: tuple[int, ...] = (3, 4, 5)) -> Image:
    """Return a volume each of whose voxels has a value of its own."""
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1)
    spacing = None if affine is None else spacing_of(affine)
    return Image(pixels=pixels, black=0, white=1, source="scan", affine=affine, spacing=spacing)


def lying(axes: tuple[int, ...], senses: tuple[int, ...], *, sizes=(2.0, 3.0, 4.0), turn=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Return an affine whose axes lie along the patient's `axes` in `senses`, then turned by degrees."""
    affine = np.eye(4)
    along = np.zeros((3, 3))
    along[list(axes), range(3)] = senses
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ along * sizes
    affine[:3, 3] = (10, -20, 30)
    return affine


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_every_orientation_is_turned_and_back(orientation):
    original = volume(lying(*orientation))
    turned = canonical(original)
    # slices run to the head, rows to the back, columns to the left, and no voxel moves in the patient
    assert (np.argmax(abs(turned.affine[:3, :3]), axis=0) == (2, 1, 0)).all()
    assert turned.affine[[2, 1, 0], [0, 1, 2]].min() > 0
    for voxel in np.ndindex(turned.pixels.shape[:3]):
        before = np.argwhere(original.pixels[..., 0] == turned.pixels[voxel][0])[0]
        np.testing.assert_allclose(turned.affine @ [*voxel, 1], original.affine @ [*before, 1], atol=1e-9)
    assert turned.spacing == pytest.approx(spacing_of(turned.affine))
    mask = turned.pixels[..., 0].astype(np.uint16)
    np.testing.assert_array_equal(restore(mask, turned, original), original.pixels[..., 0])


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
    sizes=st.tuples(*[st.floats(0.1, 9)] * 3),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
)
def test_restore_undoes_canonical_of_oblique_volumes(orientation, turn, sizes, shape):
    original = volume(lying(*orientation, sizes=sizes, turn=turn), shape)
    turned = canonical(original)
    mask = turned.pixels[..., 0].astype(np.uint16)
    np.testing.assert_array_equal(restore(mask, turned, original), original.pixels[..., 0])
    for voxel in ((0, 0, 0), np.array(mask.shape) - 1):
        before = np.argwhere(original.pixels[..., 0] == mask[tuple(voxel)])[0]
        np.testing.assert_allclose(turned.affine @ [*voxel, 1], original.affine @ [*before, 1], atol=1e-6)


def test_canonical_volume_is_left_as_it_is():
    image = volume(lying((2, 1, 0), (1, 1, 1)))
    assert canonical(image) is image


def test_unknown_geometry_is_refused_until_it_is_stated():
    unknown = volume(None)
    with pytest.raises(InputError, match=r"scan does not tell how its voxels lie .* geometry with .*with_spacing"):
        canonical(unknown)
    stated = with_spacing(unknown, (3, 0.5, 0.7))
    assert stated.spacing == (3, 0.5, 0.7)
    assert spacing_of(stated.affine) == pytest.approx((3, 0.5, 0.7))
    assert canonical(stated) is stated


def test_pictures_get_a_spacing_but_no_affine():
    stated = with_spacing(volume(None, (1, 4, 5)), (0.5, 0.7))
    assert (stated.spacing, stated.affine) == ((0.5, 0.7), None)


def test_what_cannot_be_stated():
    with pytest.raises(InputError, match="tells its own geometry"):
        with_spacing(volume(np.eye(4)), (1, 1, 1))
    for spacing in ((1, 1), (1, 1, 0), (1, 1, -2), (1, 1, float("nan"))):
        with pytest.raises(InputError, match="needs 3 millimetres above 0"):
            with_spacing(volume(None), spacing)


def test_mask_of_another_volume_is_not_restored():
    original = volume(lying((0, 1, 2), (1, 1, 1)))
    with pytest.raises(InputError, match=r"a mask of shape \(3, 4, 5\) does not lie on scan"):
        restore(np.zeros((3, 4, 5), np.uint8), canonical(original), original)


def test_spacing_of_a_sheared_affine_gives_the_right_volume():
    affine = np.array([[0, 0, 2, 0], [1.5, 3, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1.0]])
    assert spacing_of(affine) == pytest.approx((4, 3, 2))


def test_resample_keeps_outer_faces_and_labels():
    labels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    finer = resample(labels, (3, 2, 1), (1, 1, 1), order=0)
    np.testing.assert_array_equal(finer, labels.repeat(3, 0).repeat(2, 1))
    assert finer.dtype == np.uint8
    np.testing.assert_array_equal(resample(finer, (1, 1, 1), (3, 2, 1), order=0), labels)


def test_resample_is_linear_where_the_image_is():
    ramp = np.broadcast_to(np.arange(10, dtype=np.float32)[:, None, None, None], (10, 4, 4, 2))
    finer = resample(ramp, (2, 1, 1), (1, 1, 1), order=1)
    assert (finer.shape, finer.dtype) == ((20, 4, 4, 2), np.float32)
    np.testing.assert_allclose(finer[1:-1, 0, 0, 0], np.arange(0.25, 9, 0.5), atol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_resample_goes_back_onto_the_grid_that_was(order: int):
    voxels = np.zeros((10, 7, 5), np.float32)
    voxels[3:8, 2:6, 1:4] = 1
    coarse = resample(voxels, (1, 1, 1), (3, 1.5, 1), order=order)
    assert coarse.shape == (3, 5, 5)
    assert resample(coarse, (3, 1.5, 1), (1, 1, 1), order=order, shape=voxels.shape).shape == voxels.shape
    assert resample(voxels, (1, 1, 1), (1, 1, 1), order=order) is voxels
    assert resample(voxels, (1, 1, 1), (99, 99, 99), order=order).shape == (1, 1, 1)


def test_real_volume_is_canonical_as_it_is_read(mirror: Path):
    image = read_image(mirror / "hippocampus" / "images" / "hippocampus_001.nii.gz")
    assert canonical(image) is image
    assert image.spacing == (1, 1, 1)
    assert image.pixels.shape == (35, 51, 35, 1)
