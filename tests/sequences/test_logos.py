"""Sequence logos: each letter as tall as its value, in colours that every eye tells apart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medhub.sequences.alphabets import DNA, PROTEIN
from medhub.sequences.pictures import (
    AMINO_ACID_COLOURS,
    COLUMN,
    HEIGHT,
    MARGIN,
    NUCLEOTIDE_COLOURS,
    logo,
    logo_lines,
    single_letters,
)


def rows_of(picture: Image.Image, colour: str, place: int) -> np.ndarray:
    """The rows of a picture in which one letter's column has pixels of exactly its colour."""
    wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    column = np.asarray(picture)[:, MARGIN + place * COLUMN : MARGIN + (place + 1) * COLUMN]
    return np.flatnonzero((column == wanted).all(-1).any(1))


def test_single_letters_stand_in_the_column_of_their_letter_and_unknown_ones_nowhere():
    values = single_letters(np.array([1.0, -2.0, 3.0]), "GNA", alphabet=DNA)
    np.testing.assert_array_equal(values, [[0, 0, 1, 0], [0, 0, 0, 0], [3, 0, 0, 0]])


def test_letters_are_as_tall_as_their_values():
    picture = logo(single_letters(np.array([1.0, 0.5, 0.25]), "ACT", alphabet=DNA), alphabet=DNA)
    heights = [np.ptp(rows_of(picture, NUCLEOTIDE_COLOURS[letter], place)) for place, letter in enumerate("ACT")]
    assert heights[0] == pytest.approx(HEIGHT, abs=4)
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.1)
    assert heights[0] == pytest.approx(4 * heights[2], rel=0.1)


def test_what_speaks_against_stands_beneath_the_axis_and_upside_down():
    picture = logo(single_letters(np.array([1.0, -1.0]), "TT", alphabet=DNA), alphabet=DNA)
    above, below = (rows_of(picture, NUCLEOTIDE_COLOURS["T"], place) for place in (0, 1))
    assert above.max() <= HEIGHT / 2 <= below.min()
    pixels = np.asarray(picture)
    up, down = (
        pixels[rows.min() : rows.max() + 1, MARGIN + place * COLUMN : MARGIN + (place + 1) * COLUMN]
        for place, rows in ((0, above), (1, below))
    )
    ink_up, ink_down = ((part != 255).any(-1).sum(1) for part in (up, down))
    assert ink_up[:4].max() > ink_up[-8:-4].max()  # the bar of a T is at its end away from the axis
    assert ink_down[-4:].max() > ink_down[4:8].max()


def test_stacked_letters_fill_their_shares_with_the_tallest_outside():
    picture = logo(np.array([[0.75, 0.25, 0.0, 0.0]]), alphabet=DNA)
    tall, small = (rows_of(picture, NUCLEOTIDE_COLOURS[letter], 0) for letter in "AC")
    assert tall.max() < small.min()
    assert np.ptp(tall) == pytest.approx(3 * np.ptp(small), rel=0.15)


def test_long_sequences_are_wrapped_and_every_line_has_one_scale():
    values = np.ones(130)
    values[:60] = 2
    picture = logo(single_letters(values, "A" * 130, alphabet=DNA), alphabet=DNA, width=60)
    line = picture.height // 3
    assert picture.width == pytest.approx(MARGIN + 60 * COLUMN, abs=20)
    first, second = (rows_of(picture.crop((0, top, picture.width, top + line)), NUCLEOTIDE_COLOURS["A"], 0)
                     for top in (0, line))  # fmt: skip
    assert np.ptp(first) == pytest.approx(2 * np.ptp(second), rel=0.1)


def test_zeros_are_drawn_as_an_empty_axis():
    picture = logo(np.zeros((5, 4)), alphabet=DNA)
    assert all(rows_of(picture, colour, 2).size == 0 for colour in NUCLEOTIDE_COLOURS.values())


def test_lines_of_different_lengths_stand_beneath_each_other():
    short, long = np.ones((3, 4)), np.ones((8, 4))
    assert logo_lines([(1, short), (1, long)], alphabet=DNA).size == logo_lines([(9, long)] * 2, alphabet=DNA).size


def test_every_letter_has_a_colour_and_an_i_is_no_block():
    assert set(AMINO_ACID_COLOURS) == set(PROTEIN.letters)
    assert set(NUCLEOTIDE_COLOURS) == set(DNA.letters)
    values = single_letters(np.array([1.0]), "I", alphabet=PROTEIN)
    column = np.asarray(logo(values, alphabet=PROTEIN))[: HEIGHT // 2, MARGIN : MARGIN + COLUMN]
    assert (column == 255).all(-1).any()
