"""The posterior dot plot: how probable it is that two residues share a column, for every two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medhub.pictures import GREY, INK
from medhub.results import Explanation

from .reading import SequencePair

if TYPE_CHECKING:
    from PIL import Image

SIDE = 640
"""Pixels of the longer side of the plot, about."""
MARGIN, TEXT = 44, 18
DARKEST = (0, 68, 136)  # on white, a blue that every eye tells from it


def dot_plot(columns: NDArray[np.floating], pair: SequencePair, *, label: str) -> Explanation:
    """Return the probabilities (first, second) as an explanation, drawn with the first sequence downwards."""
    return Explanation(
        method="posterior probabilities",
        label=label,
        legend=f"the darker a point, the more probable that residue of {pair.first.name} (down) shares a column with "
        f"that of {pair.second.name} (across)",
        values=columns,
        picture=_draw(columns),
    )


def _draw(columns: NDArray[np.floating]) -> Image.Image:
    """Draw the plot with the numbers of residues along its sides."""
    from PIL import Image, ImageDraw, ImageFont

    shades = 1 - np.sqrt(_shrunk(columns))[..., None]  # the root, or faint alternatives could not be seen
    pixels = (255 * shades + (1 - shades) * DARKEST).round().astype(np.uint8)
    times = max(1, SIDE // max(pixels.shape[:2]))
    plot = Image.fromarray(pixels).resize((pixels.shape[1] * times, pixels.shape[0] * times), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (plot.width + 2 * MARGIN, plot.height + MARGIN + TEXT), "white")
    picture.paste(plot, (MARGIN, MARGIN))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=TEXT)
    draw.rectangle((MARGIN - 1, MARGIN - 1, MARGIN + plot.width, MARGIN + plot.height), outline=GREY)
    n, m = columns.shape
    draw.text((MARGIN, MARGIN - 6), "1", fill=INK, font=font, anchor="lb")
    draw.text((MARGIN + plot.width, MARGIN - 6), str(m), fill=INK, font=font, anchor="rb")
    draw.text((MARGIN - 6, MARGIN), "1", fill=INK, font=font, anchor="rt")
    draw.text((MARGIN - 6, MARGIN + plot.height), str(n), fill=INK, font=font, anchor="rb")
    return picture


def _shrunk(columns: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a plot of at most `SIDE` points a side, each the greatest probability of those it stands for."""
    step = -(-max(columns.shape) // SIDE)
    padded = np.pad(columns, [(0, -size % step) for size in columns.shape])
    return padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).max((1, 3)).clip(0, 1)
