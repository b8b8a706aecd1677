"""JSON bodies of bounded size: FastAPI's own parameters read whatever is sent into memory, before any right is checked."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from medhub.server.errors import BadRequest, TooLarge

LARGEST = 4 << 20
"""Bytes of JSON that one request may send; a thousand large files take a tenth of it."""


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of the body. Raises TooLarge, and BadRequest for anything else."""
    data = bytearray()
    try:
        async for piece in request.stream():
            data += piece
            if len(data) > LARGEST:
                raise TooLarge(f"the body has more than {LARGEST} bytes; send less at once", headers={"Connection": "close"})
        found = json.loads(data)
    except (ValueError, RecursionError, ClientDisconnect) as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(found, dict):
        raise BadRequest(f"the body is a JSON {type(found).__name__}; this call takes an object")
    return found


JsonObject = Annotated[dict[str, Any], Depends(json_object)]
"""A parameter that is the body's JSON object; write it behind the repository, so that rights come first."""
