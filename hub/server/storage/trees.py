"""Reading trees: entries with their real sizes, pages of a folder, and the git-lfs pointers among the files."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import pygit2
from pygit2.enums import FileMode, ObjectType

from medhub.server.errors import BadRequest

LONGEST_POINTER = 1024
"""Bytes; what is longer is no pointer (git-lfs specification)."""

POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n"
    rb"(?:ext-\d-\S+ sha256:[0-9a-f]{64}\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (0|[1-9]\d{0,17})\n?"
)
RAW_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)


@dataclass(frozen=True)
class Pointer:
    """What a git-lfs pointer says: the object's sha256 and size in bytes; `pointer_size` is the pointer's own size."""

    sha256: str
    size: int
    pointer_size: int


@dataclass(frozen=True)
class Entry:
    """A file or folder: `oid` is git's, `size` the real one (of the LFS object behind a pointer; 0 for folders)."""

    path: str
    kind: Literal["file", "directory"]
    oid: str
    size: int
    lfs: Pointer | None = None


RawEntry = tuple[bytes, bytes, bytes]
"""An entry as it stands in a tree object: mode in octal digits, name, object id in 20 bytes."""

FOLDER_MODES = (b"40000", b"040000")
SUBMODULE_MODE = b"160000"


def write_pointer(sha256: str, size: int) -> bytes:
    """Return the text of a git-lfs pointer."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def read_pointer(data: bytes) -> Pointer | None:
    """Return what a pointer says, or None where `data` is none."""
    found = POINTER.fullmatch(data) if len(data) <= LONGEST_POINTER else None
    return Pointer(found[1].decode(), int(found[2]), len(data)) if found else None


def find_pointer(odb: pygit2.Odb, oid: pygit2.Oid) -> tuple[int, Pointer | None]:
    """Return a blob's own size in bytes, and what it says where it is a pointer; a large blob is not read."""
    size = odb.read_header(oid)[1]
    return size, read_pointer(odb.read(oid)[1]) if size <= LONGEST_POINTER else None


def raw_entries(odb: pygit2.Odb, oid: bytes) -> list[RawEntry]:
    """Return a tree's own entries; for walking many trees this is some times faster than tree objects."""
    kind, data = odb.read(pygit2.Oid(raw=oid))
    if kind != ObjectType.TREE:
        raise KeyError(oid.hex())
    return RAW_ENTRY.findall(data)


def find_object(tree: pygit2.Tree, path: str) -> pygit2.Object | None:
    """Return the tree or blob at `path`, or None; submodules are not seen."""
    if "\0" in path or not all(path.split("/")):
        return None
    try:
        found = tree[path]
    except (KeyError, ValueError):
        return None
    return None if found.filemode == FileMode.COMMIT else found


def make_entry(odb: pygit2.Odb, path: str, found: pygit2.Object) -> Entry:
    """Return the entry for a tree's item."""
    if isinstance(found, pygit2.Tree):
        return Entry(path, "directory", str(found.id), 0)
    size, pointer = find_pointer(odb, found.id)
    return Entry(path, "file", str(found.id), pointer.size if pointer else size, pointer)


def list_tree(
    odb: pygit2.Odb, tree: pygit2.Tree, path: str, *, recursive: bool, after: str | None, limit: int | None
) -> Iterator[Entry]:
    """Yield the entries of the folder `tree`, which lies at `path`, in git's order; those behind the path `after`.

    Costs what the page costs, not what lies before it. Raises BadRequest where `after` is no path of this folder.
    """
    prefix = f"{path}/" if path else ""
    seen = () if after is None else after.removeprefix(prefix).split("/")
    for found_path, found in islice(_walk(tree, prefix, seen, recursive), limit):
        yield make_entry(odb, found_path, found)


def _walk(tree: pygit2.Tree, prefix: str, seen: Sequence[str], recursive: bool) -> Iterator[tuple[str, pygit2.Object]]:
    start = _position(tree, seen[0]) if seen else 0
    for index in range(start, len(tree)):
        found = tree[index]
        path = f"{prefix}{found.name}"
        resumes = bool(seen) and index == start
        if not resumes and found.filemode != FileMode.COMMIT:
            yield path, found
        if recursive and isinstance(found, pygit2.Tree):
            yield from _walk(found, path + "/", seen[1:] if resumes else (), recursive)


def _position(tree: pygit2.Tree, name: str) -> int:
    """Return where `name` stands in the tree. git sorts a folder as if its name ended with a slash."""
    found = find_object(tree, name)
    if found is None:
        raise BadRequest(f"the cursor names {name!a}, which is not there; start again without a cursor")

    def key(entry: pygit2.Object) -> bytes:
        return f"{entry.name}{'/' * isinstance(entry, pygit2.Tree)}".encode()

    return bisect_left(range(len(tree)), key(found), key=lambda index: key(tree[index]))
