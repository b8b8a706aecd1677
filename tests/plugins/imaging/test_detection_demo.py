"""The demo of imaging/detection: what it draws and counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.imaging.detection import demo
from medhub.plugins.imaging.detection.results import Box, DetectionPrediction
from medhub.plugins.imaging.overlays import label_colours

gradio = pytest.importorskip("gradio")


def result(channels: int) -> DetectionPrediction:
    boxes = (
        Box(label="RBC", probability=0.9, x1=1.2, y1=2.0, x2=11.7, y2=12.0),
        Box(label="RBC", probability=0.6, x1=20.0, y1=2.0, x2=28.0, y2=12.0),
        Box(label="WBC", probability=0.4, x1=5.0, y1=5.0, x2=9.0, y2=9.0),
    )
    pixels = np.full((20, 30, channels), 200, np.uint8)
    return DetectionPrediction(
        input="smear.png", labels=("RBC", "WBC"), boxes=boxes, size=(20, 30), pixels=pixels,
        expected={"RBC": 1.53, "WBC": 0.4},
    )  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
def test_only_what_counts_is_drawn_and_counted(channels: int):
    answer = result(channels)
    drawn, counts = demo.draw(answer)
    colours = {tuple(colour) for colour in np.asarray(drawn.convert("RGB")).reshape(-1, 3).tolist()}
    assert label_colours(("RBC", "WBC"))["RBC"] in colours
    assert drawn == replace(answer, boxes=answer.boxes[:2]).picture(), "the third is less likely right than not"
    assert counts == [["RBC", 2, 1.5], ["WBC", 0, 0.4]]


def test_examples_are_images_that_can_be_read():
    for (path,) in demo.examples().values():
        assert Path(path).is_file()
        assert demo.raw(path).pixels.shape in {(1, 64, 64, 3), (1, 480, 640, 3)}


def test_without_a_file_the_visitor_is_told():
    with pytest.raises(InputError):
        demo.raw(None)


def test_components_are_there_for_every_value():
    async def components() -> tuple[int, int]:  # inside a loop, or Gradio would make event loops and leave them open
        with gradio.Blocks():
            return len(demo.inputs()), len(demo.outputs())

    inputs, outputs = asyncio.run(components())
    assert inputs == len(next(iter(demo.examples().values())))
    assert outputs == len(demo.draw(result(3)))
