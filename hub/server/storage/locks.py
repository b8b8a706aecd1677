"""One writer at a time for a repository, among all threads and processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "writer"
"""The file in a repository's folder that is locked; it goes with the repository."""


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the repository in `folder` for writing; yield the locked descriptor. Raises KeyError where it is gone.

    A child process that inherits the descriptor holds the lock until it ends, whatever becomes of this process.
    """
    try:
        descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise KeyError(folder.stem) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not _is_same(descriptor, folder / FILE):
            raise KeyError(folder.stem)  # deleted while this call waited
        _remove_leftovers(folder)
        yield descriptor
    finally:
        # Closing alone would leave the lock with a process forked meanwhile.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_leftovers(folder: Path) -> None:
    """Remove git's own lock files: every writer holds ours, so they are of one that was killed."""
    places = [(str(folder), [], os.listdir(folder)), *os.walk(folder / "refs")]
    for place, _, names in places:
        for name in names:
            if name.endswith(".lock"):
                os.unlink(os.path.join(place, name))
