"""Branches, tags and history."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
