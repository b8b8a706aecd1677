"""git-lfs: large files in and out, in one piece or in parts, and their administration."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
