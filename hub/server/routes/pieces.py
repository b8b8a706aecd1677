"""A request's body in pieces that are worth a write of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request

PIECE = 1 << 20
"""Bytes that are handed on at once; the server delivers some 64 KiB at a time, too few for a change of thread."""


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in pieces of at least PIECE bytes, but for the last. Raises ClientDisconnect on a hang-up."""
    piece = bytearray()
    async for part in request.stream():
        piece += part
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
