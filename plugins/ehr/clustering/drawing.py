"""The map of groups with a patient in it, the groups' profiles, and what put a patient into a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medhub.pictures import GREY, INK, TRACK

from ..pictures import LOWERS, RAISES, SMALL, TEXT, font, shortened

if TYPE_CHECKING:
    from .results import GroupPrediction, Region

MAP, WIDTH, MARGIN = 480, 680, 40  # pixels: side of the map, width of all else, and around both
CORNER = (MARGIN + (WIDTH - MAP) // 2, MARGIN)
"""Of the map, left and top."""
HEADER, ROW, NAMES = 86, 46, 300  # pixels: heights above the profiles and of a row, and what its name may take
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#999999")
"""Of the groups in their order: those that Okabe and Ito (2008) chose for people with any kind of colour vision."""
RINGS = (1.0, 2.0)
"""Deviations from the middle of a group at which lines are drawn: of a Gaussian, 39 and 86 % lie within."""
FARTHEST = 2.5
"""Deviations that the map shows around every group."""
DEVIATIONS = 1.5
"""From which on a profile's colour is full."""
MOST_PARTS = 12
LARGE = 30  # pixels, of the groups' numbers on the map


def draw_map(result: GroupPrediction) -> Image.Image:
    """Draw every group as rings around its middle, the patient as a cross, and beneath it what each group is like."""
    assert result.place is not None
    height = MAP + HEADER + ROW * len(result.traits) + 3 * MARGIN
    picture = Image.new("RGB", (WIDTH + 2 * MARGIN, height), "white")
    draw = ImageDraw.Draw(picture)
    low, span = _frame(result.regions, result.place)
    colours = dict(zip(result.probabilities, COLOURS[: len(result.probabilities)], strict=True))
    draw.rectangle((*CORNER, CORNER[0] + MAP, CORNER[1] + MAP), outline=TRACK, width=2)
    for region in result.regions:
        _draw_rings(draw, region, low, span, colour=colours[region.name])
    for region in result.regions:  # above the rings of all
        ((x, y),) = _onto_map(np.array([region.middle]), low, span)
        draw.text((x, y), _number(region.name), fill=colours[region.name], font=font(LARGE), anchor="mm",
                  stroke_width=3, stroke_fill="white")  # fmt: skip
    ((x, y),) = _onto_map(np.array([result.place]), low, span)
    for dx, dy in ((12, 12), (12, -12)):
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=INK, width=5)
    draw.text((CORNER[0] + 12, CORNER[1] + 12), "X is this patient, numbers are groups", fill=GREY, font=font(SMALL))
    _draw_profiles(draw, result, colours, top=MAP + 2 * MARGIN)
    return picture


def draw_parts(names: Sequence[str], values: NDArray[np.floating], *, notes: Sequence[str]) -> Image.Image:
    """Draw the parts that say most as bars to the right (raise) or left (lower), a note beside each."""
    order = np.argsort(-np.abs(values), kind="stable")[:MOST_PARTS]
    picture = Image.new("RGB", (WIDTH + NAMES + 2 * MARGIN, 2 * MARGIN + ROW * max(len(order), 1)), "white")
    draw = ImageDraw.Draw(picture)
    largest = float(np.abs(values[order]).max(initial=0.0)) or 1.0
    left, right = MARGIN + NAMES, picture.width - MARGIN - 120
    middle = (left + right) / 2
    for row, at in enumerate(order):
        y = MARGIN + ROW * (row + 0.5)
        draw.text((left - 12, y), shortened(names[at], NAMES - 24), fill=INK, font=font(TEXT), anchor="rm")
        end = middle + (right - left) / 2 * float(values[at]) / largest
        draw.rectangle((min(middle, end), y - 12, max(middle, end), y + 12), fill=RAISES if values[at] > 0 else LOWERS)
        draw.text((picture.width - MARGIN, y), notes[at], fill=GREY, font=font(SMALL), anchor="rm")
    draw.line((middle, MARGIN, middle, picture.height - MARGIN), fill=GREY)
    return picture


