"""Labels drawn under the letters of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medhub.pictures import GREY, INK, TRACK

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

LINE = 60  # positions a line
CELL, LETTER, BAR, GAP = 14, 22, 34, 18  # pixels: a position's width; heights of letters and bars, and between lines
MARGIN, LEGEND = 64, 40  # pixels left and right, where positions are counted; above, where colours are named
STEP = LETTER + BAR + LETTER + GAP  # from line to line: the letter, its bar, its label
TEXT, SMALL = 16, 14
MOST_LINES = 30
"""Lines that are drawn; of a longer sequence the picture says how much is left out."""

COLOURS = ("#d55e00", "#0072b2", "#999999", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
"""Of the labels in their order: those that Okabe and Ito (2008) chose for people with any kind of colour vision."""


def draw_track(
    sequence: str, labels: Sequence[str], confidence: NDArray[np.floating], *, names: tuple[str, ...]
) -> Image:
    """Draw a sequence with a bar under each letter, in its label's colour and as high as it is probable.

    `labels` and `confidence` (length,) are those of the positions, `names` the labels that there are.
    """
    from PIL import Image, ImageDraw, ImageFont

    text, small = ImageFont.load_default(TEXT), ImageFont.load_default(SMALL)
    colour_of = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    shown = min(len(sequence), LINE * MOST_LINES)
    height = LEGEND + -(-shown // LINE) * STEP + (GAP if shown < len(sequence) else 0)
    canvas = Image.new("RGB", (2 * MARGIN + LINE * CELL, height), "white")
    draw = ImageDraw.Draw(canvas)
    draw.font = text
    _draw_legend(draw, colour_of)
    for place in range(shown):
        x, y = _corner(place)
        top, bottom = y + LETTER, y + LETTER + BAR
        draw.text((x + CELL / 2, y), sequence[place], fill=INK, anchor="ma")
        draw.rectangle((x, top, x + CELL - 1, bottom), fill=TRACK)
        filled = round(BAR * float(confidence[place]))
        draw.rectangle((x, bottom - filled, x + CELL - 1, bottom), fill=colour_of[labels[place]])
        draw.text((x + CELL / 2, bottom + 4), labels[place], fill=GREY, font=small, anchor="ma")
    draw.font = small
    _count(draw, shown)
    if shown < len(sequence):
        draw.text((MARGIN, height), f"and {len(sequence) - shown:,} positions more", fill=GREY, anchor="ld")
    return canvas


def _draw_legend(draw: ImageDraw, colour_of: dict[str, str]) -> None:
    left = float(MARGIN)
    for name, colour in colour_of.items():
        draw.rectangle((left, 8, left + 16, 24), fill=colour)
        draw.text((left + 22, 16), name, fill=INK, anchor="lm")
        left += 46 + draw.textlength(name)


def _count(draw: ImageDraw, shown: int) -> None:
    """Write the numbers of the first and the last position beside each line."""
    for first in range(0, shown, LINE):
        last = min(first + LINE, shown) - 1
        (left, y), (right, _) = _corner(first), _corner(last)
        draw.text((left - 8, y + 1), str(first + 1), fill=GREY, anchor="ra")
        draw.text((right + CELL + 8, y + 1), str(last + 1), fill=GREY, anchor="la")


def _corner(place: int) -> tuple[int, int]:
    """Return the left upper corner of a position."""
    return MARGIN + place % LINE * CELL, LEGEND + place // LINE * STEP
