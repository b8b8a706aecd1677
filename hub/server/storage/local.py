"""Blobs as files of one folder: written under tmp/, made durable, then linked to their key's place."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from medhub.server.errors import OutOfSpace
from medhub.server.storage.disk import room, sync_folder

KEY = re.compile(r"(?!tmp(/|\Z))[a-z0-9]+(/[a-z0-9]+)*")


class LocalUpload:
    """A temporary file that becomes a blob; see medhub.server.storage.blobs.Upload."""

    def __init__(self, root: Path) -> None:
        self.size = 0
        self._root = root
        self._file, name = tempfile.mkstemp(dir=root / "tmp")
        self._path = Path(name)

    def write(self, data: bytes) -> None:
        """Append bytes. Raises OutOfSpace, and drops what was written, where the disk is full."""
        rest = memoryview(data)
        with self._writing():
            while rest:
                rest = rest[os.write(self._file, rest) :]
        self.size += len(data)

    def path(self) -> Path:
        """Return the file holding what was written so far."""
        return self._path

    def commit(self, key: str) -> bool:
        """Make the bytes durable under `key`, atomically; return whether they are new. An existing blob is kept."""
        target = _place(self._root, key)
        with self._writing():
            os.fsync(self._file)
            _make_folder(target.parent)
            try:
                os.link(self._path, target)
                new = True
            except FileExistsError:
                new = False
            # The link of another process may not be durable yet, therefore in both cases.
            sync_folder(target.parent)
        self.discard()
        return new

    def discard(self) -> None:
        """Drop what was written; does nothing after a commit."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._path.unlink(missing_ok=True)

    def __del__(self) -> None:
        self.discard()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with room(self._root):
                yield
        except OutOfSpace:
            self.discard()
            raise


class LocalBlobs:
    """The blob store on a local disk; see medhub.server.storage.blobs.Blobs. Keys are of [a-z0-9/], `tmp/` is taken."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        (self._root / "tmp").mkdir(parents=True, exist_ok=True)

    def upload(self) -> LocalUpload:
        """Begin an upload; a process that dies leaves a temporary file only, which `sweep` removes."""
        return LocalUpload(self._root)

    def size(self, key: str) -> int | None:
        """Return the size in bytes, or None where there is no such blob."""
        try:
            return _place(self._root, key).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int = 0, stop: int | None = None, *, piece: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes [start, stop) in pieces. Raises KeyError where there is no such blob."""
        size = self.size(key)
        if size is None:
            raise KeyError(key)
        return self._pieces(key, start, size if stop is None else min(stop, size), piece)

    def _pieces(self, key: str, start: int, stop: int, piece: int) -> Iterator[bytes]:
        try:
            file = os.open(_place(self._root, key), os.O_RDONLY)
        except FileNotFoundError:
            raise KeyError(key) from None
        try:
            while start < stop and (data := os.pread(file, min(piece, stop - start), start)):
                start += len(data)
                yield data
        finally:
            os.close(file)

    def delete(self, key: str) -> None:
        """Remove a blob; a missing one is no error."""
        _place(self._root, key).unlink(missing_ok=True)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with `prefix`, in no order."""
        folder = prefix.rpartition("/")[0]
        for path, folders, files in os.walk(_place(self._root, folder) if folder else self._root):
            below = Path(path).relative_to(self._root).as_posix()
            if below == ".":
                folders.remove("tmp")
            keys = (name if below == "." else f"{below}/{name}" for name in files)
            yield from (key for key in keys if key.startswith(prefix))

    def sweep(self, older_than: float) -> int:
        """Remove temporary files untouched for `older_than` seconds; return how many."""
        limit = time.time() - older_than
        removed = 0
        for file in os.scandir(self._root / "tmp"):
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime <= limit:
                    os.unlink(file)
                    removed += 1
        return removed


def _place(root: Path, key: str) -> Path:
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no blob key: it takes a-z, 0-9 and /")
    return root / key


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each durable: a power cut could lose a new folder with all that is in it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
