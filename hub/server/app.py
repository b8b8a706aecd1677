"""The ASGI application: every route, errors in the clients' form, a request id on every answer."""

from __future__ import annotations

import errno
import uuid
from importlib import import_module
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medhub.server.demos import Demos
from medhub.server.errors import BadRequest, NotFound, OutOfSpace, Refusal
from medhub.server.hub import Hub
from medhub.server.limits import Limits
from medhub.server.routes.paths import RawPath
from medhub.server.web import failures

ROUTES = (
    "identity", "oauth", "repositories", "listing", "browse", "revisions", "uploads", "downloads", "lfs", "xet", "git",
    "discussions", "gating", "social", "demos",
)  # fmt: skip
"""Modules of medhub.server.routes, each with a `router`. The pages come last: a model's page is at /namespace/name."""


def create_app(hub: Hub, demos: Demos) -> ASGIApp:
    """Return the application that serves this Hub and its demos, which the caller closes in the end."""
    app = FastAPI(title="MedHub", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.hub = hub
    app.state.demos = demos
    app.state.limits = Limits(hub.settings.requests)
    for name in ROUTES:
        app.include_router(import_module(f"medhub.server.routes.{name}").router)
    app.include_router(import_module("medhub.server.web.pages").router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    return RequestId(RawPath(app))


class RequestId:
    """Middleware that puts an X-Request-Id, the client's own where it sent one, on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header as the answer starts."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        identity = headers.get(b"x-request-id") or headers.get(b"x-amzn-trace-id") or uuid.uuid4().hex.encode()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity)]
            await send(message)

        await self.app(scope, receive, with_id)


def _refused(request: Request, refusal: Any) -> Response:
    """Answer with the status, body and headers that the clients turn into their exceptions (protocol, section 1.3)."""
    if failures.for_people(request):
        return failures.refused(request, refusal)
    message = str(refusal)
    line = "".join(
        letter if letter.isprintable() else " " for letter in message
    )  # a header holds no control characters
    headers = {"X-Error-Message": line.encode("latin-1", "replace").decode("latin-1")}
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    if refusal.status == 401:
        # git asks for a name and a password only where it is told which kind; browsers never see these routes unsigned
        headers |= {"WWW-Authenticate": 'Basic realm="hub"', "LFS-Authenticate": 'Basic realm="hub"'}
    body = {"error": message, **refusal.body}
    return JSONResponse(body, refusal.status, {**headers, **refusal.headers})


def _no_route(request: Request, error: Any) -> Response:
    if error.status_code == 404:
        return _refused(request, NotFound(f"this Hub has nothing at {request.method} {request.scope['path'][:200]}"))
    if failures.for_people(request):
        refusal = Refusal(error.detail, headers=error.headers)
        refusal.status = error.status_code
        return failures.refused(request, refusal)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _invalid(request: Request, error: Any) -> Response:
    found = error.errors()[0]
    return _refused(request, BadRequest(f"{'.'.join(map(str, found['loc']))}: {found['msg']}"))


def _no_text(request: Request, error: Any) -> Response:
    # JSON can say "\ud800", half a character, which neither database nor git can keep
    return _refused(request, BadRequest("the request holds text that is not Unicode; encode it as UTF-8"))


def _system(request: Request, error: Any) -> Response:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _refused(request, OutOfSpace("the Hub's disk is full; nothing was changed; ask its operator for room"))
    raise error
