"""What a commit changes, and the tree that comes of it: only the touched folders are read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from medhub.server.errors import BadRequest, Conflict, EntryNotFound
from medhub.server.storage.packs import packing
from medhub.server.storage.paths import check_path
from medhub.server.storage.trees import write_pointer

MOST_CHANGES = 100_000
"""Changes in one commit; they are kept in memory, without their contents."""

MOST_LOOSE = 32
"""Changes whose blobs are written one by one; those of the others go into a pack together."""


@dataclass(frozen=True)
class Put:
    """A regular file with this content."""

    path: str
    data: bytes


@dataclass(frozen=True)
class PutPointer:
    """A file in large file storage: what is written is a git-lfs pointer."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Delete:
    """A file that goes."""

    path: str


@dataclass(frozen=True)
class DeleteFolder:
    """A folder that goes with all that is in it; a slash at the end of the path is allowed."""

    path: str


@dataclass(frozen=True)
class Author:
    """Who commits, merges or tags."""

    name: str
    email: str


Change = Put | PutPointer | Delete | DeleteFolder


@dataclass(frozen=True)
class Written:
    """A Put or PutPointer whose blob is in the repository."""

    path: str
    blob: pygit2.Oid


def write_blobs(repository: pygit2.Repository, changes: Iterable[Change]) -> list[Written | Delete | DeleteFolder]:
    """Write each file's blob as it comes, so that one content at a time is in memory. Raises BadRequest."""
    edits: list[Written | Delete | DeleteFolder] = []
    with packing(Path(repository.path)) as pack_blob:
        for count, change in enumerate(changes):
            if count >= MOST_CHANGES:
                raise BadRequest(f"a commit holds {MOST_CHANGES} changes at most; send several")
            check_path(change.path.removesuffix("/") if isinstance(change, DeleteFolder) else change.path)
            if isinstance(change, Delete | DeleteFolder):
                edits.append(change)
                continue
            data = change.data if isinstance(change, Put) else write_pointer(change.sha256, change.size)
            blob = repository.create_blob(data) if count < MOST_LOOSE else pack_blob(data)
            edits.append(Written(change.path, blob))
    return edits


def change_tree(
    repository: pygit2.Repository, tree: pygit2.Tree | None, edits: Iterable[Written | Delete | DeleteFolder]
) -> pygit2.Oid:
    """Write the tree that comes of `edits`, in their order. Raises EntryNotFound, BadRequest, Conflict."""
    root = Folder(repository, tree)
    for edit in edits:
        if isinstance(edit, Written):
            root.put(edit.path, edit.blob)
        else:
            root.delete(edit.path.removesuffix("/"), folder=isinstance(edit, DeleteFolder))
    return root.write()


def write_commit(
    repository: pygit2.Repository,
    tree: pygit2.Oid,
    parents: list[pygit2.Oid],
    *,
    author: Author,
    message: str,
    when: datetime | None = None,
) -> pygit2.Oid:
    """Write a commit, which no ref points at yet, and return its id."""
    by = signature(author, when)
    return repository.create_commit(None, by, by, text(message), tree, parents)


def signature(author: Author, when: datetime | None = None) -> pygit2.Signature:
    """Return who and when in git's form: without angle brackets and control characters, the time in UTC."""
    name, email = (re.sub(r"[<>\0-\x1f]", "", text(part)).strip() or "unknown" for part in (author.name, author.email))
    return pygit2.Signature(name, email, int((when or datetime.now(UTC)).timestamp()), 0)


def text(message: str) -> str:
    """Return a message as git can hold it: UTF-8 without NUL."""
    return message.encode(errors="replace").decode().replace("\0", "")


class Folder:
    """A folder under change: its builder, and those of its folders that were touched; only the root is ever empty."""

    def __init__(self, repository: pygit2.Repository, tree: pygit2.Tree | None = None) -> None:
        self._repository = repository
        self._builder = repository.TreeBuilder() if tree is None else repository.TreeBuilder(tree)
        self._touched: dict[str, Folder] = {}

    def put(self, path: str, blob: pygit2.Oid) -> None:
        """Set the file at `path`. Raises BadRequest where it replaces a folder or lies below a file; Conflict."""
        folder = self
        *parents, name = path.split("/")
        for parent in parents:
            folder = folder._enter(parent) or folder._make(parent, path)
        if folder._enter(name) is not None:
            raise BadRequest(f"the file {path!a} would replace a folder; delete the folder first")
        try:
            folder._builder.insert(name, blob, FileMode.BLOB)
        except pygit2.GitError as error:
            raise Conflict("files were erased from this repository while the commit came in; commit again") from error

    def delete(self, path: str, *, folder: bool) -> None:
        """Remove the file, or the folder, at `path`, and the folders that this empties. Raises EntryNotFound."""
        if not self._delete(path, folder):
            raise EntryNotFound(f"A file with this name doesn't exist: {path}")

    def _delete(self, path: str, folder: bool) -> bool:
        name, _, rest = path.partition("/")
        below = self._enter(name)
        if rest:
            if below is None or not below._delete(rest, folder):
                return False
            if not below._is_empty():
                return True
        elif folder != (below is not None) or not (folder or self._holds(name)):
            return False
        self._touched.pop(name, None)
        if self._holds(name):
            self._builder.remove(name)
        return True

    def write(self) -> pygit2.Oid:
        """Write the touched trees, the deepest first, and return this one's id."""
        for name, folder in self._touched.items():
            self._builder.insert(name, folder.write(), FileMode.TREE)
        return self._builder.write()

    def _is_empty(self) -> bool:
        return not self._touched and not len(self._builder)

    def _holds(self, name: str) -> bool:
        return self._builder.get(name) is not None

    def _enter(self, name: str) -> Folder | None:
        """Return the folder of this name, ready for changes, or None where there is none."""
        if name not in self._touched:
            found = self._builder.get(name)
            if not isinstance(found, pygit2.Tree):
                return None
            self._touched[name] = Folder(self._repository, found)
        return self._touched[name]

    def _make(self, name: str, path: str) -> Folder:
        if self._holds(name):
            raise BadRequest(f"the file {path!a} would lie below the file {name!a}; delete that file first")
        self._touched[name] = Folder(self._repository)
        return self._touched[name]
