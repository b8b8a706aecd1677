"""A patient's events on a line of time: how the risk went, and what raised and lowered it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medhub.pictures import GREY, INK, TRACK, percentage

from ..pictures import LOWERS, RAISES, SMALL, TEXT, font, shortened

WIDTH, LEFT, RIGHT = 1200, 300, 110  # pixels: all, left of the line of time for names, right of it for shares
CURVE, ROW, GAP, RULER = 170, 34, 30, 40  # pixels: heights of the risk's curve and of a row, between parts, beneath
MOST_ROWS = 12
"""Variables that get a row; what the others add up to is said beneath."""
RADIUS = 11  # pixels, of the event that says most
DAY, YEAR = 24.0, 24 * 365.2425  # hours
STEPS = (0.1, 0.2, 0.5, 1, 2, 3, 6, 12, 24, 50, 100, 200)
"""Between ticks of the ruler, in its unit."""
MOST_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An event on the line of time, and its share in the log-odds."""

    name: str
    hours: float
    """From the first event."""
    share: float


def draw_timeline(
    marks: Sequence[Mark],
    fixed: Sequence[tuple[str, float]],
    *,
    hours: NDArray[np.floating],
    risks: NDArray[np.floating],
    label: str,
) -> Image.Image:
    """Draw the `risks` at `hours` as a curve, and under it a row for each variable that says most.

    Each event is a dot, the larger the more it says; beside a row stands the sum of its shares. `fixed` are shares of
    what has no time, such as the age.
    """
    rows = _rows(marks, fixed)
    shown, others = rows[:MOST_ROWS], rows[MOST_ROWS:]
    top = CURVE + 2 * GAP
    picture = Image.new("RGB", (WIDTH, top + ROW * (len(shown) + bool(others)) + RULER), "white")
    draw = ImageDraw.Draw(picture)
    span = max(float(hours[-1]), max((mark.hours for mark in marks), default=0.0)) or 1.0
    _draw_curve(draw, hours, risks, span=span, label=label)
    largest = max((abs(mark.share) for mark in marks), default=0.0) or 1.0
    for number, (name, total, own) in enumerate(shown):
        _draw_row(draw, top + ROW * number, name, total, own, span=span, largest=largest)
    if others:
        rest = f"and {len(others)} more: {sum(total for _, total, _ in others):+.2f}"
        draw.text((LEFT - 12, top + ROW * (len(shown) + 0.5)), rest, fill=GREY, font=font(TEXT), anchor="rm")
    _draw_ruler(draw, picture.height - RULER, span=span)
    return picture


def _rows(marks: Sequence[Mark], fixed: Sequence[tuple[str, float]]) -> list[tuple[str, float, list[Mark]]]:
    """Return name, sum of shares and events of each variable, those first that say most."""
    by_name: dict[str, list[Mark]] = {}
    for mark in marks:
        by_name.setdefault(mark.name, []).append(mark)
    rows = [(name, sum(mark.share for mark in own), own) for name, own in by_name.items()]
    rows += [(name, share, []) for name, share in fixed]
    return sorted(rows, key=lambda row: -abs(row[1]))


def _draw_curve(
    draw: ImageDraw.ImageDraw, hours: NDArray[np.floating], risks: NDArray[np.floating], *, span: float, label: str
) -> None:
    top, bottom = GAP, GAP + CURVE
    highest = min(1.0, max(0.1, float(np.ceil(risks.max() * 10) / 10)))
    for value in (0.0, highest / 2, highest):
        y = bottom - CURVE * value / highest
        draw.line((LEFT, y, WIDTH - RIGHT, y), fill=TRACK)
        draw.text((LEFT - 12, y), f"{100 * value:.0f} %", fill=GREY, font=font(SMALL), anchor="rm")
    points = [
        (_across(hour, span), bottom - CURVE * risk / highest)
        for hour, risk in zip(hours.tolist(), risks.tolist(), strict=True)
    ]
    draw.line(points, fill=INK, width=3, joint="curve")
    x, y = points[-1]
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=INK)
    draw.text((x + 12, y), percentage(float(risks[-1])), fill=INK, font=font(TEXT), anchor="lm")
    draw.text((12, top), "Risk over time", fill=INK, font=font(TEXT))
    draw.text((12, top + ROW), shortened(label, LEFT - 90), fill=GREY, font=font(SMALL))


def _draw_row(
    draw: ImageDraw.ImageDraw, top: float, name: str, total: float, own: Sequence[Mark], *, span: float, largest: float
) -> None:
    middle = top + ROW / 2
    draw.text((LEFT - 12, middle), shortened(name, LEFT - 24), fill=INK, font=font(TEXT), anchor="rm")
    draw.line((LEFT, middle, WIDTH - RIGHT, middle), fill=TRACK)
    for mark in sorted(own, key=lambda mark: abs(mark.share)):
        x, radius = _across(mark.hours, span), max(2.0, RADIUS * np.sqrt(abs(mark.share) / largest))
        draw.ellipse((x - radius, middle - radius, x + radius, middle + radius), fill=_colour(mark.share))
    draw.text((WIDTH - 12, middle), f"{total:+.2f}", fill=_colour(total), font=font(TEXT), anchor="rm")


def _draw_ruler(draw: ImageDraw.ImageDraw, top: float, *, span: float) -> None:
    """Write the time from the first event under the line of time, in the unit that fits."""
    unit, word = (YEAR, "years") if span > 2 * YEAR else (DAY, "days") if span > 4 * DAY else (1.0, "hours")
    step = next((step for step in STEPS if span / unit <= MOST_TICKS * step), span / unit)
    for tick in np.arange(0, span / unit + step / 1e6, step):
        x = _across(tick * unit, span)
        draw.line((x, top, x, top + 6), fill=GREY)
        draw.text((x, top + 10), f"{tick:g}", fill=GREY, font=font(SMALL), anchor="ma")
    draw.text((12, top + 10), f"{word} since the first event", fill=GREY, font=font(SMALL))


def _across(hours: float, span: float) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * hours / span


def _colour(share: float) -> str:
    return RAISES if share > 0 else LOWERS
