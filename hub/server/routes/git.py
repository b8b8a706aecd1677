"""git over HTTP: clone, fetch and push."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
