"""Likes, and pages about users and organisations."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
