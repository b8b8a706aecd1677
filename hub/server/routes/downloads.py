"""Downloads: files at a revision, whole or in ranges."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
