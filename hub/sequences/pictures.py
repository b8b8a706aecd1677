"""Pictures of sequences: logos, in which a letter is as tall as what it did."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medhub.pictures import GREY, INK
from medhub.sequences.alphabets import DNA, Alphabet

COLUMN, HEIGHT = 16, 120  # of a letter's column and of a line of letters, in pixels
RULER, MARGIN, GAP = 26, 72, 14  # beneath a line, left of it, and between two lines
LEAST_SHARE = 0.15
"""Share of a line's height that the smaller side of the axis has at least, where it has any letter."""
TEXT, GLYPH = 18, 160
EVERY = 10
"""Positions from one number of the ruler to the next."""

GREEN, BLUE, ORANGE, VERMILION, DARK = "#009e73", "#0072b2", "#e69f00", "#d55e00", "#4a4f55"
NUCLEOTIDE_COLOURS = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION}
AMINO_ACID_COLOURS = {
    **dict.fromkeys("AVLIMFWPC", DARK), **dict.fromkeys("STNQGY", GREEN), **dict.fromkeys("KRH", BLUE),
    **dict.fromkeys("DE", VERMILION),
}  # fmt: skip
"""Hydrophobic, polar, basic and acidic ones. All colours are Okabe and Ito's, which every eye tells apart."""


def single_letters(values: NDArray[np.floating], sequence: str, *, alphabet: Alphabet) -> NDArray[np.floating]:
    """Return values (length, letters) that give each position's value (length,) to the letter of the sequence there.

    An ambiguous letter has no column, and its value is left out.
    """
    codes = alphabet.encode(sequence)
    known = np.flatnonzero(codes != alphabet.unknown)
    spread = np.zeros((len(codes), len(alphabet.letters)))
    spread[known, codes[known] - 1] = values[known]
    return spread


def logo(values: NDArray[np.floating], *, alphabet: Alphabet, start: int = 1, width: int = 60) -> Image.Image:
    """Draw letters as tall as `values` (length, letters) in lines of `width`, as `logo_lines` does.

    `start` is the number of the first position.
    """
    firsts = range(0, len(values), width)
    return logo_lines([(start + first, values[first : first + width]) for first in firsts], alphabet=alphabet)


def logo_lines(lines: Sequence[tuple[int, NDArray[np.floating]]], *, alphabet: Alphabet) -> Image.Image:
    """Draw lines of letters, each with the number of its first position and `values` (length, letters).

    Values below 0 are drawn upside down beneath the axis. Letters of one position are stacked, the tallest farthest
    out. All lines share one scale, whose ends are written beside the axis.
    """
    highest = max(float(np.maximum(values, 0).sum(1).max()) for _, values in lines)
    lowest = min(float(np.minimum(values, 0).sum(1).min()) for _, values in lines)
    above = _share_above(highest, -lowest)
    sides = ((above, highest), (1 - above, -lowest))
    scale = min((share * HEIGHT / reach for share, reach in sides if reach > 0), default=0.0)
    step = HEIGHT + RULER + GAP
    longest = max(len(values) for _, values in lines)
    picture = Image.new("RGB", (MARGIN + COLUMN * longest + GAP, step * len(lines)), "white")
    for line, (start, values) in enumerate(lines):
        top = line * step
        axis = top + round(HEIGHT * above)
        for place, heights in enumerate(values * scale):
            _stack(picture, heights, left=MARGIN + place * COLUMN, axis=axis, alphabet=alphabet)
        _rule(picture, range(start, start + len(values)), axis=axis, top=top)
        _label(picture, top=top, highest=highest, lowest=lowest)
    return picture


def _share_above(highest: float, depth: float) -> float:
    """Return which share of a line's height lies above the axis."""
    if depth <= 0:
        return 1.0
    if highest <= 0:
        return 0.0
    return min(max(highest / (highest + depth), LEAST_SHARE), 1 - LEAST_SHARE)


def _stack(picture: Image.Image, heights: NDArray[np.floating], *, left: int, axis: int, alphabet: Alphabet) -> None:
    """Draw the letters of one position outwards from the axis; `heights` (letters,) are pixels."""
    colours = NUCLEOTIDE_COLOURS if alphabet is DNA else AMINO_ACID_COLOURS
    reached = {True: 0.0, False: 0.0}  # above and below the axis
    for number in np.argsort(np.abs(heights)):
        height, up = abs(float(heights[number])), bool(heights[number] > 0)
        inner, outer = round(reached[up]), round(reached[up] + height)
        reached[up] += height
        if outer > inner:
            letter = alphabet.letters[number]
            glyph = _glyph(letter).resize((COLUMN - 1, outer - inner), Image.Resampling.LANCZOS)
            if not up:
                glyph = glyph.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            picture.paste(colours[letter], (left, axis - outer if up else axis + inner), mask=glyph)


@cache
def _glyph(letter: str) -> Image.Image:
    """Return a letter without the space around it, white on black; an I keeps some, or it would be a block."""
    font = ImageFont.load_default(size=GLYPH)
    mask = Image.new("L", (2 * GLYPH, 2 * GLYPH))
    ImageDraw.Draw(mask).text((GLYPH, GLYPH), letter, fill=255, font=font, anchor="mm")
    left, top, right, bottom = mask.getbbox() or (0, 0, *mask.size)
    aside = max(0, GLYPH // 3 - (right - left)) // 2
    return mask.crop((left - aside, top, right + aside, bottom))


def _rule(picture: Image.Image, positions: range, *, axis: int, top: int) -> None:
    """Draw the axis, and beneath the line the numbers of its positions."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=TEXT)
    draw.line((MARGIN, axis, MARGIN + COLUMN * len(positions), axis), fill=GREY)
    for place, position in enumerate(positions):
        if position % EVERY == 0 or place == 0:
            middle = MARGIN + place * COLUMN + COLUMN // 2
            draw.text((middle, top + HEIGHT + 3), str(position), fill=GREY, font=font, anchor="mt")


def _label(picture: Image.Image, *, top: int, highest: float, lowest: float) -> None:
    """Write the scale's ends beside the axis."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=TEXT)
    place = MARGIN - 8
    if highest > 0:
        draw.text((place, top), f"{highest:+.2g}", fill=INK, font=font, anchor="rt")
    if lowest < 0:
        draw.text((place, top + HEIGHT), f"{lowest:+.2g}", fill=INK, font=font, anchor="rb")
