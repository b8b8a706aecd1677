"""The life of a repository: create, settings, move, duplicate, delete."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
