"""Xorbs: up to 8,192 chunks of one or more files, packed one after another into one upload.

    chunk    version 0 · packed length (3 bytes) · scheme · length (3 bytes) · packed bytes
    scheme   0 as it is · 1 an LZ4 frame · 2 its bytes grouped by position in four, then an LZ4 frame
    footer   optional, begins with XETBLOB; nothing in it is used

The hash of a xorb covers what its chunks unpack to, not how they are packed: two valid uploads of one xorb may differ,
and a chunk table belongs to the very bytes that it was read from.

Source: https://huggingface.co/docs/xet/xorb; the limits are those of the reference client, which reads nothing larger.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame

from medhub.server.errors import BadRequest
from medhub.server.xet.hashes import Node, aggregated_hash, chunk_hash, to_string

MAX_CHUNKS = 8192
MAX_CHUNK = 128 * 1024
"""Bytes of content in one chunk."""
MAX_PACKED = 2 * MAX_CHUNK

_HEADER = 8
_FOOTER = b"XETBLOB"
_FOOTER_FIXED, _FOOTER_PER_CHUNK = 96, 40
_AS_IT_IS, _LZ4, _GROUPED_LZ4 = range(3)
_ROW = struct.Struct("<32sII")

Chunk = tuple[bytes, int, int]
"""A row of the chunk table: digest, length unpacked, and where the chunk ends in the xorb."""


@dataclass(frozen=True)
class Xorb:
    """A xorb's hash, and its chunk table: 40 bytes a chunk, which are also the form to keep it in.

    Raises ValueError where `table` is none.
    """

    hash: str
    table: bytes

    def __post_init__(self) -> None:
        if not self.table or len(self.table) % _ROW.size:
            raise ValueError(f"a chunk table has {_ROW.size} bytes for each chunk, this one {len(self.table)} in all")
        last = 0
        for _, length, end in self.chunks():
            if not (0 < length <= MAX_CHUNK and _HEADER < end - last <= _HEADER + MAX_PACKED):
                raise ValueError(f"the chunk table of xorb {self.hash} is damaged")
            last = end

    def __len__(self) -> int:
        return len(self.table) // _ROW.size

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
        """Return the rows of the chunks [start, stop)."""
        rows = memoryview(self.table)[start * _ROW.size : None if stop is None else stop * _ROW.size]
        return _ROW.iter_unpack(rows)

    def byte_range(self, start: int, stop: int) -> tuple[int, int]:
        """Return where the chunks [start, stop) stand in the xorb, end exclusive."""
        first = self._end(start - 1) if start else 0
        return first, self._end(stop - 1)

    def _end(self, index: int) -> int:
        return _ROW.unpack_from(self.table, index * _ROW.size)[2]


def inspect(path: Path) -> Xorb:
    """Verify the xorb in a file, as `read` does."""
    with open(path, "rb") as file:
        return read(file)


def read(file: BinaryIO) -> Xorb:
    """Unpack and hash every chunk of a xorb, one in memory at a time; what the hash should be is the caller's to know.

    Raises BadRequest where the bytes are no xorb: an unknown version or scheme, a length over the limits, a chunk that
    unpacks to more or less than it says, no chunk or too many, or anything but a footer behind the last.
    """
    table, end = bytearray(), 0
    nodes: list[Node] = []
    for packed, data in _unpack(file):
        if len(nodes) == MAX_CHUNKS:
            raise BadRequest(f"a xorb has at most {MAX_CHUNKS} chunks, this one has more")
        digest, end = chunk_hash(data), end + packed
        nodes.append((digest, len(data)))
        table += _ROW.pack(digest, len(data), end)
    if not nodes:
        raise BadRequest("the xorb has no chunks")
    footer = file.seek(0, io.SEEK_END) - end
    if footer > _FOOTER_FIXED + _FOOTER_PER_CHUNK * len(nodes):
        raise BadRequest(f"a footer of {footer} bytes is too long for a xorb of {len(nodes)} chunks")
    return Xorb(to_string(aggregated_hash(nodes)), bytes(table))


def decode(packed: bytes) -> bytes:
    """Return the content of whole chunks that stand one after another in a xorb; see Xorb.byte_range.

    It is all in memory at once, and may be 255 times as long as `packed`: the chunk table tells beforehand. Raises
    BadRequest where the bytes are no chunks.
    """
    return b"".join(data for _, data in _unpack(io.BytesIO(packed)))


def _unpack(file: BinaryIO) -> Iterator[tuple[int, bytes | bytearray]]:
    """Yield each chunk's length in the file, header included, and its content, up to the file's end or a footer."""
    context = lz4.frame.create_decompression_context()
    index = 0
    while header := file.read(_HEADER):
        if header.startswith(_FOOTER):
            return
        scheme, packed, length = _parse_header(header, index)
        payload = file.read(packed)
        if len(payload) < packed:
            raise BadRequest(f"chunk {index} of the xorb has {packed} bytes by its header, and {len(payload)} follow")
        yield _HEADER + packed, _unpack_payload(payload, scheme, length, index, context)
        index += 1


def _parse_header(header: bytes, index: int) -> tuple[int, int, int]:
    """Return scheme, packed length and length of a chunk, each within its limits."""
    if len(header) < _HEADER:
        raise BadRequest(f"{len(header)} bytes behind chunk {index} of the xorb are neither a chunk nor a footer")
    version, scheme = header[0], header[4]
    packed, length = int.from_bytes(header[1:4], "little"), int.from_bytes(header[5:8], "little")
    if version != 0:
        raise BadRequest(f"chunk {index} of the xorb has version {version}; only version 0 is known")
    if scheme not in (_AS_IT_IS, _LZ4, _GROUPED_LZ4):
        raise BadRequest(f"chunk {index} of the xorb has compression scheme {scheme}; only 0, 1 and 2 are known")
    if not 0 < length <= MAX_CHUNK:
        raise BadRequest(f"chunk {index} of the xorb has a length of {length} bytes; allowed are 1 to {MAX_CHUNK}")
    if packed > MAX_PACKED:
        raise BadRequest(f"chunk {index} of the xorb is packed into {packed} bytes; allowed are {MAX_PACKED}")
    return scheme, packed, length


def _unpack_payload(payload: bytes, scheme: int, length: int, index: int, context: Any) -> bytes | bytearray:
    """Return a chunk's content, never expanding more than `length` bytes of it."""
    if scheme == _AS_IT_IS:
        data, complete = payload, True
    else:
        try:
            data, used, ended = lz4.frame.decompress_chunk(context, payload, max_length=length)
        except RuntimeError as error:
            raise BadRequest(f"chunk {index} of the xorb is no LZ4 frame: {error}") from None
        complete = ended and used == len(payload)
    if not complete or len(data) != length:
        raise BadRequest(f"chunk {index} of the xorb does not unpack to the {length} bytes that its header names")
    return _ungroup(data) if scheme == _GROUPED_LZ4 else data


def _ungroup(planes: bytes) -> bytearray:
    """Undo byte grouping: `planes` are bytes 0, 4, 8, ..., then bytes 1, 5, 9, ..., and so on."""
    data = bytearray(len(planes))
    start = 0
    for position in range(4):
        count = len(range(position, len(planes), 4))
        data[position::4] = planes[start : start + count]
        start += count
    return data
