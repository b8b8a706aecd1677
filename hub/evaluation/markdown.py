"""Text that stands in Markdown as it was written: names of labels and data sets come from users."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: object) -> str:
    """Return text as one line that Markdown and HTML show as it is."""
    line = " ".join(str(text).split())
    line = re.sub(r"[&<>]", lambda match: _HTML[match.group()], line)
    line = re.sub(r"([\\`*_\[\]{}|~$])", r"\\\1", line)
    return re.sub(r"^(#|[-+=] |\d+[.)] )", r"\\\1", line)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already; the first row is the header."""
    header, *lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([header, "|---" * len(rows[0]) + "|", *lines])


def link(address: str) -> str:
    """Return a web address as a link, and anything else as plain text."""
    return f"<{address}>" if re.fullmatch(r"https?://[^\s<>|`\\]+", address) else escape(address)


def code(text: object) -> str:
    """Return one line of text as code, which may stand in a table."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", r"\|")
    return f"`{line}`" if line else ""


def fenced(text: str, language: str = "") -> str:
    """Return a code block that its text cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"
