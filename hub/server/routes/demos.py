"""Demos as the page "Try it" shows them: every request of theirs is passed on to the model's worker process.

The frame on that page is sandboxed: what a model's author could bring to run there is of no origin, sees neither the
page around it nor the Hub's cookies, and reaches nothing but its own demo. So the demo's address carries what says who
asks: a signed statement on the repository and the viewer's session. The right to read is looked up at every request.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from anyio import CancelScope
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from medhub.server import reads, transfers
from medhub.server.access import Principal
from medhub.server.demos import UPLOAD, Demo, Demos, DemoUnavailable
from medhub.server.errors import Forbidden, Unauthenticated
from medhub.server.hub import Hub
from medhub.server.limits import Limits
from medhub.server.routes.dependencies import TheHub
from medhub.server.routes.downloads import HARMLESS
from medhub.server.routes.paths import base_url
from medhub.server.tables import Repo

router = APIRouter(max_body_size=UPLOAD + (1 << 20), include_in_schema=False)
PLACE = "/api/demos"
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, for workers speak no TLS. Made once: httpx would read all authorities at each request."""
LIFETIME = 24 * 3600
"""Seconds that a page "Try it" can be used without loading it again."""
TO_WORKER = ("accept", "accept-encoding", "accept-language", "content-length", "content-type", "if-none-match", "range")
"""Headers of a request that a worker gets: nothing that says who asks."""
FROM_WORKER = frozenset(
    (
        "accept-ranges", "content-encoding", "content-length", "content-range", "content-type",
        "etag", "last-modified",
    )
)  # fmt: skip
"""Headers of an answer that a browser gets: no cookies, no permissions, no way elsewhere."""
NO_ORIGIN = {"Access-Control-Allow-Origin": "null", "Access-Control-Allow-Credentials": "true"}
"""What lets a page in a sandbox read the answers: it has no origin. The signed address is what it needs besides."""
HEARTBEAT = "gradio_api/heartbeat/"
"""What an open page asks all the time, whether somebody is at it or not."""
# a link to a file would else open it in place of the demo: for a page without origin "download" is only a wish
DATA = {**HARMLESS, "Content-Disposition": "attachment"}
"""What goes with answers that are no part of the page: nothing of them is ever shown as a page of its own."""
SANDBOX = "allow-scripts allow-forms allow-downloads"
"""What the demo's page may do in its frame."""


def address(request: Request, hub: Hub, viewer: Principal, repo: Repo) -> str:
    """Return the address of a repository's demo for this viewer, who has to be allowed to read it; a slash ends it."""
    signed = hub.signer.sign("demo", {"repo": repo.id, "token": viewer.token_id}, seconds=LIFETIME)
    return f"{_place(request, signed)}/"


def granted(request: Request, hub: TheHub, signed: str) -> Demo:
    """Return the demo that a signed address leads to.

    Raises Forbidden and NotFound for whoever may not read the model now, DemoUnavailable where it does not run,
    TooManyRequests.
    """
    client = request.client.host if request.client else ""
    try:
        caller, repo = transfers.allowed(hub, hub.signer.verify("demo", signed), address=client)
    except Unauthenticated as error:
        # a frame must not make the browser ask for a password
        raise Forbidden("your session has ended; sign in, and load the page again") from error
    limits: Limits = request.app.state.limits
    limits.requests.count(caller.id or client)
    demos: Demos = request.app.state.demos
    demo = demos.running(repo.id)
    if demo is None:
        raise DemoUnavailable("the demo does not run now; load the page again, which starts it", seconds=1)
    if request.method == "POST":
        reads.record(hub, caller, repo, "demo.use", commit=demo.commit)
    return demo


@router.options(PLACE + "/{signed:segment}/{path:rest}")
def permit(request: Request) -> Response:
    """Let the page send what a form could not; whether it is answered, the signed address decides."""
    asked = request.headers.get("access-control-request-headers", "")
    headers = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": asked}
    return Response(status_code=204, headers=NO_ORIGIN | headers | {"Access-Control-Max-Age": "600"})


@router.api_route(PLACE + "/{signed:segment}/{path:rest}", methods=["GET", "HEAD", "POST"])
async def ask(request: Request, demo: Annotated[Demo, Depends(granted)], signed: str, path: str) -> StreamingResponse:
    """Pass a request on to the worker, and its answer back, both as they come."""
    closing = AsyncExitStack()
    try:
        if not path.startswith(HEARTBEAT):
            closing.enter_context(demo.in_use())
        worker = httpx.AsyncHTTPTransport(uds=demo.socket, verify=TLS)
        closing.push_async_callback(worker.aclose)
        answer = await worker.handle_async_request(_for_worker(request, _place(request, signed)))
        closing.push_async_callback(answer.aclose)
    except BaseException as error:
        with CancelScope(shield=True):
            await closing.aclose()
        if isinstance(error, httpx.TransportError):
            raise DemoUnavailable("the demo ended; load the page again, which starts it", seconds=1) from error
        raise
    headers = {name: value for name, value in answer.headers.items() if name in FROM_WORKER}
    headers |= DATA if path.startswith("gradio_api/") else _page_headers(_place(request, signed))
    return _Passed(answer, headers | NO_ORIGIN, closing)


class _Passed(StreamingResponse):
    """A worker's answer on its way; `closing` is closed when it is through, and when the visitor hangs up."""

    def __init__(self, answer: httpx.Response, headers: dict[str, str], closing: AsyncExitStack) -> None:
        super().__init__(_body(answer), answer.status_code, headers)
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self._closing.aclose()


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.TransportError:
        return  # the worker was stopped: the answer ends here


def _for_worker(request: Request, place: str) -> httpx.Request:
    """Return the request that the worker gets: the same one, as if it came from nobody to its public address."""
    public = urlsplit(place)
    headers = {name: request.headers[name] for name in TO_WORKER if name in request.headers}
    headers |= {"host": public.netloc, "x-forwarded-proto": public.scheme, "x-forwarded-prefix": public.path}
    target = request.scope["path"].encode() + b"?" + request.scope["query_string"]
    waits = {"connect": 30.0, "read": None, "write": None, "pool": None}
    return httpx.Request(
        request.method, "http://worker", headers=headers,
        content=request.stream() if request.method == "POST" else None,
        extensions={"target": target.removesuffix(b"?"), "timeout": waits},
    )  # fmt: skip


def _place(request: Request, signed: str) -> str:
    """Return where a visitor's demo is, without a slash at the end."""
    return f"{base_url(request)}{PLACE}/{signed}"


def _page_headers(place: str) -> dict[str, str]:
    """Return the headers of the page and its parts: whatever runs there reaches its own demo and nothing else."""
    here = f"{place}/"
    sources = {
        "sandbox": SANDBOX,
        "default-src": "'none'",
        "script-src": f"{here} 'unsafe-inline' 'unsafe-eval'",  # Gradio compiles the templates of its HTML component
        "style-src": f"{here} 'unsafe-inline'",
        "img-src": f"{here} data: blob:",
        "media-src": f"{here} data: blob:",
        "font-src": f"{here} data:",
        "connect-src": f"{here} data: blob:",
        "form-action": "'none'",
        "base-uri": here,
        "frame-ancestors": "'self'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in sources.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
