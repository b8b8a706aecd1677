"""Drawing over an image what a network saw in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import PIL.Image

SHORTEST_SIDE = 336
"""Pixels to which a small picture is enlarged, so that a person sees something."""

_COLOURS = np.array([[33, 102, 172], [103, 169, 207], [253, 219, 130], [244, 109, 67], [178, 10, 28]], dtype=float)
_STRENGTHS = np.array([-1.0, -0.3, 0.3, 0.7, 1.0])
"""Blue where a part spoke against the label, yellow to red where for it; distinct to the colour-blind too."""


def heat_overlay(picture: NDArray[np.uint8], heat: NDArray[np.floating]) -> PIL.Image.Image:
    """Draw signed `heat` (rows, columns) over a picture (height, width, 1 or 3), the more opaque the stronger.

    The two may differ in resolution, as both show the same field. A heat of zeros leaves the picture as it is.
    """
    import PIL.Image

    height, width = picture.shape[:2]
    zoom = max(1.0, SHORTEST_SIDE / min(height, width))
    size = (round(width * zoom), round(height * zoom))
    grey = PIL.Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).convert("RGB")
    beneath = np.asarray(grey.resize(size, PIL.Image.Resampling.BICUBIC), dtype=float)
    strength = PIL.Image.fromarray(_scaled(heat)).resize(size, PIL.Image.Resampling.BILINEAR)
    strengths = np.asarray(strength).clip(-1, 1)
    colours = np.stack([np.interp(strengths, _STRENGTHS, channel) for channel in _COLOURS.T], axis=-1)
    opacity = 0.6 * np.abs(strengths)[..., None]
    return PIL.Image.fromarray((beneath * (1 - opacity) + colours * opacity).round().astype(np.uint8))


def _scaled(heat: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide by what only one value in a hundred exceeds: attributions have outliers that would hide all else."""
    top = float(np.percentile(np.abs(heat), 99))
    top = top if top > 0 else float(np.abs(heat).max())
    return (heat / top if top > 0 else np.zeros_like(heat)).clip(-1, 1).astype(np.float32)
