"""Gradio demos: a page for any model, made from what its plugin's demo.py says."""

from __future__ import annotations

from medhub.demo.page import build, launch

__all__ = ["build", "launch"]
