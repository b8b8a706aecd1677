"""Drawing over an image what a network saw in it: heat, boxes and regions, in colours for the colour-blind too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageDraw

SHORTEST_SIDE = 336
"""Pixels to which a small picture is enlarged, so that a person sees something."""
OUTLINED_SIZE = (880, 620)
"""Width and height to which a small picture is enlarged for outlines of two pixels: those of neighbours must not run
into each other. A result's page shows this size, with a legend, as it is."""
BLOCKY = 4
"""Times of enlarging from which pixels stay visible as pixels: smoothing would show detail that is not there."""
FILLED = 0.22
"""How much of a region's colour lies over it; its outline is opaque."""
MOST_SCORED = 40
"""Boxes up to which each bears its probability; of more, the figures would hide the picture."""
TEXT, PADDING, SWATCH = 18, 10, 16

RGB = tuple[int, int, int]

OKABE_ITO: tuple[RGB, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178),
)  # fmt: skip
"""Seven colours that all kinds of colour vision tell apart (Okabe and Ito 2008); their black is left out, as images are
often dark."""

_COLOURS = np.array([[33, 102, 172], [103, 169, 207], [253, 219, 130], [244, 109, 67], [178, 10, 28]], dtype=float)
_STRENGTHS = np.array([-1.0, -0.3, 0.3, 0.7, 1.0])
"""Blue where a part spoke against the label, yellow to red where for it; distinct to the colour-blind too."""
_BLACK, _INK = (0, 0, 0), (27, 31, 36)


