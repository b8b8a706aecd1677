"""Signing in from a terminal through a browser: the OAuth device code (RFC 8628)."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
