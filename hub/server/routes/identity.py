"""Who the caller is, and what every client asks first."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
