"""Gradio demos: a page for any model, made from what its plugin's demo.py says, and a gallery of all."""

from __future__ import annotations

from medhub import errors

try:
    import gradio  # noqa: F401
except ImportError as error:
    raise errors.MedHubError("demos need Gradio; pip install 'medhub[demo]'") from error

from medhub.demo.gallery import gallery
from medhub.demo.page import STYLE, build, launch

__all__ = ["STYLE", "build", "gallery", "launch"]
