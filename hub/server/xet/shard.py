"""Shards: which chunks of which xorbs make up the files of an upload, as the client registers them.

    header        tag · version 2 · footer size; then records of 48 bytes
    file block    hash · flags · number of terms; the terms; by flag, a verification hash a term; by flag, the sha256
    xorb block    hash · number of chunks · lengths; the chunks
    footer        optional; nothing in it is used

Each of the two lists of blocks ends with a record that starts with 32 times 0xFF.

Source: https://huggingface.co/docs/xet/shard.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from medhub.server.errors import BadRequest
from medhub.server.xet.hashes import Node, file_hash, to_string, verification_hash
from medhub.server.xet.xorb import Xorb

MAX_BYTES = 64 * 1024 * 1024
MAX_BLOCKS = 1 << 17
MAX_CHUNKS = 1 << 24
"""Chunks that all terms of a shard name together, about a terabyte: the work that one shard can ask for."""

_HEADER = struct.Struct("<32sQQ")
_TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
_VERSION = 2
_FOOTER_SIZES = (0, 200)

_RECORD = 48
_BLOCK = struct.Struct("<32sII8x")
_TERM = struct.Struct("<32s4xIII")
_DIGEST = struct.Struct("<32s16x")
_END = b"\xff" * 32
_VERIFIED, _WITH_SHA256 = 1 << 31, 1 << 30


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of a file: the chunks [start, end) of a xorb, `unpacked_length` bytes of content."""

    xorb_hash: str
    unpacked_length: int
    start: int
    end: int
    verification: str | None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file: its Xet hash, and its sha256 where the client named one. Neither is checked before `check_file`."""

    hash: str
    sha256: str | None
    _terms: bytes = field(repr=False)
    _proofs: bytes | None = field(repr=False)

    @property
    def terms(self) -> Iterator[Term]:
        """The file's terms, made one at a time: a shard may hold more of them than there is memory for."""
        proofs = _DIGEST.iter_unpack(self._proofs) if self._proofs is not None else None
        for digest, length, start, end in _TERM.iter_unpack(self._terms):
            verification = to_string(next(proofs)[0]) if proofs else None
            yield Term(to_string(digest), length, start, end, verification)

    @property
    def chunks(self) -> int:
        """How many chunks the terms name together."""
        return sum(end - start for _, _, start, end in _TERM.iter_unpack(self._terms))


@dataclass(frozen=True, slots=True)
class XorbRecord:
    """A xorb that the client says it has uploaded, and its number of chunks."""

    hash: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Shard:
    """What one shard registers."""

    files: tuple[FileRecord, ...]
    xorbs: tuple[XorbRecord, ...]


def parse(data: bytes) -> Shard:
    """Parse a shard as clients upload it. Raises BadRequest where the bytes are none, or ask for too much."""
    if len(data) > MAX_BYTES:
        raise BadRequest(f"a shard has at most {MAX_BYTES} bytes, this one {len(data)}")
    if len(data) < _HEADER.size:
        raise BadRequest(f"a shard begins with a header of {_HEADER.size} bytes, this one has {len(data)} in all")
    tag, version, footer = _HEADER.unpack_from(data)
    if (tag, version) != (_TAG, _VERSION) or footer not in _FOOTER_SIZES:
        raise BadRequest(f"not a shard of version {_VERSION}: tag, version or footer size in its header differ")
    records = _Records(data)
    files = tuple(_file(head, records) for head in records.blocks())
    xorbs = tuple(_xorb(head, records) for head in records.blocks())
    if len(data) != records.position + footer:
        raise BadRequest(f"{len(data) - records.position} bytes follow the last block of the shard, not {footer}")
    chunks = sum(file.chunks for file in files)
    if chunks > MAX_CHUNKS:
        raise BadRequest(f"a shard names at most {MAX_CHUNKS} chunks, this one {chunks}; commit fewer files at once")
    return Shard(files, xorbs)


def check_file(record: FileRecord, tables: Mapping[str, Xorb]) -> int:
    """Verify a file against the chunk tables of its xorbs, and return its size in bytes.

    `tables` holds, by hash, the xorbs that the caller may use: one that is somebody else's is answered as one that is
    missing. Raises BadRequest where a term names chunks that are not there, or gives a wrong length or verification
    hash, and where the file's hash is not that of its chunks. Checking the sha256 takes the content itself.
    """
    actual = to_string(file_hash(_chunks(record, tables)))
    if actual != record.hash:
        raise BadRequest(f"the chunks named for file {record.hash} make up file {actual}")
    return sum(term.unpacked_length for term in record.terms)


def _chunks(record: FileRecord, tables: Mapping[str, Xorb]) -> Iterator[Node]:
    """Yield the file's chunks, each term's after it has been verified."""
    for term in record.terms:
        xorb = tables.get(term.xorb_hash)
        where = f"chunks {term.start} to {term.end} of xorb {term.xorb_hash}, in file {record.hash}"
        if xorb is None:
            raise BadRequest(f"{where}: no such xorb here; upload it before the shard")
        if term.end > len(xorb):
            raise BadRequest(f"{where}: the xorb has {len(xorb)} chunks")
        chunks = [(digest, length) for digest, length, _ in xorb.chunks(term.start, term.end)]
        unpacked = sum(length for _, length in chunks)
        if unpacked != term.unpacked_length:
            raise BadRequest(f"{where}: they hold {unpacked} bytes, not {term.unpacked_length}")
        if to_string(verification_hash(b"".join(digest for digest, _ in chunks))) != term.verification:
            raise BadRequest(f"{where}: the verification hash is missing or wrong")
        yield from chunks


class _Records:
    """Reads the records of a shard in order, and never past its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = _HEADER.size

    def take(self, count: int) -> bytes:
        end = self.position + count * _RECORD
        if end > len(self.data):
            raise BadRequest(f"the shard ends before the {count} records that should come next")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def blocks(self) -> Iterator[bytes]:
        """Yield the first record of each block in a list; the caller takes the others before it asks for the next."""
        count = 0
        while not (head := self.take(1)).startswith(_END):
            count += 1
            if count > MAX_BLOCKS:
                raise BadRequest(f"a shard has at most {MAX_BLOCKS} files; commit fewer at once")
            yield head


def _file(head: bytes, records: _Records) -> FileRecord:
    digest, flags, count = _BLOCK.unpack(head)
    if flags & ~(_VERIFIED | _WITH_SHA256):
        raise BadRequest(f"file {to_string(digest)} has flags {flags:#x} in the shard, of which some are unknown")
    terms = records.take(count)
    if any(start >= end for _, _, start, end in _TERM.iter_unpack(terms)):
        raise BadRequest(f"file {to_string(digest)} has a term without chunks in the shard")
    proofs = records.take(count) if flags & _VERIFIED else None
    sha256 = to_string(_DIGEST.unpack(records.take(1))[0]) if flags & _WITH_SHA256 else None
    return FileRecord(to_string(digest), sha256, terms, proofs)


def _xorb(head: bytes, records: _Records) -> XorbRecord:
    digest, _, count = _BLOCK.unpack(head)
    records.take(count)
    return XorbRecord(to_string(digest), count)
