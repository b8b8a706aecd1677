"""What is asked of the disk: that names stay, and that a full one is told from a broken one."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pygit2

from medhub.server.errors import OutOfSpace

ROOM = 32 << 20
"""Bytes; a disk with less room than this counts as full where a write failed."""


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Turn failures of writes below `folder` into OutOfSpace where its disk is full."""
    try:
        yield
    except (OSError, pygit2.GitError, subprocess.CalledProcessError) as error:
        if _is_full(error) or _lacks_room(folder):
            raise OutOfSpace("the Hub's disk is full; nothing was changed; ask its operator for room") from error
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make a folder durable with all that is in it."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _lacks_room(folder: Path) -> bool:
    """Try to take some room: neither libgit2 nor git's exit status says why a write failed."""
    try:
        with TemporaryFile(dir=folder) as probe:
            os.posix_fallocate(probe.fileno(), 0, ROOM)
    except OSError as error:
        return _is_full(error)
    return False
