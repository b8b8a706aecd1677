"""What the pictures of all three tasks have in common."""

from __future__ import annotations

from PIL import ImageFont

RAISES, LOWERS = "#d55e00", "#0072b2"
"""Vermilion and blue of Okabe and Ito (2008), which every eye tells apart."""
TEXT, SMALL = 20, 16
"""Heights of letters, in pixels."""


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of all text."""
    return ImageFont.load_default(size=size)


def shortened(text: str, width: float) -> str:
    """Return text that is at most `width` pixels wide in TEXT, cut with an ellipsis."""
    letters = font(TEXT)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
