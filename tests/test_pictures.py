"""The picture of a result: its size, its bars, its notice, and titles that keep their end."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageColor

from medhub import pictures
from medhub.pictures import BAR, MOST_BARS, ROW_HEIGHT, WIDTH, percentage
from medhub.results import NOTICE

result_picture = partial(pictures.result_picture, notice=NOTICE)


def coloured(picture: Image.Image, colour: str) -> np.ndarray:
    """Return which pixels have a colour."""
    return (np.asarray(picture) == ImageColor.getrgb(colour)).all(axis=-1)


def test_a_bar_is_as_long_as_its_figure() -> None:
    picture = result_picture("pneumonia (75%)", {"normal": 0.25, "pneumonia": 0.75})
    lengths = coloured(picture, BAR).sum(axis=1)
    rows = [run for run in np.split(lengths, np.flatnonzero(np.diff(lengths > 0)) + 1) if run[0] > 0]
    assert len(rows) == 2
    assert rows[0].max() / rows[1].max() == pytest.approx(1 / 3, abs=0.01)


def test_many_figures_are_cut_to_the_largest() -> None:
    few = result_picture("t", {str(i): i / 100 for i in range(MOST_BARS)})
    many = result_picture("t", {str(i): i / 100 for i in range(60)})
    assert many.height == few.height + ROW_HEIGHT  # the line that says how many are not shown
    assert coloured(many, BAR).sum() > coloured(few, BAR).sum()


def test_the_notice_stands_below_whatever_is_shown() -> None:
    bare, full = result_picture("", {}), result_picture("t", {"a": 0.5}, ("why", Image.new("RGB", (50, 30), "black")))
    notice = np.asarray(bare)[-80:]
    assert (notice < 255).any()
    assert np.array_equal(np.asarray(full)[-80:], notice)
    assert full.mode == "RGB"
    assert full.width == WIDTH


def test_an_explanation_keeps_its_shape_and_stands_on_white() -> None:
    clear = Image.new("RGBA", (60, 30), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (10, 5, 50, 25))
    red = coloured(result_picture("t", {}, ("", clear)), "#ff0000")
    height, width = np.ptp(np.argwhere(red), axis=0) + 1
    assert width / height == pytest.approx(2, abs=0.05)
    assert not coloured(result_picture("t", {}, ("", clear)), "#000000").any()


def test_a_long_title_keeps_its_end() -> None:
    long, longer = (result_picture("CC(C)" * count + ": toxic 12%", {}) for count in (100, 5000))
    assert np.array_equal(np.asarray(long), np.asarray(longer))
    other = result_picture("CC(C)" * 100 + ": toxic 98%", {})
    assert not np.array_equal(np.asarray(long), np.asarray(other))


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0 %"), (0.004, "<1 %"), (0.126, "13 %"), (0.996, ">99 %"), (1.0, "100 %")]
)
def test_percentages_never_round_to_certainty(value: float, said: str) -> None:
    assert percentage(value) == said
