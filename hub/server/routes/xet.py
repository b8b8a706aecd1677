"""Xet: the chunk-addressed transport of large files."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
