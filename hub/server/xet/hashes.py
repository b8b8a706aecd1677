"""Xet's hashes: keyed BLAKE3 of a chunk, and trees of such hashes for xorbs and files.

A digest is 32 bytes inside tables. Everywhere else it is a string of 64 digits: those of four little-endian 64-bit
integers, which is not bytes.hex().

Source: https://huggingface.co/docs/xet/hashing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from blake3 import blake3

from medhub.server.errors import BadRequest

SIZE = 32
EMPTY = bytes(SIZE)
"""The hash of no chunks at all, hence of an empty file."""

_CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_VERIFICATION_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
_FILE_KEY = bytes(32)

_LITTLE_ENDIAN, _BIG_ENDIAN = struct.Struct("<4Q"), struct.Struct(">4Q")
_STRING = re.compile(r"[0-9a-f]{64}")
_MOST_CHILDREN = 9

Node = tuple[bytes, int]
"""A digest, and how many bytes of content it stands for."""


def to_string(digest: bytes) -> str:
    """Return the hash string of 32 bytes."""
    return _BIG_ENDIAN.pack(*_LITTLE_ENDIAN.unpack(digest)).hex()


def from_string(text: str) -> bytes:
    """Return the 32 bytes of a hash string. Raises BadRequest where `text` is none."""
    if not _STRING.fullmatch(text):
        raise BadRequest(f"{text[:80]!r} is no Xet hash; one has 64 digits of 0-9 and a-f")
    return _LITTLE_ENDIAN.pack(*_BIG_ENDIAN.unpack(bytes.fromhex(text)))


def chunk_hash(data: bytes | bytearray) -> bytes:
    """Return the digest of one chunk's bytes, as they stand in the file."""
    return blake3(data, key=_CHUNK_KEY).digest()


def verification_hash(digests: bytes) -> bytes:
    """Return what proves that a client knew the chunks of a term: `digests` are theirs, one after another."""
    return blake3(digests, key=_VERIFICATION_KEY).digest()


def file_hash(chunks: Iterable[Node]) -> bytes:
    """Return the digest of a file from all of its chunks, in order."""
    root = aggregated_hash(chunks)
    return root if root == EMPTY else blake3(root, key=_FILE_KEY).digest()


def aggregated_hash(nodes: Iterable[Node]) -> bytes:
    """Return the root of the hash tree over `nodes`; over the chunks of a xorb, it is the xorb's hash.

    Siblings are grouped by their digests, so that an insertion changes few groups. The tree is folded while the nodes
    arrive: what is kept is one unfinished group a level.
    """
    levels: list[list[Node]] = [[]]
    for node in nodes:
        _add(levels, 0, node)
    depth = 0
    while depth < len(levels) - 1 or len(levels[depth]) > 1:
        if levels[depth]:
            _add(levels, depth + 1, _parent(levels[depth]))
        depth += 1
    return levels[depth][0][0] if levels[depth] else EMPTY


def _add(levels: list[list[Node]], depth: int, node: Node) -> None:
    """Append a node to the open group of its level; a group that is complete becomes a node one level up."""
    if depth == len(levels):
        levels.append([])
    group = levels[depth]
    group.append(node)
    ends_group = node[0][24] % 4 == 0  # the digest's last integer, modulo the mean number of children
    if len(group) == _MOST_CHILDREN or (ends_group and len(group) > 2):
        levels[depth] = []
        _add(levels, depth + 1, _parent(group))


def _parent(children: list[Node]) -> Node:
    lines = "".join(f"{to_string(digest)} : {length}\n" for digest, length in children)
    return blake3(lines.encode("ascii"), key=_NODE_KEY).digest(), sum(length for _, length in children)