def _frame(regions: Sequence[Region], place: tuple[float, float]) -> tuple[NDArray[np.float64], float]:
    """Return the lower corner and the side of the square that holds all groups and the patient."""
    points = [np.array(place)]
    for region in regions:
        middle, reach = np.array(region.middle), FARTHEST * np.array(region.deviations)
        points += [middle - reach, middle + reach]
    low, high = np.min(points, 0), np.max(points, 0)
    span = max(float((high - low).max()), 1e-6) * 1.1
    return (low + high) / 2 - span / 2, span


def _onto_map(points: NDArray[np.float64], low: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    """Return the pixels of places (points, 2); up is more."""
    scaled = (points - low) / span * MAP
    return np.stack([CORNER[0] + scaled[:, 0], CORNER[1] + MAP - scaled[:, 1]], axis=1)


def _draw_rings(
    draw: ImageDraw.ImageDraw, region: Region, low: NDArray[np.float64], span: float, *, colour: str
) -> None:
    (a, b), r = region.deviations, region.correlation
    root = np.linalg.cholesky(np.array([[a * a, r * a * b], [r * a * b, b * b]]) + 1e-9 * np.eye(2))
    angles = np.linspace(0, 2 * np.pi, 90)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    for ring in RINGS:
        points = _onto_map((np.array(region.middle)[:, None] + ring * root @ circle).T, low, span)
        draw.line([(x, y) for x, y in points], fill=colour, width=4 if ring == RINGS[0] else 2, joint="curve")


def _draw_profiles(draw: ImageDraw.ImageDraw, result: GroupPrediction, colours: dict[str, str], *, top: float) -> None:
    """Draw a row a trait and a column a group, the patient last: red where it is above the mean of all, blue below."""
    groups = [name for name in colours if any(name in trait.groups for trait in result.traits)]
    draw.text((MARGIN, top), "In what groups differ", fill=INK, font=font(TEXT))
    draw.text((MARGIN, top + 26), "deviations from the mean of all patients: red is more, blue is less", fill=GREY,
              font=font(SMALL))  # fmt: skip
    start, top = MARGIN + NAMES, top + HEADER
    width = (WIDTH - NAMES) / (len(groups) + 1)
    for column, name in enumerate([*groups, "patient"]):
        middle = start + width * (column + 0.5)
        number = _number(name) if name in colours else "X"
        draw.text((middle, top - 6), number, fill=colours.get(name, INK), font=font(TEXT), anchor="mb")
        for row, trait in enumerate(result.traits):
            value = trait.groups.get(name) if name in colours else trait.patient
            box = (middle - width / 2, top + ROW * row, middle + width / 2 - 2, top + ROW * (row + 1) - 2)
            draw.rectangle(box, fill=TRACK if value is None else _shade(value))
            text = "?" if value is None else f"{value:+.1f}"
            draw.text((middle - 1, top + ROW * (row + 0.5) - 1), text, fill=INK, font=font(SMALL), anchor="mm")
        if name == result.group:
            bottom = top + ROW * len(result.traits)
            draw.rectangle((middle - width / 2 - 2, top - 2, middle + width / 2, bottom), outline=INK, width=3)
    for row, trait in enumerate(result.traits):
        name = shortened(trait.name, NAMES - 24)
        draw.text((start - 12, top + ROW * (row + 0.5)), name, fill=INK, font=font(TEXT), anchor="rm")


def _number(group: str) -> str:
    return group.removeprefix("group ")


def _shade(value: float) -> tuple[int, int, int]:
    """Return white for 0, and the more of the colour of more or less the farther from it."""
    full = np.array([213, 94, 0] if value > 0 else [0, 114, 178])  # vermilion and blue of Okabe and Ito
    share = 0.7 * min(abs(value) / DEVIATIONS, 1.0)
    red, green, blue = (255 - share * (255 - full)).round().astype(int).tolist()
    return red, green, blue
