"""A result as one picture for a person: title, a bar a figure, the explanation, and the research-only notice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from html import escape

from PIL import Image, ImageDraw, ImageFont

WIDTH = 960  # of the picture, in pixels; all other sizes are pixels too, twice what a plain screen needs
MARGIN = 40
BAR_HEIGHT = 26
ROW_HEIGHT = 44
MOST_BARS = 12

INK, GREY, BAR, TRACK = "#1b1f24", "#6a737d", "#2f6f9f", "#e9edf1"
TITLE, TEXT, SMALL = 34, 24, 18
TITLE_LINES = 3
MOST_LETTERS = 200  # more than three lines hold

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def result_picture(
    title: str,
    bars: Mapping[str, float],
    explanation: tuple[str, Image.Image | None] | None = None,
    *,
    drawn: Image.Image | None = None,
    notice: str,
) -> Image.Image:
    """Draw a result on white, `WIDTH` pixels wide: the answer `drawn` over the input, figures between 0 and 1 as bars,
    the explanation (a caption and a picture) beneath.

    Of more than `MOST_BARS` figures the largest are drawn, and a line says how many are not.
    """
    parts = [_title(title)]
    if drawn is not None:
        parts.append(_fitted(drawn))
    if bars:
        parts.append(_bars(bars))
    if explanation is not None:
        caption, shown = explanation
        parts.append(_lines(_wrapped(caption, ImageFont.load_default(size=TEXT)), size=TEXT, colour=GREY))
        if shown is not None:
            parts.append(_fitted(shown))
    parts.append(_lines([notice], size=SMALL, colour=GREY))
    gap = round(MARGIN * 0.7)
    height = 2 * MARGIN + sum(part.height for part in parts) + gap * (len(parts) - 1)
    picture = Image.new("RGB", (WIDTH, height), "white")
    top = MARGIN
    for part in parts:
        picture.paste(part, ((WIDTH - part.width) // 2, top))
        top += part.height + gap
    return picture


def percentage(value: float) -> str:
    """Say a probability in whole percent, never rounding to the certainty that it is not."""
    if 0 < value < 0.01:
        return "<1 %"
    if 0.99 < value < 1:
        return ">99 %"
    return f"{value * 100:.0f} %"


def figures(caption: str, values: Mapping[str, float], *, notes: Mapping[str, str] | None = None) -> str:
    """Write figures between 0 and 1 as an HTML table, the largest first: name, bar, percentage, and a note where given.

    The page of a demo has the style. Screens read it row by row: the bar says nothing that the percentage does not.
    """
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td aria-hidden="true"><i style="width: {value:.1%}"></i></td>'
        f"<td>{percentage(value)}</td>{'' if notes is None else f'<td>{escape(notes.get(name, chr(32)))}</td>'}</tr>"
        for name, value in sorted(values.items(), key=lambda item: item[1], reverse=True)
    )
    return f'<table class="figures"><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>'


def _title(title: str) -> Image.Image:
    """Draw the title on a few lines; one that is too long loses its middle, for the result stands at its end."""
    font = ImageFont.load_default(size=TITLE)
    half = min(len(title), MOST_LETTERS) // 2
    left, right = title[:half], title[len(title) - half :]
    lines = _wrapped(title if len(title) <= MOST_LETTERS else f"{left}…{right}", font)
    while len(lines) > TITLE_LINES:
        left, right = left[:-1], right[1:]
        lines = _wrapped(f"{left}…{right}", font)
    return _lines(lines, size=TITLE, colour=INK)


def _bars(bars: Mapping[str, float]) -> Image.Image:
    """Draw a row a figure: name, bar, percentage."""
    shown = list(bars.items())
    if len(shown) > MOST_BARS:
        shown = sorted(shown, key=lambda item: item[1], reverse=True)[:MOST_BARS]
    left_out = len(bars) - len(shown)
    font = ImageFont.load_default(size=TEXT)
    names = [_shortened(name, font, most=_inner() * 0.45) for name, _ in shown]
    start = max(font.getlength(name) for name in names) + 24
    end = _inner() - font.getlength(">99 %") - 24
    part = Image.new("RGB", (_inner(), ROW_HEIGHT * (len(shown) + bool(left_out))), "white")
    draw = ImageDraw.Draw(part)
    for row, (name, (_, value)) in enumerate(zip(names, shown, strict=True)):
        middle = row * ROW_HEIGHT + ROW_HEIGHT / 2
        top, bottom = middle - BAR_HEIGHT / 2, middle + BAR_HEIGHT / 2
        draw.text((0, middle), name, fill=INK, font=font, anchor="lm")
        draw.rounded_rectangle((start, top, end, bottom), radius=4, fill=TRACK)
        filled = start + (end - start) * min(max(value, 0.0), 1.0)
        if filled - start >= 1:
            draw.rounded_rectangle((start, top, filled, bottom), radius=4, fill=BAR)
        draw.text((_inner(), middle), percentage(value), fill=INK, font=font, anchor="rm")
    if left_out:
        draw.text((0, part.height - ROW_HEIGHT / 2), f"and {left_out} lower ones", fill=GREY, font=font, anchor="lm")
    return part


def _fitted(picture: Image.Image) -> Image.Image:
    """Scale a picture into the inner width, and into a square of it; on white where it is transparent."""
    picture = picture.convert("RGBA")
    scale = _inner() / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # enlarged pixels stay visible as pixels: smoothing would show detail that the input does not have
    resample = Image.Resampling.NEAREST if scale >= 4 else Image.Resampling.LANCZOS
    white = Image.new("RGB", size, "white")
    scaled = picture.resize(size, resample)
    white.paste(scaled, mask=scaled.getchannel("A"))
    return white


def _lines(lines: list[str], *, size: int, colour: str) -> Image.Image:
    font = ImageFont.load_default(size=size)
    step = round(size * 1.35)
    part = Image.new("RGB", (_inner(), step * len(lines)), "white")
    draw = ImageDraw.Draw(part)
    for row, line in enumerate(lines):
        draw.text((0, row * step), line, fill=colour, font=font)
    return part


def _wrapped(text: str, font: Font) -> list[str]:
    """Break text into lines of the inner width, at a space where the line has one."""
    lines, rest = [], " ".join(text.split())
    while font.getlength(rest) > _inner():
        fits = max(1, bisect_right(range(len(rest)), _inner(), key=lambda n: int(font.getlength(rest[:n]))) - 1)
        end = rest.rfind(" ", 1, fits + 1)
        end = end if end > 0 else fits
        lines.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*lines, rest]


def _shortened(text: str, font: Font, *, most: float) -> str:
    """Return text that is at most `most` pixels wide, cut with an ellipsis."""
    text = " ".join(text.split())
    if font.getlength(text) <= most:
        return text
    while text and font.getlength(text + "…") > most:
        text = text[:-1]
    return text + "…"


def _inner() -> int:
    return WIDTH - 2 * MARGIN
