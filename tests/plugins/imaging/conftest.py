"""DICOM that the tests of reading and of writing share: a series, and the same volume as one enhanced file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

PLACES = {"a": 7.5, "b": 0.0, "c": 2.5, "d": 5.0}
"""Millimetres along the body by the name of a slice's file."""


def slice_at(place: float):
    """Return a real CT's header over a slice that is as bright as its place."""
    pydicom = pytest.importorskip("pydicom")
    data = pydicom.dcmread(Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm")
    data.ImagePositionPatient = [-158.1, -179.0, -80 + place]
    data.PixelData = np.full((128, 128), 100 * place, np.int16).tobytes()
    return data


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Four slices whose names, numbers and places are in three different orders."""
    pydicom = pytest.importorskip("pydicom")
    folder = tmp_path / "series"
    folder.mkdir()
    for name, place in PLACES.items():
        data = slice_at(place)
        data.InstanceNumber = ord(name)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(None, [name])
        data.save_as(folder / f"{name}.dcm")
    (folder / "notes.txt").write_text("not a slice")
    return folder


@pytest.fixture
def enhanced():
    """One enhanced file of the four slices, its frames in the order of their names."""
    pydicom = pytest.importorskip("pydicom")
    slices = [slice_at(place) for place in PLACES.values()]
    data = slices[0]
    data.PixelData = b"".join(one.PixelData for one in slices)
    data.NumberOfFrames = len(slices)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.EnhancedCTImageStorage
    orientation, measures, shared = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = data.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = []
    for one in slices:
        position, group = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        group.PlanePositionSequence = [position]
        data.PerFrameFunctionalGroupsSequence.append(group)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(data, keyword)
    return data
