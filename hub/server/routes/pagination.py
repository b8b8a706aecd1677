"""Pages of a list: the plain JSON array of one page, and a Link header to the next (protocol, section 1.5)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from medhub.server.errors import BadRequest
from medhub.server.routes.paths import base_url


def linked(request: Request, items: list[Any], cursor: Any) -> JSONResponse:
    """Answer with one page; `cursor`, where the next begins, is any JSON value, None on the last page."""
    if cursor is None:
        return JSONResponse(items)
    url = request.url.include_query_params(cursor=encode(cursor))
    link = f'<{base_url(request)}{request.scope["path"]}?{url.query}>; rel="next"'
    return JSONResponse(items, headers={"Link": link})


def encode(cursor: Any) -> str:
    """Return a cursor as text that clients carry without reading it."""
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()


def decode(text: str | None) -> Any:
    """Return what `encode` was given, None for None. Raises BadRequest for anything else."""
    if text is None:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error) as error:
        raise BadRequest("the cursor is not one of this Hub's; start again without it") from error


def decode_text(text: str | None) -> str:
    """Return the name that a page begins behind, "" for the first page. Raises BadRequest for what is no name."""
    name = decode(text)
    if name is not None and not isinstance(name, str):
        raise BadRequest("the cursor does not belong to this list; start again without it")
    return name or ""
