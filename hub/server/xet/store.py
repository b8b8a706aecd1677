"""Xorbs in the blob store, and the files that lie in them: their bytes, or how a client puts them together.

A blob is a xorb as it came, its chunk table, and eight bytes that tell where the table begins. Two uploads of one xorb
may be packed differently; in one blob, bytes and table cannot belong to different ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from medhub.server.errors import BadRequest, Refusal
from medhub.server.storage.blobs import Upload
from medhub.server.tables import Content
from medhub.server.xet.hashes import chunk_hash
from medhub.server.xet.xorb import Xorb, decode

if TYPE_CHECKING:
    from medhub.server.hub import Hub

PIECE = 2 << 20
"""Bytes that are decoded at once, packed as well as unpacked, unless one chunk is larger."""
KEPT_TABLES = 16
"""Chunk tables that one reader remembers, of 320 KiB at most each; terms come back to the same few xorbs."""
_TABLE_START = struct.Struct("<Q")


class Damaged(Refusal):
    """Bytes in the store are not what was stored."""

    status = 500


def xorb_key(name: str) -> str:
    """Return where the blob store keeps a xorb."""
    return f"xorb/{name[:2]}/{name[2:4]}/{name}"


def blob_keys(name: str) -> list[str]:
    """Return the keys of all blobs that a xorb consists of."""
    return [xorb_key(name)]


def keep_xorb(upload: Upload, xorb: Xorb) -> None:
    """Make an upload, which holds the verified bytes of `xorb`, durable; what is there already stays."""
    upload.write(xorb.table + _TABLE_START.pack(upload.size))
    upload.commit(xorb_key(xorb.hash))


def open_xorb(hub: Hub, name: str) -> Xorb:
    """Return a xorb's chunk table. Raises KeyError where the store has no such xorb, Damaged where it is spoilt."""
    key = xorb_key(name)
    size = hub.blobs.size(key)
    if size is None:
        raise KeyError(name)
    end = size - _TABLE_START.size
    try:
        (start,) = _TABLE_START.unpack(_read(hub, key, max(end, 0), size))
        return Xorb(name, _read(hub, key, min(start, end), end))
    except (ValueError, struct.error) as error:
        raise Damaged(f"the chunk table of xorb {name} is damaged; restore it from a backup") from error


def read_file(hub: Hub, content: Content, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes [start, stop) of a file that lies in xorbs, decoding only the chunks that hold them.

    Every chunk is hashed again. Raises KeyError for a xorb that the store lost, Damaged for one that changed there.
    """
    for stretch in _stretches(hub, content, start, stop):
        position = stretch.position
        for first, end in _portions(stretch):
            data = _decode(hub, stretch.xorb, first, end)
            yield data[max(0, start - position) : stop - position]
            position += len(data)


Term = tuple[str, int, int, int]
"""A stretch of a file: xorb, first chunk, end chunk, and its bytes unpacked."""
Fetch = tuple[int, int, int, int]
"""Chunks of a xorb that are fetched together: first, end, and the bytes [begin, stop) of the xorb that hold them."""


@dataclass(frozen=True)
class Reconstruction:
    """How to put a range of a file together: the terms in their order, and what to fetch of each xorb.

    The range begins `offset` bytes into the first term. The fetches of one xorb never overlap; clients rely on it.
    """

    offset: int
    terms: list[Term]
    fetches: dict[str, list[Fetch]]


def reconstruct(hub: Hub, content: Content, start: int, stop: int) -> Reconstruction:
    """Return how to put the bytes [start, stop) of a file together. Raises as `read_file` does."""
    offset = 0
    terms: list[Term] = []
    fetches: dict[str, list[Fetch]] = {}
    for stretch in _stretches(hub, content, start, stop):
        name, chunks = stretch.xorb.hash, (stretch.first, stretch.end)
        if not terms:
            offset = start - stretch.position
        terms.append((name, *chunks, stretch.length))
        fetches.setdefault(name, []).append((*chunks, *stretch.xorb.byte_range(*chunks)))
    return Reconstruction(offset, terms, {name: _merged(found) for name, found in fetches.items()})


@dataclass(frozen=True)
class _Stretch:
    """The chunks [first, end) of a xorb: `length` bytes of a file, from `position` on."""

    xorb: Xorb
    first: int
    end: int
    position: int
    length: int


def _stretches(hub: Hub, content: Content, start: int, stop: int) -> Iterator[_Stretch]:
    """Yield the parts of a file's terms whose chunks hold the bytes [start, stop)."""
    table = lru_cache(KEPT_TABLES)(partial(open_xorb, hub))
    position = 0
    for name, first, end, length in content.terms:
        if position >= stop:
            return
        if start < position + length:
            yield _trimmed(_Stretch(table(name), first, end, position, length), start, stop)
        position += length


def _trimmed(stretch: _Stretch, start: int, stop: int) -> _Stretch:
    """Leave out the chunks of a stretch that end before `start` or begin at `stop` or behind it."""
    first, end, begin = stretch.first, stretch.first, stretch.position
    position = begin
    for _, length, _ in stretch.xorb.chunks(stretch.first, stretch.end):
        if position >= stop:
            break
        end, position = end + 1, position + length
        if position <= start:
            first, begin = end, position
    return _Stretch(stretch.xorb, first, end, begin, position - begin)


def _portions(stretch: _Stretch) -> Iterator[tuple[int, int]]:
    """Split the chunks of a stretch into runs [first, end) that are decoded at once."""
    first, unpacked = stretch.first, 0
    begin = last = stretch.xorb.byte_range(stretch.first, stretch.end)[0]
    for index, (_, length, end) in enumerate(stretch.xorb.chunks(stretch.first, stretch.end), stretch.first):
        if index > first and (unpacked + length > PIECE or end - begin > PIECE):
            yield first, index
            first, unpacked, begin = index, 0, last
        unpacked, last = unpacked + length, end
    yield first, stretch.end


def _decode(hub: Hub, xorb: Xorb, first: int, end: int) -> bytes:
    """Return the content of the chunks [first, end), each of which is what was stored."""
    try:
        data = decode(_read(hub, xorb_key(xorb.hash), *xorb.byte_range(first, end)))
    except BadRequest as error:  # said of an upload that is the client's fault, here it is the store's
        raise Damaged(f"xorb {xorb.hash} is damaged; restore it from a backup") from error
    position = 0
    for digest, length, _ in xorb.chunks(first, end):
        if chunk_hash(data[position : position + length]) != digest:
            break
        position += length
    if position != len(data):
        raise Damaged(f"xorb {xorb.hash} is damaged; restore it from a backup")
    return data


def _merged(fetches: Iterable[Fetch]) -> list[Fetch]:
    merged: list[Fetch] = []
    for first, end, begin, stop in sorted(fetches):
        if merged and first <= merged[-1][1]:
            before = merged.pop()
            first, begin = before[0], before[2]
            end, stop = max(end, before[1]), max(stop, before[3])
        merged.append((first, end, begin, stop))
    return merged


def _read(hub: Hub, key: str, start: int, stop: int) -> bytes:
    return b"".join(hub.blobs.read(key, start, stop, piece=max(1, stop - start)))
