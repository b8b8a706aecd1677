"""Reading a repository: names, files, history and differences."""

from __future__ import annotations

import subprocess
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, ObjectType, RepositoryOpenFlag

from medhub.server.storage import erasure, history, merges, patterns, revisions, trees
from medhub.server.storage.history import Commit
from medhub.server.storage.process import command, environment
from medhub.server.storage.revisions import BRANCHES, CONVERTS, PULLS, TAGS, find_commit
from medhub.server.storage.trees import Entry

# Neither the operator's own git configuration nor the machine's has a say.
for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
    pygit2.settings.search_path[level] = ""

# libgit2 keeps small trees only; a folder of 20,000 files is looked into for each of them, and takes 5 ms to read.
pygit2.settings.cache_object_limit(ObjectType.TREE, 4 << 20)
pygit2.settings.cache_max_size(32 << 20)


class GitReader:
    """A bare repository as it can be read. Opening takes 0.1 ms; an instance serves one thread at a time.

    Commits are named by their full sha; RevisionNotFound is raised where there is none. A `ref` is a full name, such as
    refs/heads/main.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.handle = pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE)
        # A handle is part of a cycle: without this, its open files and its cache would wait for the garbage collector.
        weakref.finalize(self, self.handle.free)

    def with_objects(self, objects: str) -> GitReader:
        """Return a view that sees what is in another object folder, too: a push in quarantine."""
        view = GitReader(self.folder)
        view.handle.odb.add_disk_alternate(objects)
        return view

    def resolve(self, revision: str) -> str | None:
        """Return the sha of the commit that a branch, tag, full ref name, HEAD, or (part of) a sha names, or None."""
        return revisions.resolve(self.handle, revision)

    def head(self, ref: str) -> str | None:
        """Return the sha of the commit that a ref points at, or None."""
        return revisions.head(self.handle, ref)

    def branches(self) -> dict[str, str]:
        """Return the branches' names and commits."""
        return revisions.list_refs(self.handle, BRANCHES)

    def tags(self) -> dict[str, str]:
        """Return the tags' names and commits."""
        return revisions.list_refs(self.handle, TAGS)

    def pulls(self) -> dict[str, str]:
        """Return the pull requests' numbers and commits."""
        return revisions.list_refs(self.handle, PULLS)

    def converts(self) -> dict[str, str]:
        """Return the names and commits of refs/convert/."""
        return revisions.list_refs(self.handle, CONVERTS)

    def entry(self, sha: str, path: str) -> Entry | None:
        """Return the file or folder at `path`, or None."""
        found = trees.find_object(find_commit(self.handle, sha).tree, path)
        return None if found is None else trees.make_entry(self.handle.odb, path, found)

    def tree(
        self, sha: str, path: str = "", *, recursive: bool = False, after: str | None = None, limit: int | None = None
    ) -> list[Entry] | None:
        """Return what is in a folder, or None where there is no such folder.

        In git's order: by name, a folder as if a slash ended it, and before what it holds where `recursive`. `after` is
        the path of the last entry already seen; skipping to it costs nothing. Raises BadRequest where it is not there.
        """
        root = find_commit(self.handle, sha).tree
        found = trees.find_object(root, path) if path else root
        if not isinstance(found, pygit2.Tree):
            return None
        return list(trees.list_tree(self.handle.odb, found, path, recursive=recursive, after=after, limit=limit))

    def pointers(self, sha: str) -> Iterator[Entry]:
        """Yield the files of a commit that are in large file storage."""
        root = find_commit(self.handle, sha).tree
        everything = trees.list_tree(self.handle.odb, root, "", recursive=True, after=None, limit=None)
        return (entry for entry in everything if entry.lfs)

    def read(self, oid: str) -> bytes:
        """Return a blob's bytes, all in memory. Raises KeyError."""
        kind, data = self.handle.odb.read(pygit2.Oid(hex=oid))
        if kind != ObjectType.BLOB:
            raise KeyError(oid)
        return data

    def blob_size(self, oid: str) -> int:
        """Return a blob's size in bytes. Raises KeyError."""
        return self.handle.odb.read_header(pygit2.Oid(hex=oid))[1]

    def attributes(self, sha: str, path: str) -> list[tuple[str, str]]:
        """Return the .gitattributes files that `path` is subject to, as (folder, text), from the root down."""
        folder: pygit2.Object | None = find_commit(self.handle, sha).tree
        found, above = [], ""
        for name in path.split("/"):
            if not isinstance(folder, pygit2.Tree):
                break
            rules = trees.find_object(folder, ".gitattributes")
            if isinstance(rules, pygit2.Blob) and rules.size <= patterns.LONGEST:
                found.append((above, rules.data.decode(errors="replace")))
            folder, above = trees.find_object(folder, name), f"{above}/{name}".lstrip("/")
        return found

    def is_lfs(self, sha: str, path: str) -> bool:
        """Whether .gitattributes at a commit give `path` to large file storage (filter=lfs)."""
        return patterns.has_lfs_filter(self.attributes(sha, path), path)

    def get_commit(self, sha: str) -> Commit:
        """Return what a commit says."""
        return history.read_commit(find_commit(self.handle, sha))

    def log(self, sha: str, *, skip: int = 0, limit: int = 50, path: str | None = None) -> list[Commit]:
        """Return a commit and those it stands on, the newest first; where a path is given, those that changed it."""
        return history.log(self.handle, find_commit(self.handle, sha), skip=skip, limit=limit, path=path)

    def last_commits(self, sha: str, paths: Iterable[str]) -> dict[str, Commit]:
        """Return the commit that last changed each path, seen from a commit; paths that are not there are left out."""
        return history.last_commits(find_commit(self.handle, sha), paths)

    def changed_paths(self, base: str, sha: str) -> list[tuple[str, str]]:
        """Return (path, "added", "modified" or "deleted") for each file that differs between two commits."""
        return history.changed_paths(find_commit(self.handle, base), find_commit(self.handle, sha))

    def diff(self, base: str, sha: str) -> str:
        """Return the unified diff between two commits, shortened where it is long."""
        return history.diff_text(self.handle, find_commit(self.handle, base), find_commit(self.handle, sha))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor of two commits, or None."""
        return merges.merge_base(self.handle, one, other)

    def conflicts(self, into: str, other: str) -> list[str]:
        """Return the paths that two commits, by their shas, changed differently since their common ancestor."""
        return merges.merge_trees(self.handle, find_commit(self.handle, into), find_commit(self.handle, other))[1]

    def reachable_pointers(self) -> Iterator[tuple[str, int]]:
        """Yield (sha256, size) of each git-lfs pointer in the history of any ref, once."""
        found = {(pointer.sha256, pointer.size) for _, pointer in erasure.pointer_blobs(self.handle)}
        return iter(found)

    def fsck(self) -> list[str]:
        """Return what `git fsck --full` finds wrong: missing, corrupt or malformed objects, refs that lead nowhere."""
        check = command("--git-dir", self.folder, "fsck", "--full", "--no-dangling", "--no-progress")
        found = subprocess.run(check, capture_output=True, stdin=subprocess.DEVNULL, env=environment())
        lines = (found.stdout + found.stderr).decode(errors="replace").splitlines()
        faults = [line for line in lines if not line.startswith(("notice:", "warning"))]
        return faults or ([f"git fsck ended with {found.returncode}"] if found.returncode else [])
