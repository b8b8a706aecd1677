"""YAML front matter from strangers as plain JSON values.

It is read from libyaml's events: a loader recurses as deep as the text asks for, which ends the process. It means what
YAML 1.2's core schema says, so that dates and a language `no` stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from medhub.server.errors import BadRequest

LARGEST = 1 << 20
"""Characters of front matter."""
MOST_VALUES = 100_000
DEEPEST = 50

START = re.compile(r"\ufeff?\s*---[ \t]*\r?\n")
END = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
TEXT_TAGS = {None, "!", "tag:yaml.org,2002:str"}
WORDS = {"": None, "~": None, "null": None, "true": True, "false": False, ".nan": None, ".inf": None, "-.inf": None}
"""Plain words that are no text; numbers that JSON cannot write are unknown."""
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
FLOAT = re.compile(r"[-+]?(?:[0-9]*\.[0-9]+|[0-9]+\.|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")


def split(text: str) -> tuple[str, str]:
    """Return the front matter of a README, without its fences and empty where there is none, and the text below."""
    start = START.match(text)
    end = END.search(text, start.end()) if start else None
    if not start or not end:
        return "", text
    return text[start.end() : end.start()], text[end.end() :]


def read(block: str) -> dict[str, Any]:
    """Return the values of front matter. Raises BadRequest where it is not YAML, not a mapping, or too much."""
    if len(block) > LARGEST:
        raise BadRequest(f"the front matter has more than {LARGEST} characters; move what is long below it")
    try:
        found = _Reader(yaml.parse(block, Loader=yaml.CSafeLoader)).read()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 2}" if mark else ""
        problem = getattr(error, "problem", None) or "control characters are not allowed"
        raise BadRequest(f"the front matter is not YAML: {problem}{place}") from None
    if not isinstance(found, dict | None):
        raise BadRequest(f"the front matter is a {type(found).__name__}; write a mapping: lines of `name: value`")
    return found or {}


@dataclass
class _Open:
    """A mapping or list that is being read; `before` is how many values there were when it began."""

    value: Any
    anchor: str | None = None
    before: int = 0
    key: str | None = None

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None


@dataclass
class _Reader:
    """Builds values from events, without recursion and within the limits above."""

    events: Iterable[Any]
    count: int = 0
    open: list[_Open] = field(default_factory=lambda: [_Open([])])
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def read(self) -> Any:
        """Return the document's value, None for an empty one."""
        for event in self.events:
            if isinstance(event, yaml.CollectionStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self.open.pop()
                self._add(done.value, anchor=done.anchor, size=self.count - done.before)
            elif isinstance(event, yaml.ScalarEvent):
                self._count(1)
                self._add(event.value if self.open[-1].wants_key else _scalar(event), anchor=event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                self._repeat(event.anchor)
        documents = self.open[0].value
        return documents[0] if documents else None

    def _begin(self, event: Any) -> None:
        if len(self.open) > DEEPEST:
            raise BadRequest(f"the front matter is nested more than {DEEPEST} deep")
        _check_tag(event.tag)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Open(value, event.anchor, self.count))
        self._count(1)

    def _repeat(self, anchor: str) -> None:
        if anchor not in self.anchors:
            raise BadRequest(f"the front matter's alias *{anchor[:40]} stands for nothing that came before it")
        value, size = self.anchors[anchor]
        self._count(size)  # as JSON it will stand there once more
        self._add(value)

    def _count(self, more: int) -> None:
        self.count += more
        if self.count > MOST_VALUES:
            raise BadRequest(f"the front matter has more than {MOST_VALUES} values")

    def _add(self, value: Any, *, anchor: str | None = None, size: int = 1) -> None:
        inside = self.open[-1]
        if isinstance(inside.value, list):
            inside.value.append(value)
        elif not inside.wants_key:
            inside.value[inside.key], inside.key = value, None
        elif not isinstance(value, str) or value in inside.value:
            raise BadRequest(
                f"the front matter has {str(value)[:80]!r} as a name twice, or it is no name; write a word once"
            )
        else:
            inside.key = value.replace("\0", "")
        if anchor:
            self.anchors[anchor] = value, size


def _scalar(event: Any) -> Any:
    _check_tag(event.tag)
    text: str = event.value
    if event.tag or event.style:
        return text.replace("\0", "")  # a database may refuse it
    if (word := text.lower()) in WORDS:
        return WORDS[word]
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    return text


def _check_tag(tag: str | None) -> None:
    if tag not in {*TEXT_TAGS, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
        raise BadRequest(f"the front matter uses the YAML tag {str(tag)[:80]}; write plain values")
