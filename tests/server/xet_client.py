"""A Xet client in miniature: packs bytes into xorbs and describes files in shards, so that tests need no hf_xet.

Chunks are cut at fixed lengths; where a client cuts is its own affair.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import lz4.frame

from medhub.server.xet import hashes

AS_IT_IS, LZ4, GROUPED_LZ4 = range(3)
CHUNK = 65536
TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
END = b"\xff" * 32 + bytes(16)
VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30


@dataclass(frozen=True)
class Term:
    """The chunks [start, end) of a xorb, which is the list of all its chunks."""

    xorb: Sequence[bytes]
    start: int
    end: int

    @property
    def chunks(self) -> Sequence[bytes]:
        return self.xorb[self.start : self.end]


@dataclass(frozen=True)
class Upload:
    """What a client sends for some files: xorbs by hash, one shard, and the files' own hashes in order."""

    xorbs: dict[str, bytes]
    shard: bytes
    hashes: list[str]


def upload(contents: Sequence[bytes], scheme: int = AS_IT_IS) -> Upload:
    """Pack all files into one xorb, and register them in one shard."""
    split_contents = [split(content) for content in contents]
    xorb = [chunk for chunks in split_contents for chunk in chunks]
    files, start = [], 0
    for chunks in split_contents:
        files.append([Term(xorb, start, start + len(chunks))] if chunks else [])
        start += len(chunks)
    xorbs = {xorb_hash(xorb): pack_xorb(xorb, scheme)} if xorb else {}
    shard = pack_shard([pack_file(terms) for terms in files], [xorb] if xorb else [])
    return Upload(xorbs, shard, [file_hash(terms) for terms in files])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def split(content: bytes, size: int = CHUNK) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def nodes(chunks: Iterable[bytes]) -> list[hashes.Node]:
    return [(hashes.chunk_hash(chunk), len(chunk)) for chunk in chunks]


def xorb_hash(chunks: Iterable[bytes]) -> str:
    return hashes.to_string(hashes.aggregated_hash(nodes(chunks)))


def file_hash(terms: Iterable[Term]) -> str:
    return hashes.to_string(hashes.file_hash(nodes(chunk for term in terms for chunk in term.chunks)))


def pack_xorb(chunks: Iterable[bytes], scheme: int = AS_IT_IS) -> bytes:
    return b"".join(pack_chunk(chunk, scheme) for chunk in chunks)


def pack_chunk(chunk: bytes, scheme: int = AS_IT_IS) -> bytes:
    return frame_chunk(_payload(chunk, scheme), scheme, len(chunk))


def frame_chunk(payload: bytes, scheme: int, length: int, *, version: int = 0) -> bytes:
    """Put a header before a payload, whatever either says."""
    packed = len(payload).to_bytes(3, "little")
    return bytes([version]) + packed + bytes([scheme]) + length.to_bytes(3, "little") + payload


def _payload(chunk: bytes, scheme: int) -> bytes:
    if scheme == AS_IT_IS:
        return chunk
    data = b"".join(chunk[position::4] for position in range(4)) if scheme == GROUPED_LZ4 else chunk
    return lz4.frame.compress(data, store_size=False)


def pack_shard(files: Iterable[bytes], xorbs: Iterable[Sequence[bytes]] = (), *, footer: bytes = b"") -> bytes:
    """Join file blocks, as `pack_file` makes them, and the blocks of new xorbs."""
    header = struct.pack("<32sQQ", TAG, 2, len(footer))
    return header + b"".join(files) + END + b"".join(map(pack_xorb_block, xorbs)) + END + footer


def pack_file(terms: Sequence[Term], flags: int = VERIFIED | WITH_SHA256) -> bytes:
    """Describe one file: its terms and, by `flags`, their verification hashes and the file's sha256."""
    block = struct.pack("<32sIIQ", hashes.from_string(file_hash(terms)), flags, len(terms), 0)
    block += b"".join(pack_term(term) for term in terms)
    if flags & VERIFIED:
        block += b"".join(hashes.verification_hash(_digests(term.chunks)) + bytes(16) for term in terms)
    if flags & WITH_SHA256:
        content = b"".join(chunk for term in terms for chunk in term.chunks)
        block += hashes.from_string(sha256(content)) + bytes(16)
    return block


def pack_term(term: Term) -> bytes:
    unpacked = sum(map(len, term.chunks))
    return struct.pack("<32sIIII", hashes.from_string(xorb_hash(term.xorb)), 0, unpacked, term.start, term.end)


def pack_xorb_block(chunks: Sequence[bytes]) -> bytes:
    size = sum(map(len, chunks))
    block, start = struct.pack("<32sIIII", hashes.from_string(xorb_hash(chunks)), 0, len(chunks), size, size), 0
    for digest, length in nodes(chunks):
        block += struct.pack("<32sIIII", digest, start, length, 0, 0)
        start += length
    return block


def _digests(chunks: Iterable[bytes]) -> bytes:
    return b"".join(digest for digest, _ in nodes(chunks))
