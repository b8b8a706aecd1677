"""A picture of an alignment: letters over a colour that tells how sure their column is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhub.pictures import GREY, INK

from .pairing import GAP

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from .results import AlignmentPrediction

WIDTH = 60
"""Columns a line."""
MOST_LINES = 40
"""Lines that are drawn; a note says how many columns are not."""
CELL, ROW, MARGIN, SPACE = 14, 24, 64, 20  # width of a letter, height of a row, room for numbers, between lines; pixels
TEXT, SMALL = 17, 15
STEPS = ("#ffffff", "#e6edf5", "#c6d7e8", "#9fbfdb", "#74a3cc")
"""Colours from a column that is not sure to one that is, light enough for the letters on them."""


def draw_alignment(result: AlignmentPrediction) -> Image.Image:
    """Draw both sequences under each other, 60 columns a line, with the residues' numbers at the ends.

    The surer a column, the darker its ground; identical residues are joined by a stroke.
    """
    from PIL import Image, ImageDraw

    columns = min(len(result.confidence), MOST_LINES * WIDTH)
    lines = -(-columns // WIDTH)
    height = (3 * ROW + SPACE) * lines + 2 * ROW
    picture = Image.new("RGB", (2 * MARGIN + CELL * min(WIDTH, max(columns, 20)), height), "white")
    draw = ImageDraw.Draw(picture)
    numbers = [result.first.start, result.second.start]
    for line in range(lines):
        part = slice(line * WIDTH, min((line + 1) * WIDTH, columns))
        _draw_line(draw, result, part, top=line * (3 * ROW + SPACE), numbers=numbers)
    _draw_legend(draw, top=height - 2 * ROW, left_out=len(result.confidence) - columns)
    return picture


def _draw_line(
    draw: ImageDraw.ImageDraw, result: AlignmentPrediction, part: slice, *, top: int, numbers: list[int]
) -> None:
    """Draw the columns of one line, and count the residues in `numbers`."""
    from PIL import ImageFont

    font, small = ImageFont.load_default(size=TEXT), ImageFont.load_default(size=SMALL)
    texts = result.first.text[part], result.second.text[part]
    for place, (one, other, value) in enumerate(zip(*texts, result.confidence[part], strict=True)):
        left = MARGIN + place * CELL
        if value is not None:
            colour = STEPS[min(int(value * len(STEPS)), len(STEPS) - 1)]
            draw.rectangle((left, top, left + CELL - 1, top + 3 * ROW), fill=colour)
        for row, letter in ((0, one), (2, other)):
            draw.text((left + CELL / 2, top + (row + 0.5) * ROW), letter, fill=INK, font=font, anchor="mm")
        if one == other and one != GAP:
            draw.line((left + CELL / 2, top + 1.2 * ROW, left + CELL / 2, top + 1.8 * ROW), fill=INK, width=2)
    for side, row in ((0, 0), (1, 2)):
        middle = top + (row + 0.5) * ROW
        draw.text((MARGIN - 8, middle), str(numbers[side] + 1), fill=GREY, font=small, anchor="rm")
        numbers[side] += len(texts[side]) - texts[side].count(GAP)
        end = MARGIN + len(texts[side]) * CELL + 8
        draw.text((end, middle), str(numbers[side]), fill=GREY, font=small, anchor="lm")


def _draw_legend(draw: ImageDraw.ImageDraw, *, top: int, left_out: int) -> None:
    """Say what the colours mean, and how many columns are not drawn."""
    from PIL import ImageFont

    font = ImageFont.load_default(size=SMALL)
    left = MARGIN
    for step, colour in enumerate(STEPS):
        draw.rectangle((left, top, left + 24, top + ROW - 4), fill=colour, outline=GREY)
        left += 28
        if step in (0, len(STEPS) - 1):
            said = "unsure" if step == 0 else "sure"
            draw.text((left, top + ROW / 2 - 2), said, fill=GREY, font=font, anchor="lm")
            left += int(font.getlength(said)) + 12
    if left_out:
        draw.text((MARGIN, top + ROW), f"and {left_out:,} more columns", fill=GREY, font=font)
