"""Uploads: card validation, what goes where, the commit."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
