"""The glob patterns of .gitattributes and .gitignore, matched without backtracking.

They come from strangers. git's own matcher, and libgit2's, take exponential time on `**/**/**/*a*a*b`; here a segment
is a regular expression of atomic groups, and all lengths that a `**` can take are followed at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 64 * 1024
"""Characters of rules that are read; what follows them has no effect."""
LONGEST_LINE = 1024
"""Characters of a line; a longer one has no effect, and no path is longer."""

CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9a-fA-F",
    "space": r" \t\n\r\f\v", "blank": r" \t", "punct": r"!-/:-@\[-`{-~",
}  # fmt: skip
TOKEN = re.compile(r"\\.|\*+|\?|\[[!^]?+\]?+(?:\[:\w++:\]|\\.|[^\]\\])*+\]|.", re.DOTALL)
RANGE = re.compile(r"\[:(\w+):\]|(\\.|[^\\])(?:-(\\.|[^\\]))?", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """One pattern: its segments (None stands for `**`), and whether it matches folders only."""

    segments: tuple[re.Pattern[str] | None, ...]
    folders_only: bool

    def matches(self, path: Sequence[str], *, folder: bool = False) -> bool:
        """Whether the path of these segments, seen from the rules' own folder, matches as a whole."""
        if self.folders_only and not folder:
            return False
        if len(self.segments) == 2 and self.segments[0] is None and self.segments[1]:
            return bool(self.segments[1].fullmatch(path[-1]))  # by far the most frequent: `*.bin`
        lengths = {0}  # the beginnings of the path that the pattern's beginning can match
        for segment in self.segments:
            if not lengths:
                return False
            if segment is None:
                lengths = set(range(min(lengths), len(path)))
            else:
                lengths = {at + 1 for at in lengths if at < len(path) and segment.fullmatch(path[at])}
        # `a/**` is all that lies in a, of whatever depth, and not a itself.
        return bool(lengths) if self.segments[-1] is None else len(path) in lengths


NEVER = Pattern((re.compile("(?!)"),), folders_only=False)


def read_pattern(text: str) -> Pattern:
    """Read a pattern as gitignore(5) describes it; one without a slash in it matches in every folder below."""
    text = _as_bytes(text)
    body = text.removesuffix("/")
    segments = [""] if "/" in body else ["**", ""]
    for found in TOKEN.finditer(body.removeprefix("/")):
        if found[0] == "[":
            return NEVER  # a bracket that is never closed
        if found[0] in ("/", "\\/"):
            segments.append("")
        else:
            segments[-1] += found[0]
    parts = tuple(None if re.fullmatch(r"\*\*+", segment) else _segment(segment) for segment in segments)
    return Pattern(parts, text.endswith("/"))


def _segment(glob: str) -> re.Pattern[str]:
    """Return the expression of one segment.

    Between two stars the first place that fits is as good as any later one, so the group around it is atomic: nothing
    is tried twice.
    """
    fixed = [""]
    for token in TOKEN.findall(glob):
        if token[0] == "*":
            fixed.append("")
        elif token == "?":
            fixed[-1] += "."
        elif token[0] == "[":
            fixed[-1] += _bracket(token)
        else:
            fixed[-1] += re.escape(token[-1])
    first, *middle = fixed
    last = f".*{middle.pop()}" if middle else ""
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + last, re.DOTALL)


def _bracket(token: str) -> str:
    """Return the character class for `[abc]`, `[!a-z]` or `[[:space:]]`."""
    negated = token[1] in "!^"
    inside = ""
    for name, start, stop in RANGE.findall(token[1 + negated : -1]):
        start, stop = start[-1:], stop[-1:] or start[-1:]
        if name:
            inside += CLASSES.get(name, "")
        else:
            inside += f"{re.escape(start)}-{re.escape(max(start, stop))}"
    return f"[{'^' * negated}{inside}]" if inside else "(?!)"


@lru_cache(maxsize=256)
def read_ignores(text: str) -> tuple[tuple[Pattern, bool], ...]:
    """Read a .gitignore: its patterns, and whether each ignores (or, with `!`, takes back)."""
    rules = []
    for line in _lines(text):
        line = re.sub(r"(?<!\\) +\Z", "", line)
        if line and not line.startswith("#"):
            rules.append((read_pattern(line.removeprefix("!")), not line.startswith("!")))
    return tuple(rules)


def ignored(rules: str, paths: Iterable[str]) -> set[str]:
    """Return those of the files at `paths` that the .gitignore text `rules`, standing in the root, ignores."""
    patterns = read_ignores(rules)
    return {path for path in paths if _is_ignored(patterns, _as_bytes(path).split("/"))}


def _is_ignored(patterns: Sequence[tuple[Pattern, bool]], path: Sequence[str]) -> bool:
    # What lies in an ignored folder cannot be taken back, therefore from the root down.
    for depth in range(1, len(path) + 1):
        folder = depth < len(path)
        found = (ignores for pattern, ignores in reversed(patterns) if pattern.matches(path[:depth], folder=folder))
        if next(found, False):
            return True
    return False


@lru_cache(maxsize=256)
def read_filters(text: str) -> tuple[tuple[Pattern, bool], ...]:
    """Read a .gitattributes: the patterns that say something about `filter`, and whether they say `lfs`.

    Macros (`[attr]name`) are not followed.
    """
    rules = []
    for line in _lines(text):
        quoted = re.match(r'[ \t]*"((?:[^"\\]|\\.)*)"', line)
        glob = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else line.split()[0] if line.split() else "#"
        words = line[quoted.end() :].split() if quoted else line.split()[1:]
        about = [word for word in words if re.fullmatch(r"[-!]?filter|filter=.*", word)]
        if about and not glob.startswith(("#", "!", "[attr]")):
            rules.append((read_pattern(glob), about[-1] == "filter=lfs"))
    return tuple(rules)


def has_lfs_filter(attributes: Sequence[tuple[str, str]], path: str) -> bool:
    """Whether the .gitattributes files, as (folder, text) from the root down, give `path` to git-lfs."""
    for folder, text in reversed(attributes):
        below = _as_bytes(path.removeprefix(f"{folder}/" if folder else "")).split("/")
        for pattern, lfs in reversed(read_filters(text)):
            if pattern.matches(below):
                return lfs
    return False


def _as_bytes(text: str) -> str:
    """Return text with a character for each byte of UTF-8: git matches bytes, so that two `?` match one `ä`."""
    return text.encode(errors="surrogatepass").decode("latin-1")


def _lines(text: str) -> list[str]:
    lines = text[:LONGEST].removeprefix("\ufeff").split("\n")
    return [line.removesuffix("\r") for line in lines if len(line) <= LONGEST_LINE]
