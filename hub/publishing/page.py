"""A plugin's README.md, taken apart by its headings so that a card can use the pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A Markdown page: what stands before its first section, and its sections (`## Heading`) by name."""

    introduction: str
    sections: dict[str, str]

    def without(self, *names: str) -> str:
        """Return the page without its title and some sections, its headings one level down."""
        kept = [f"## {name}\n\n{text}" for name, text in self.sections.items() if name not in names]
        lines = "\n\n".join([self.introduction, *kept]).splitlines()
        return "\n".join("#" + line if heading else line for line, heading in _headings(lines)).strip("\n")


def read_page(text: str) -> Page:
    """Take a page apart; HTML comments and the title (`# Heading`) are left out."""
    introduction: list[str] = []
    sections: dict[str, list[str]] = {}
    part = introduction
    for line, heading in _headings(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).splitlines()):
        if heading and line.startswith("## "):
            part = sections.setdefault(line.removeprefix("## ").strip(), [])
        elif not (heading and line.startswith("# ")):
            part.append(line)
    return Page(_joined(introduction), {name: _joined(lines) for name, lines in sections.items()})


def _joined(lines: list[str]) -> str:
    """Join lines without the blank ones at either end; an indented first line is code and stays indented."""
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _headings(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield each line and whether it is a heading; a comment in a block of code is none."""
    fence = ""
    for line in lines:
        opened = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if opened and not fence:
            fence = opened.group(1)
        elif opened and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
            yield line, False
            continue
        yield line, not fence and re.match(r"#{1,6} ", line) is not None
