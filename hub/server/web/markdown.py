"""Cards and comments as HTML: what their authors wrote is hostile until it went through `render`."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import nh3
from markdown_it import MarkdownIt

from medhub.server.routes.paths import PREFIXES
from medhub.server.tables import Repo

LIMIT = 1 << 16
"""Characters that are rendered: some times a long card, and about a second for text made to be slow."""
TAGS = nh3.ALLOWED_TAGS - {"area", "article", "aside", "footer", "header", "hgroup", "map", "nav"}
"""The library's safe elements, but for those that would pass for parts of the page around the card."""
ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "details": {"open"},
}
DROPPED = {"script", "style", "iframe", "object", "embed", "noscript", "template", "textarea", "title", "svg", "math"}
"""Elements that go with all they hold; of others that are not allowed, the text stays."""


def render(text: str, *, repo: Repo | None = None, revision: str = "main") -> str:
    """Return Markdown as safe HTML: no script, style, form or remote picture can come through it.

    Addresses without a host belong to `repo` at `revision`: links lead to the file's page, pictures to the file. A
    picture from elsewhere would tell its server who reads the card, so it is left out; without a repository all are.
    Headings sink one level (the page has its own), and text beyond LIMIT is cut off.
    """
    base = f"/{PREFIXES[repo.kind]}{repo.full_name}" if repo else ""
    return _render(text[:LIMIT], base, quote(revision, safe=""))


@lru_cache(maxsize=64)
def _render(text: str, base: str, revision: str) -> str:
    def address(tag: str, attribute: str, value: str) -> str | None:
        if attribute not in {"href", "src"}:
            return value
        return _picture(value, base, revision) if tag == "img" else _link(value, base, revision)

    html = _markdown().render(text)
    return nh3.clean(
        html, tags=TAGS, clean_content_tags=DROPPED, attributes=ATTRIBUTES, allowed_classes={"div": {"scroll"}},
        attribute_filter=address, url_schemes={"http", "https", "mailto"}, link_rel="nofollow noopener noreferrer",
    )  # fmt: skip


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    markdown.core.ruler.push("sink_headings", _sink_headings)
    markdown.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>")
    return markdown


def _sink_headings(state: Any) -> None:
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _link(address: str, base: str, revision: str) -> str | None:
    """Return where a link leads: as it stands where it names a host, else a page of the repository or of this Hub."""
    parts = _split(address)
    if parts is None or parts.netloc or parts.scheme:
        return address if parts and parts.scheme else None
    path = _inside(parts.path)
    if parts.path.startswith("/"):
        return f"/{quote(path)}" if path else None
    return f"{base}/blob/{revision}/{quote(path)}" if base and path else None


def _picture(address: str, base: str, revision: str) -> str | None:
    """Return the address of a picture's file, or None where it is none of the repository's."""
    parts = _split(address)
    path = _inside(parts.path) if parts else None
    if not parts or not path or not base or parts.scheme or parts.netloc or parts.path.startswith("/"):
        return None
    return f"{base}/resolve/{revision}/{quote(path)}"


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _inside(path: str) -> str | None:
    """Return a path in its plain form, or None where it is empty or would lead out of the repository."""
    plain = posixpath.normpath(unquote(path).lstrip("/"))
    return None if plain in {"", ".", ".."} or plain.startswith("../") or "\\" in plain else plain
