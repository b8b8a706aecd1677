"""Long sequences in pieces: which windows are read, and which of their positions are answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of one sequence of a batch: read from `start` to `stop`, answered from `first` to `last`."""

    row: int
    start: int
    stop: int
    first: int
    last: int

    @property
    def length(self) -> int:
        """How many positions are read."""
        return self.stop - self.start


def cut_windows(lengths: Sequence[int], *, size: int, context: int) -> list[Window]:
    """Return windows of at most `size` positions that answer each position of each sequence once.

    Where a window begins or ends inside its sequence, the outer `context` positions are answered by its neighbour, but
    for those that the last window, which ends with the sequence, has over.
    """
    windows = []
    for row, length in enumerate(lengths):
        starts = [*range(0, max(length - size, 0), size - 2 * context), max(length - size, 0)]
        borders = [0, *(start + context for start in starts[1:]), length]
        windows += [
            Window(row=row, start=start, stop=min(start + size, length), first=borders[i], last=borders[i + 1])
            for i, start in enumerate(starts)
        ]
    return windows


def share_out(windows: Sequence[Window], *, letters: int) -> Iterator[list[Window]]:
    """Yield windows of like length together, as many as make up at most `letters` positions with their padding."""
    group: list[Window] = []
    for window in sorted(windows, key=lambda window: window.length):
        if group and (len(group) + 1) * window.length > letters:
            yield group
            group = []
        group.append(window)
    if group:
        yield group
