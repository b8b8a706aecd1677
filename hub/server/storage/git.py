"""Bare git repositories: pygit2 for reads and commits, the git binary for its own protocol, gc and fsck.

What the rest of the Hub uses can be imported from here. Nothing else touches the folders.

    GitStore        all repositories: create, open, copy, delete
    GitRepository   one of them, to read (reader) and to change (repository)
    Put, Delete...  what a commit changes (changes)
    Entry, Commit   files and folders (trees), the log and differences (history)
    Push            what is looked at before a push lands (push)
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pygit2

from medhub.server.errors import Conflict
from medhub.server.storage.changes import (
    Author,
    Change,
    Delete,
    DeleteFolder,
    Put,
    PutPointer,
    change_tree,
    write_blobs,
    write_commit,
)
from medhub.server.storage.disk import room, sync_folder, sync_tree
from medhub.server.storage.history import Commit
from medhub.server.storage.locks import locked
from medhub.server.storage.paths import check_path
from medhub.server.storage.patterns import ignored
from medhub.server.storage.process import run_git
from medhub.server.storage.push import Push, Update, install_hook
from medhub.server.storage.reader import GitReader
from medhub.server.storage.repository import GitRepository
from medhub.server.storage.revisions import BRANCHES, MAIN, TAGS
from medhub.server.storage.trees import Entry, Pointer

__all__ = [
    "Author",
    "Change",
    "Commit",
    "Delete",
    "DeleteFolder",
    "Entry",
    "GitReader",
    "GitRepository",
    "GitStore",
    "Pointer",
    "Push",
    "Put",
    "PutPointer",
    "Update",
    "check_path",
    "ignored",
]

UID = re.compile(r"[0-9a-f]{24}")


class GitStore:
    """All repositories of a Hub, at <root>/<uid[:2]>/<uid>.git; `uid` is 24 hexadecimal digits that never change."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._hooks = self._root / "hooks"
        self._temporary = self._root / "tmp"
        self._temporary.mkdir(parents=True, exist_ok=True)
        install_hook(self._hooks)

    def create(self, uid: str, files: Mapping[str, bytes], *, author: Author, message: str) -> str:
        """Make a repository whose branch main holds `files`; return its first commit. Raises Conflict where it exists.

        It appears whole or not at all.
        """
        with self._building(uid) as folder:
            handle = pygit2.init_repository(folder, bare=True, initial_head="main")
            edits = write_blobs(handle, (Put(path, data) for path, data in files.items()))
            commit = write_commit(handle, change_tree(handle, None, edits), [], author=author, message=message)
            handle.references.create(MAIN, commit)
        return str(commit)

    def open(self, uid: str) -> GitRepository:
        """Open a repository. Raises KeyError where there is none."""
        folder = self._folder(uid)
        if not folder.is_dir():
            raise KeyError(uid)
        return GitRepository(folder, hooks=self._hooks)

    def uids(self) -> Iterator[str]:
        """Yield the uid of every repository."""
        return (folder.stem for folder in self._root.glob("??/*.git"))

    def delete(self, uid: str) -> None:
        """Delete a repository, at once and for all; a missing one is no error."""
        grave = Path(tempfile.mkdtemp(dir=self._temporary))
        try:
            with locked(self._folder(uid)):
                os.rename(self._folder(uid), grave / uid)
                sync_folder(self._folder(uid).parent)
        except KeyError:
            pass
        shutil.rmtree(grave)

    def copy(self, source_uid: str, target_uid: str) -> None:
        """Make a repository of another's branches and tags, with their history, and nothing else. Raises Conflict."""
        source = self.open(source_uid).folder
        with self._building(target_uid) as folder:
            pygit2.init_repository(folder, bare=True, initial_head="main")
            names = [f"+{namespace}*:{namespace}*" for namespace in (BRANCHES, TAGS)]
            run_git(folder, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", source.as_uri(), *names)

    def lock(self, uid: str) -> AbstractContextManager[int]:
        """Keep all writers out of a repository, in whatever thread or process. Raises KeyError where there is none.

        It is not to be entered twice: what writes to the repository takes it by itself.
        """
        return locked(self._folder(uid))

    def sweep(self, older_than: float) -> int:
        """Remove what creations and deletions left unfinished, untouched for `older_than` seconds; return how many."""
        limit = time.time() - older_than
        leftovers = [path for path in self._temporary.iterdir() if path.stat().st_mtime <= limit]
        for path in leftovers:
            shutil.rmtree(path, ignore_errors=True)
        return len(leftovers)

    def _folder(self, uid: str) -> Path:
        if not UID.fullmatch(uid):
            raise KeyError(uid)
        return self._root / uid[:2] / f"{uid}.git"

    @contextmanager
    def _building(self, uid: str) -> Iterator[Path]:
        """Yield a temporary folder that becomes the repository once it is complete and durable."""
        target = self._folder(uid)
        folder = Path(tempfile.mkdtemp(dir=self._temporary))
        try:
            with room(self._root):
                yield folder
                sync_tree(folder)
                target.parent.mkdir(exist_ok=True)
                os.rename(folder, target)
                sync_folder(target.parent)
                sync_folder(self._root)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise Conflict(f"the repository {uid} exists already") from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
