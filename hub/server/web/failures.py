"""What is refused, as a page: for browsers, where the API answers in JSON."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request, Response

from medhub.server.errors import NotFound, Refusal
from medhub.server.web.layout import go, page
from medhub.server.web.sessions import SignIn, visit_of

TITLES = {
    401: "Sign in first",
    403: "Not yours to do",
    404: "Nothing here",
    409: "It does not fit",
    429: "Too many requests",
}


def for_people(request: Request) -> bool:
    """Return whether a browser asks, for something that is not the API."""
    return "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith("/api/")


def refused(request: Request, refusal: Refusal) -> Response:
    """Answer with a page that says what is wrong; a stranger is sent to sign in where that may help.

    On a Hub that is closed to strangers this answers alike for what is missing and for what is private.
    """
    visit = visit_of(request, request.app.state.hub)
    closed = isinstance(refusal, NotFound) and not visit.hub.settings.anonymous
    if visit.viewer.stranger and (isinstance(refusal, SignIn) or closed):
        query = f"?{request.url.query}" if request.url.query else ""
        onward = request.scope["path"] + query if request.method == "GET" else "/"
        return go("/login?" + urlencode({"next": onward}) if onward != "/" else "/login")
    status = 404 if isinstance(refusal, NotFound) else refusal.status
    title = TITLES.get(status, "This was refused")
    response = page(visit, "refused.html", status=status, title=title, message=str(refusal))
    response.headers.update(refusal.headers)
    return response
