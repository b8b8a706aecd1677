"""What the pictures of all three tasks have in common."""

from __future__ import annotations

RAISES, LOWERS = "#d55e00", "#0072b2"
"""Vermilion and blue of Okabe and Ito (2008), which every eye tells apart."""
