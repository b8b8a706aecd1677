"""The folder for what can be fetched or computed again, and the two habits that keep it whole.

Whatever is put there is made in a scratch folder beside its place and renamed into it, so that a reader sees all of it
or nothing, and two processes may make the same thing at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH_PREFIX = ".scratch-"
SCRATCH_SECONDS = 24 * 60 * 60
"""A scratch folder in which nothing was written for this long belongs to a process that was killed."""


def cache_folder() -> Path:
    """Return the folder that $MEDHUB_CACHE names, or else ~/.cache/medhub; it may not exist yet."""
    return Path(os.environ.get("MEDHUB_CACHE") or "~/.cache/medhub").expanduser()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give a folder inside `parent` that is removed afterwards, and remove those that killed processes left there."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(SCRATCH_PREFIX + "*"):
        if time.time() - _last_written(left) > SCRATCH_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _last_written(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:  # its owner is removing it at this moment
        return time.time()
