"""Visits side by side, and beneath each what in it spoke for a drug and what against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medhub.pictures import GREY, INK, TRACK

from ..pictures import LOWERS, RAISES, SMALL, TEXT, font, shortened

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

NAMES, COLUMN, TOTAL = 360, 92, 110  # pixels: widths of the names, of a visit, and of the sums
ROW, HEADER = 38, 64  # pixels: heights
MOST_ROWS, MOST_COLUMNS = 14, 9
"""Codes, those that say most, and visits, the last ones, that are drawn; the sums count all."""
SMALLEST, LARGEST = 3, 15  # pixels: radii


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one code or value of a visit added to the log-odds; of no visit what does not change."""

    name: str
    visit: int | None
    share: float

    def place(self, visits: int) -> str:
        """Say where it stands, of so many visits, the coming one last."""
        if self.visit is None:
            return "at all times"
        before = visits - 1 - self.visit
        return "coming visit" if before == 0 else f"{before} visit{'s' * (before > 1)} before"


def draw_visits(cells: Sequence[Cell], dates: Sequence[str]) -> Image:
    """Draw a row for each code that says most, with a dot in each visit that has it, the larger the more it says.

    `dates` are those of the visits, "" where it is not known yet; beside a row stands the sum over all visits.
    """
    from PIL import Image, ImageDraw

    by_name: dict[str, list[Cell]] = {}
    for cell in cells:
        by_name.setdefault(cell.name, []).append(cell)
    rows = sorted(by_name.items(), key=lambda item: -sum(abs(cell.share) for cell in item[1]))
    shown, others = rows[:MOST_ROWS], rows[MOST_ROWS:]
    first = max(len(dates) - MOST_COLUMNS, 0)
    width = NAMES + COLUMN * (len(dates) - first) + TOTAL
    picture = Image.new("RGB", (width, HEADER + ROW * (len(shown) + bool(others)) + ROW // 2), "white")
    draw = ImageDraw.Draw(picture)
    draw.font = font(SMALL)
    _draw_header(draw, dates, first=first)
    draw.font = font(TEXT)
    largest = max((abs(cell.share) for cell in cells), default=0.0) or 1.0
    for number, (name, own) in enumerate(shown):
        _draw_row(draw, HEADER + ROW * number, name, own, first=first, largest=largest)
    if others:
        rest = sum(cell.share for _, own in others for cell in own)
        y = HEADER + ROW * (len(shown) + 0.5)
        draw.text((NAMES - 12, y), f"{len(others)} others", fill=GREY, anchor="rm")
        draw.text((width - 12, y), f"{rest:+.2f}", fill=GREY, anchor="rm")
    return picture


def _draw_header(draw: ImageDraw, dates: Sequence[str], *, first: int) -> None:
    for number, date in enumerate(dates[first:], start=first):
        x = _middle(number, first)
        title = Cell(name="", visit=number, share=0).place(len(dates)).replace("visits ", "").replace("visit ", "")
        title = "coming" if number == len(dates) - 1 else title
        draw.text((x, HEADER / 2 - 10), title, fill=INK, anchor="mm")
        draw.text((x, HEADER / 2 + 10), date, fill=GREY, anchor="mm")
    draw.text((_middle(len(dates), first) + (TOTAL - COLUMN) / 2, HEADER / 2), "in all", fill=GREY, anchor="mm")


def _draw_row(draw: ImageDraw, top: float, name: str, own: Sequence[Cell], *, first: int, largest: float) -> None:
    y, end = top + ROW / 2, draw.im.size[0]
    draw.text((NAMES - 12, y), shortened(name, NAMES - 24), fill=INK, anchor="rm")
    draw.line((NAMES, y, end - TOTAL, y), fill=TRACK, width=1 if own[0].visit is not None else 0)
    for cell in own:
        if cell.visit is not None and cell.visit >= first:
            x, radius = _middle(cell.visit, first), max(SMALLEST, LARGEST * (abs(cell.share) / largest) ** 0.5)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(cell.share))
    total = sum(cell.share for cell in own)
    draw.text((end - 12, y), f"{total:+.2f}", fill=_colour(total), anchor="rm")


def _middle(number: int, first: int) -> float:
    return NAMES + COLUMN * (number - first + 0.5)


def _colour(share: float) -> str:
    return RAISES if share > 0 else LOWERS
