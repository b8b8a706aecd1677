"""Many blobs at once: one pack, durable with one flush, where as many loose objects would wait for the disk each."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pygit2

from medhub.server.storage.process import command, environment

HEADER = struct.Struct(">4sII")
BLOB = 3


@contextmanager
def packing(folder: Path) -> Iterator[Callable[[bytes], pygit2.Oid]]:
    """Yield a function that writes a blob and returns its id; on leaving, all are in the repository in `folder`.

    Format: gitformat-pack(5). Raises CalledProcessError where git does not take the pack.
    """
    oids: set[pygit2.Oid] = set()
    with TemporaryFile(dir=folder) as file:
        file.write(HEADER.pack(b"PACK", 2, 0))

        def add(data: bytes) -> pygit2.Oid:
            oid = pygit2.hash(data)
            if oid not in oids:
                oids.add(oid)
                file.write(_object_header(len(data)) + zlib.compress(data, 1))
            return oid

        yield add
        if oids:
            file.seek(0)
            file.write(HEADER.pack(b"PACK", 2, len(oids)))
            file.seek(0)
            file.write(hashlib.file_digest(file, "sha1").digest())
            file.seek(0)
            line = command("--git-dir", folder, "index-pack", "--stdin")
            subprocess.run(line, stdin=file, capture_output=True, check=True, env=environment())


def _object_header(size: int) -> bytes:
    """Return a blob's kind and size: four bits of the size, then seven a byte, the lowest first."""
    header, size = bytearray([BLOB << 4 | size & 15]), size >> 4
    while size:
        header[-1] |= 0x80
        header.append(size & 0x7F)
        size >>= 7
    return bytes(header)