def label_colours(names: Sequence[str]) -> dict[str, RGB]:
    """Return a colour for each label by its place; from the eighth on, lighter ones of the same seven."""
    colours = {}
    for place, name in enumerate(names):
        lighter = 1 - 0.6 ** (place // len(OKABE_ITO))
        red, green, blue = (round(part + (255 - part) * lighter) for part in OKABE_ITO[place % len(OKABE_ITO)])
        colours[name] = (red, green, blue)
    return colours


def heat_overlay(picture: NDArray[np.uint8], heat: NDArray[np.floating]) -> PIL.Image.Image:
    """Draw signed `heat` (rows, columns) over a picture (height, width, 1 or 3), the more opaque the stronger.

    The two may differ in resolution, as both show the same field. A heat of zeros leaves the picture as it is.
    """
    import PIL.Image

    beneath = _enlarged(picture, SHORTEST_SIDE / min(picture.shape[:2]))
    strength = PIL.Image.fromarray(_scaled(heat)).resize(beneath.size, PIL.Image.Resampling.BILINEAR)
    strengths = np.asarray(strength).clip(-1, 1)
    colours = np.stack([np.interp(strengths, _STRENGTHS, channel) for channel in _COLOURS.T], axis=-1)
    opacity = 0.6 * np.abs(strengths)[..., None]
    return PIL.Image.fromarray((np.asarray(beneath) * (1 - opacity) + colours * opacity).round().astype(np.uint8))


def region_overlay(
    picture: NDArray[np.uint8],
    mask: NDArray[np.integer],
    names: Sequence[str],
    *,
    instances: NDArray[np.integer] | None = None,
    colours: Mapping[str, RGB],
) -> PIL.Image.Image:
    """Draw regions over a picture (height, width, 1 or 3), with a legend of `names` beneath.

    `mask` (height, width) has 0 for background and otherwise the place in `names` + 1. Each object of `instances`
    (height, width) gets an outline of its own. A dark line around an outline shows it on light stains too.
    """
    import PIL.Image
    from scipy.ndimage import maximum_filter

    beneath = _enlarged_for_outlines(picture)
    classes = _nearest(mask, beneath.size)
    regions = classes if instances is None else _nearest(instances, beneath.size)
    edge = outline(regions)
    around = maximum_filter(edge, 3) & (regions == 0)
    palette = np.array([_BLACK, *(colours[name] for name in names)], dtype=float)
    opacity = np.where(edge | around, 1.0, FILLED * (regions > 0))[..., None]
    shown = np.asarray(beneath) * (1 - opacity) + palette[np.where(around, 0, classes)] * opacity
    return _with_legend(PIL.Image.fromarray(shown.round().astype(np.uint8)), {name: colours[name] for name in names})


def outline(regions: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Say which pixels of numbered regions (height, width) lie within two pixels of another region or of 0."""
    from scipy.ndimage import maximum_filter, minimum_filter

    return (maximum_filter(regions, 5) != minimum_filter(regions, 5)) & (regions > 0)


def box_overlay(
    picture: NDArray[np.uint8],
    boxes: NDArray[np.floating],
    labels: Sequence[str],
    scores: NDArray[np.floating],
    *,
    colours: Mapping[str, RGB],
) -> PIL.Image.Image:
    """Draw boxes (boxes, 4) over a picture (height, width, 1 or 3): left, top, right and bottom in its pixels.

    Every box has the colour of its label and, of up to `MOST_SCORED` boxes, its probability; the legend beneath counts
    the boxes of each label in `colours`.
    """
    from PIL import ImageDraw

    shown = _enlarged_for_outlines(picture)
    draw = ImageDraw.Draw(shown)
    zoom = shown.width / picture.shape[1]
    drawn = [*zip((np.asarray(boxes).reshape(-1, 4) * zoom).round().astype(int).tolist(), labels, scores, strict=True)]
    for (left, top, right, bottom), label, _ in drawn:
        right, bottom = max(left, right - 1), max(top, bottom - 1)  # the last pixel inside
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_BLACK)
        draw.rectangle((left, top, right, bottom), outline=colours[label], width=2)
    for (left, top, _, _), label, score in drawn if len(drawn) <= MOST_SCORED else ():
        _tag(draw, (left, top), f"{score:.2f}", colours[label])
    counts = {name: [*labels].count(name) for name in colours}
    return _with_legend(shown, {f"{name}: {counts[name]}": colour for name, colour in colours.items()})


def _enlarged_for_outlines(picture: NDArray[np.uint8]) -> PIL.Image.Image:
    width, height = OUTLINED_SIZE
    return _enlarged(picture, min(height / picture.shape[0], width / picture.shape[1]))


def _enlarged(picture: NDArray[np.uint8], zoom: float) -> PIL.Image.Image:
    """Return a picture in RGB, never smaller than it was."""
    import PIL.Image

    height, width = picture.shape[:2]
    colour = PIL.Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).convert("RGB")
    if zoom <= 1:
        return colour
    method = PIL.Image.Resampling.NEAREST if zoom >= BLOCKY else PIL.Image.Resampling.BICUBIC
    return colour.resize((round(width * zoom), round(height * zoom)), method)


def _nearest(numbers: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.int32]:
    """Enlarge a map of numbers (height, width) to a picture's (width, height)."""
    import PIL.Image

    return np.asarray(PIL.Image.fromarray(numbers.astype(np.int32)).resize(size, PIL.Image.Resampling.NEAREST))


def _scaled(heat: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide by what only one value in a hundred exceeds: attributions have outliers that would hide all else."""
    top = float(np.percentile(np.abs(heat), 99))
    top = top if top > 0 else float(np.abs(heat).max())
    return (heat / top if top > 0 else np.zeros_like(heat)).clip(-1, 1).astype(np.float32)


def _tag(draw: PIL.ImageDraw.ImageDraw, corner: tuple[int, int], text: str, colour: RGB) -> None:
    """Write a box's probability on its colour, inside its upper left corner."""
    from PIL import ImageFont

    font = ImageFont.load_default(size=TEXT * 0.7)
    left, top = max(corner[0], 0), max(corner[1], 0)
    right, bottom = draw.textbbox((left + 3, top + 1), text, font=font)[2:]
    draw.rectangle((left, top, right + 2, bottom + 2), fill=colour)
    draw.text((left + 3, top + 1), text, fill=_BLACK, font=font)


def _with_legend(picture: PIL.Image.Image, entries: Mapping[str, RGB]) -> PIL.Image.Image:
    """Set a picture over lines of coloured squares with their names, on white."""
    import PIL.Image
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=TEXT)
    step = TEXT + PADDING
    places, left, top = [], PADDING, PADDING
    for text in entries:
        width = SWATCH + PADDING + round(font.getlength(text)) + 2 * PADDING
        if left > PADDING and left + width > picture.width:
            left, top = PADDING, top + step
        places.append((left, top))
        left += width
    page = PIL.Image.new("RGB", (picture.width, picture.height + top + step), "white")
    page.paste(picture)
    draw = ImageDraw.Draw(page)
    for (text, colour), (left, top) in zip(entries.items(), places, strict=True):
        top += picture.height
        draw.rectangle((left, top + 2, left + SWATCH, top + 2 + SWATCH), fill=colour, outline=_INK)
        draw.text((left + SWATCH + PADDING, top + 10), text, fill=_INK, font=font, anchor="lm")
    return page
