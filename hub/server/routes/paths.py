"""Matching addresses on the raw path, and writing addresses.

{kind:kind}         "models", "datasets" or "spaces" after /api/      -> "model", "dataset", "space"
{kind:prefix}       "", "datasets/" or "spaces/" of pages and files   -> the same
{name:segment}      one quoted segment                                -> decoded
{path:rest}         all that follows, perhaps nothing                 -> decoded
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from fastapi import Request
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from medhub.server.errors import BadRequest

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


class _Kind(Convertor[str]):
    regex = "models|datasets|spaces"

    def convert(self, value: str) -> str:
        return KINDS[value]

    def to_string(self, value: str) -> str:
        return value + "s"


class _Prefix(Convertor[str]):
    regex = "(?:datasets/|spaces/)?"

    def convert(self, value: str) -> str:
        return KINDS[value.rstrip("/")] if value else "model"

    def to_string(self, value: str) -> str:
        return PREFIXES[value]


class _Segment(Convertor[str]):
    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return _decoded(value)

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


class _Rest(Convertor[str]):
    regex = ".*"

    def convert(self, value: str) -> str:
        return _decoded(value)

    def to_string(self, value: str) -> str:
        return quote(value, safe="/")


for _name, _convertor in {"kind": _Kind, "prefix": _Prefix, "segment": _Segment, "rest": _Rest}.items():
    register_url_convertor(_name, _convertor())


class RawPath:
    """Middleware that lets routes match the path as it was sent, still quoted."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replace the decoded path by the raw one."""
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}
        await self.app(scope, receive, send)


def base_url(request: Request) -> str:
    """Return the address the client knows the Hub by, without a slash at the end.

    It is the operator's `public_url`, or what the request says of its host and, behind a proxy, its scheme.
    """
    if configured := request.app.state.hub.settings.public_url:
        return str(configured).rstrip("/")
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    if scheme not in {"http", "https"}:
        raise BadRequest("X-Forwarded-Proto is neither http nor https; correct the proxy's configuration")
    return f"{scheme}://{request.headers.get('host', request.url.netloc)}"


def repo_url(request: Request, kind: str, full_name: str) -> str:
    """Return the address of a repository's page."""
    return f"{base_url(request)}/{PREFIXES[kind]}{full_name}"


def _decoded(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequest("the address is not UTF-8") from error
