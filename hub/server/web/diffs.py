"""A unified diff, as git writes it, taken apart for a page."""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST = 3000
"""Lines that a page shows."""
KINDS = {"+": "added", "-": "removed", "@": "place", " ": "same"}


@dataclass
class FileDiff:
    """What changed in one file: each line with its kind, "added", "removed", "same", "place" or "note"."""

    path: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    added: int = 0
    removed: int = 0


def split_diff(text: str) -> list[FileDiff]:
    """Return the files of a diff; behind LONGEST lines they are counted, and not shown."""
    files: list[FileDiff] = []
    shown = 0
    inside = False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            files.append(FileDiff(line.rpartition(" b/")[2]))
            inside = False
        elif not files:
            continue
        elif line.startswith("@@"):
            inside = True
        elif not inside and line.startswith(("index ", "--- ", "+++ ")):
            continue
        kind = KINDS.get(line[:1], "note") if inside else "note"
        file = files[-1]
        file.added += kind == "added"
        file.removed += kind == "removed"
        shown += 1
        if line and not line.startswith("diff --git ") and shown <= LONGEST:
            file.lines.append((kind, line))
    return files
