"""Gated repositories: asking for access, and granting it."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
