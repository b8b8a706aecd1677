"""Lists of repositories: search, filters, sorting, pages."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
