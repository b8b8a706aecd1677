"""The demo of imaging/segmentation: what a visitor's files become, and what is drawn of a result."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.imaging.files import read_image
from medhub.plugins.imaging.overlays import FILLED
from medhub.plugins.imaging.pictures import from_array
from medhub.plugins.imaging.segmentation import demo
from medhub.plugins.imaging.segmentation.data import synthetic
from medhub.plugins.imaging.segmentation.results import SegmentationPrediction

gradio = pytest.importorskip("gradio")


def volume() -> SegmentationPrediction:
    row = synthetic(size=1).rows[0]
    mask = read_image(row["labels"]["mask"]).pixels[..., 0].astype(np.uint8)
    return SegmentationPrediction.from_mask(
        read_image(row["input"]), mask, labels=["organ", "lesion"], confidence=[0.9, 0.8]
    )


def cells() -> SegmentationPrediction:
    objects = np.zeros((1, 256, 256), np.int32)
    objects[0, 50:100, 50:100], objects[0, 100:150, 50:100] = 1, 2
    image = from_array(np.full((256, 256), 77, np.uint8), "cells.png")
    return SegmentationPrediction.from_mask(
        image, (objects > 0).astype(np.uint8), labels=["nucleus"], confidence=[0.9], instances=objects
    )


def test_examples_are_files_that_can_be_read():
    for (files,) in demo.examples().values():
        image = demo.raw(files)
        assert image.affine is not None


def test_nothing_uploaded_is_said():
    with pytest.raises(InputError, match="empty"):
        demo.raw(None)


def test_a_volume_opens_at_the_slice_that_has_most():
    result = volume()
    regions, slider, sizes, kept = demo.draw(result)
    most = int((result.mask > 0).sum((1, 2)).argmax())
    assert (slider.visible, slider.value, slider.maximum) == (True, most + 1, len(result.mask))
    picture, parts = regions.value["image"], regions.value["annotations"]
    assert picture
    assert [part["label"] for part in parts] == ["organ", "lesion"]
    assert regions.color_map == {"organ": "#e69f00", "lesion": "#56b4e9"}
    assert sizes[1] == ["lesion", "not counted", result.regions["lesion"].size, result.regions["lesion"].percentage,
                        "0.80"]  # fmt: skip
    assert kept is result


def shown(monkeypatch: pytest.MonkeyPatch, result: SegmentationPrediction, place: int) -> dict[str, Any]:
    """What a slice hands to Gradio."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(gradio, "AnnotatedImage", lambda **values: given.update(values))
    demo._draw_slice(result, place)
    return given


def test_objects_that_touch_have_outlines_and_fillings(monkeypatch: pytest.MonkeyPatch):
    picture, [(opacity, label)] = shown(monkeypatch, cells(), 1)["value"]
    assert picture.shape == (512, 512, 3)
    assert label == "nucleus"
    assert opacity[199, 150] == opacity[200, 150] == 1  # between the two
    assert opacity[150, 150] == FILLED
    assert opacity[20, 20] == 0


def test_the_slider_shows_other_slices(monkeypatch: pytest.MonkeyPatch):
    result = volume()
    first, middle = (shown(monkeypatch, result, place)["value"] for place in (1, len(result.mask) // 2))
    assert not np.array_equal(first[0], middle[0])
    assert first[1][0][0].sum() < middle[1][0][0].sum()
    assert demo._draw_slice(None, 1) is None


def test_a_picture_has_no_slider():
    _, slider, sizes, _ = demo.draw(cells())
    assert not slider.visible
    assert sizes == [["nucleus", "2", "5,000 pixels", "7.6 %", "0.90"]]


def test_components_fit_what_is_drawn():
    async def build() -> tuple[list[Any], list[Any]]:
        with gradio.Blocks() as page:
            components = demo.inputs(), demo.outputs()
        page.close()
        return components

    inputs, outputs = asyncio.run(build())
    assert len(inputs) == len(next(iter(demo.examples().values())))
    assert len(outputs) == len(demo.draw(cells()))
