"""Changing a repository: commits, branches, tags, merges, erasure and git's own protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pygit2
from pygit2.enums import ObjectType

from medhub.server.errors import BadRequest, Conflict, Forbidden, RevisionNotFound, Stale
from medhub.server.storage import erasure, merges, process, push
from medhub.server.storage.changes import Author, Change, change_tree, signature, text, write_blobs, write_commit
from medhub.server.storage.disk import room
from medhub.server.storage.locks import locked
from medhub.server.storage.reader import GitReader
from medhub.server.storage.revisions import BRANCHES, MAIN, TAGS, check_ref, find_commit

# An object is on the disk before a ref leads to it.
pygit2.settings.enable_fsync_gitdir(True)


class GitRepository(GitReader):
    """A bare repository. Writers wait for each other, in whatever thread or process they are.

    So nothing that writes may be called inside GitStore.lock. All raise OutOfSpace, and change nothing, on a full disk.
    """

    def __init__(self, folder: Path, *, hooks: Path) -> None:
        super().__init__(folder)
        self._hooks = hooks

    def commit(
        self,
        ref: str,
        changes: Iterable[Change],
        *,
        parent: str | None,
        author: Author,
        message: str,
        when: datetime | None = None,
    ) -> str:
        """Apply `changes`, in their order, on top of a ref, and return the new head; the old one where nothing changes.

        `parent` is the head that the caller saw, or its beginning; None takes whatever is there. Contents are taken and
        written one by one, before the lock. Raises Stale, RevisionNotFound, EntryNotFound for a delete of what is not
        there, BadRequest for a bad path, a file in a folder's place or below a file (protocol, section 3.10), Conflict
        where an erasure ran meanwhile.
        """
        self._expect(ref, parent)
        with room(self.folder):
            edits = write_blobs(self.handle, changes)
            with locked(self.folder):
                # An erasure may have dropped the blobs, which no ref reached yet: look at the disk anew.
                self.handle.free()
                head = self._expect(ref, parent)
                tree = change_tree(self.handle, head.tree, edits)
                if tree == head.tree_id:
                    return str(head.id)
                new = write_commit(self.handle, tree, [head.id], author=author, message=message, when=when)
                return self._move(ref, new)

    def merge(self, ref: str, other: str, *, author: Author, message: str) -> str:
        """Merge the ref `other` into `ref` by a commit with two parents; return it, or the head where nothing is new.

        Raises Conflict, with the `files`, where both changed the same; RevisionNotFound.
        """
        with room(self.folder), locked(self.folder):
            head, theirs = self._expect(ref), self._expect(other)
            if merges.merge_base(self.handle, str(head.id), str(theirs.id)) == str(theirs.id):
                return str(head.id)
            tree, conflicts = merges.merge_trees(self.handle, head, theirs)
            if tree is None:
                files = ", ".join(conflicts[:20])
                raise Conflict(f"{other} and {ref} changed the same files: {files}", files=conflicts)
            parents = [head.id, theirs.id]
            return self._move(ref, write_commit(self.handle, tree, parents, author=author, message=message))

    def squash(self, ref: str, *, author: Author, message: str) -> str:
        """Replace a ref's history by one commit without parents and with the same files; return it."""
        with room(self.folder), locked(self.folder):
            tree = self._expect(ref).tree_id
            return self._move(ref, write_commit(self.handle, tree, [], author=author, message=message))

    def create_branch(self, name: str, sha: str) -> None:
        """Make a branch at a commit. Raises Conflict where it exists, BadRequest for a bad name, RevisionNotFound."""
        ref, target = check_ref(BRANCHES + name), find_commit(self.handle, sha).id
        with self._creating(ref, f"Reference {ref} already exists"):
            self.handle.references.create(ref, target)

    def delete_branch(self, name: str) -> None:
        """Delete a branch. Raises RevisionNotFound, and Forbidden for main."""
        self.delete_ref(BRANCHES + name)

    def create_tag(self, name: str, sha: str, message: str | None, author: Author) -> None:
        """Tag a commit, with an annotation where there is a message. Raises as create_branch does."""
        ref, target = check_ref(TAGS + name), find_commit(self.handle, sha).id
        with self._creating(ref, "Tag reference exists already"):
            if message is None:
                self.handle.references.create(ref, target)
            else:
                self.handle.create_tag(name, target, ObjectType.COMMIT, signature(author), text(message))

    def delete_tag(self, name: str) -> None:
        """Delete a tag. Raises RevisionNotFound."""
        self.delete_ref(TAGS + name)

    def set_ref(self, ref: str, sha: str, *, expected: str | None) -> None:
        """Point a ref at a commit. Raises Stale where its head is not `expected` (None: it must not exist yet)."""
        target = find_commit(self.handle, sha).id
        with room(self.folder), locked(self.folder):
            if self.head(check_ref(ref)) != expected:
                raise Stale()
            self._move(ref, target)

    def delete_ref(self, ref: str) -> None:
        """Delete a ref. Raises RevisionNotFound, and Forbidden for main."""
        if ref == MAIN:
            raise Forbidden(f"Cannot delete {MAIN}")
        with room(self.folder), locked(self.folder):
            if self.head(ref) is None:
                raise RevisionNotFound(ref)
            self.handle.references.delete(ref)

    def rewrite_without(self, sha256s: set[str]) -> dict[str, str]:
        """Erase the pointers to these objects from every ref's history, and what no ref reaches from the disk.

        Returns the new sha of each commit that a ref pointed at and that is another now. Clones and caches elsewhere
        keep what they have (protocol, section 12, rule 10). After a crash it can be repeated.
        """
        with room(self.folder), locked(self.folder):
            found = erasure.pointer_blobs(self.handle)
            doomed = {oid for oid, pointer in found if pointer.sha256 in sha256s}
            moved = erasure.rewrite_histories(self.handle, doomed) if doomed else {}
            erasure.delete_garbage(self.folder)
            return moved

    def gc(self) -> None:
        """Pack the objects, where some 2,000 or more lie about, and drop what nothing reached for two weeks."""
        with locked(self.folder):
            process.run_git(self.folder, "gc", "--auto", "--quiet", configuration={"gc.auto": "2000"})

    def advertise(self, service: str, *, protocol: str | None) -> bytes:
        """Return the answer to GET info/refs?service=git-upload-pack or git-receive-pack (protocol, section 3.16)."""
        if service not in ("git-upload-pack", "git-receive-pack"):
            raise BadRequest(f"{service[:40]!a} is no service of git's; git-upload-pack and git-receive-pack are")
        return process.advertise(self.folder, service, protocol=protocol)

    def upload_pack(self, request: BinaryIO, *, protocol: str | None) -> Iterator[bytes]:
        """Yield the answer to a fetch; `request` is the body in a real file, not compressed."""
        return process.upload_pack(self.folder, request, protocol=protocol)

    def receive_pack(
        self, request: BinaryIO, *, check: Callable[[push.Push], str | None], protocol: str | None
    ) -> bytes:
        """Return the answer to a push; `request` is the body in a real file, not compressed.

        `check` looks at the Push before any ref moves and returns None, or why it is refused, in one line, which the
        user reads as `remote: ...`; a Refusal that it raises does the same. It runs under the lock.
        """
        with locked(self.folder) as lock:
            return push.receive_pack(self, request, check=check, hooks=self._hooks, lock=lock, protocol=protocol)

    def _expect(self, ref: str, parent: str | None = None) -> pygit2.Commit:
        """Return the ref's head. Raises RevisionNotFound, and Stale where it is not `parent`."""
        head = self.head(ref)
        if head is None:
            raise RevisionNotFound(ref)
        if parent is not None and not (parent and head.startswith(parent.lower())):
            raise Stale()
        return find_commit(self.handle, head)

    def _move(self, ref: str, target: pygit2.Oid) -> str:
        self.handle.references.create(ref, target, force=True)
        return str(target)

    @contextmanager
    def _creating(self, ref: str, exists: str) -> Iterator[None]:
        with room(self.folder), locked(self.folder):
            for name in self.handle.references:
                if name == ref:
                    raise Conflict(exists)
                if name.startswith(f"{ref}/") or ref.startswith(f"{name}/"):
                    raise Conflict(f"Reference {ref} cannot stand beside {name}: one would be the other's folder")
            yield
