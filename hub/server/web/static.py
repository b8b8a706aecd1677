"""The stylesheet, the script and the mark: read once, addressed by their content, so that browsers keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from medhub.server.errors import NotFound

router = APIRouter()
FOLDER = Path(__file__).parent / "static"
TYPES = {"hub.css": "text/css", "hub.js": "text/javascript", "mark.svg": "image/svg+xml"}


@router.get("/static/{name:segment}")
def file(name: str) -> Response:
    """Answer with one of the three files."""
    if name not in TYPES:
        raise NotFound(f"this Hub has no static file {name[:100]!r}")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(_content(name), media_type=TYPES[name], headers=headers)


@cache
def address(name: str) -> str:
    """Return the address of a static file; it changes with the content."""
    return f"/static/{name}?{hashlib.sha256(_content(name)).hexdigest()[:12]}"


@cache
def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
