"""The blob store's interface: immutable bytes under keys such as `lfs/ab/cd/<sha256>` and `xorb/ab/<hash>`.

LocalBlobs keeps them as files. Another store (S3, a mounted share) is another class with these methods; no other module
knows where a blob lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Upload(Protocol):
    """Bytes on their way in: write them, then `commit` under a key or `discard`. A temporary file until then."""

    size: int

    def write(self, data: bytes) -> None:
        """Append bytes. Raises OutOfSpace where the disk is full."""

    def path(self) -> Path:
        """Flush, and return a local file holding what was written so far, for checking it before the commit."""

    def commit(self, key: str) -> bool:
        """Make the bytes durable under `key`, atomically; return whether they are new. An existing blob is kept."""

    def discard(self) -> None:
        """Drop what was written; does nothing after a commit."""


class Blobs(Protocol):
    """A store of immutable blobs. Every method may be called from any thread and any process."""

    def upload(self) -> Upload:
        """Begin an upload; a process that dies leaves a temporary file only, which `sweep` removes."""

    def size(self, key: str) -> int | None:
        """Return the size in bytes, or None where there is no such blob."""

    def read(self, key: str, start: int = 0, stop: int | None = None, *, piece: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes [start, stop) in pieces. Raises KeyError before the first where there is no such blob."""

    def delete(self, key: str) -> None:
        """Remove a blob; a missing one is no error."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with `prefix`, in no order."""

    def sweep(self, older_than: float) -> int:
        """Remove temporary files untouched for `older_than` seconds; return how many."""
