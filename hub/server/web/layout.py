"""Pages: templates, what all of them know, and the headers that keep them safe."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from medhub.registry import AREAS
from medhub.server.routes.paths import PREFIXES, base_url
from medhub.server.tables import Repo
from medhub.server.web import static
from medhub.server.web.sessions import Visit

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
KIND_NAMES = {"model": "Models", "dataset": "Data sets", "space": "Spaces"}
KIND_WORD = {"model": "model", "dataset": "data set", "space": "Space"}
NOTICES = {
    "saved": "Saved.",
    "revoked": "The token is revoked.",
    "renamed": "Renamed. The old address leads here.",
    "deleted": "The repository is deleted.",
    "asked": "Your request was sent to the owners.",
    "answered": "The request is answered.",
    "signed-out": "You are signed out.",
    "password": "The password is set; your sessions in other browsers have ended.",
    "approved": "Approved. The terminal goes on by itself.",
    "denied": "Denied. The terminal was told.",
}
"""What a page says after a form was sent, by the word in the address that it was sent on to."""


def page(visit: Visit, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Answer with a template, filled with `context` and with what every page knows."""
    text = _environment().get_template(template).render(
        visit=visit, viewer=visit.viewer, path=visit.request.scope["path"], form_key=visit.form_key,
        endpoint=base_url(visit.request), notice=NOTICES.get(visit.request.query_params.get("notice", "")), **context,
    )  # fmt: skip
    return HTMLResponse(text, status, HEADERS)


def go(address: str, *, notice: str = "") -> RedirectResponse:
    """Send the browser on after a form, perhaps with a word from NOTICES."""
    return RedirectResponse(f"{address}?notice={notice}" if notice else address, 303, {"Cache-Control": "no-store"})


def address(repo: Repo, *parts: str, path: str = "") -> str:
    """Return a page of a repository: `parts` are quoted as one segment each, `path` keeps its slashes."""
    segments = [quote(part, safe="") for part in parts] + ([quote(path)] if path else [])
    return "/".join([f"/{PREFIXES[repo.kind]}{repo.full_name}", *segments])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {
        "address": address, "areas": AREAS, "kind_names": KIND_NAMES, "kind_word": KIND_WORD, "mixed": False,
        "query": _query, "static": static.address,
    }  # fmt: skip
    environment.filters |= {"size": size, "short": short, "day": day, "minute": minute}
    return environment


def size(count: int) -> str:
    """Return a number of bytes for people: 999 B, 1.2 MB."""
    return _scaled(count, [" B", " kB", " MB", " GB", " TB"])


def short(count: int) -> str:
    """Return a number for people: 999, 1.2k, 11.7M."""
    return _scaled(count, ["", "k", "M", "B", "T"])


def day(moment: datetime) -> str:
    """Return a time's day: 2026-08-20."""
    return f"{moment:%Y-%m-%d}"


def minute(moment: datetime) -> str:
    """Return a time to the minute: 2026-08-20 10:11 UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _scaled(count: int, units: list[str]) -> str:
    if count < 1000:
        return f"{count}{units[0]}"
    value, power = float(count), 0
    while value >= 999.5 and power < len(units) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.1f}{units[power]}" if value < 99.95 else f"{value:.0f}{units[power]}"


def _query(current: Iterable[tuple[str, str]], **changes: str | None) -> str:
    """Return an address's query with some parameters changed, or left out where None; a change starts at page one."""
    kept = [(name, value) for name, value in current if name not in changes and name != "cursor"]
    return "?" + urlencode(kept + [(name, value) for name, value in changes.items() if value])
