"""Commits: the log, which commit last changed a path, and what lies between two commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import pygit2
from pygit2.enums import DeltaStatus, FileMode, SortMode

from medhub.server.storage.trees import find_object

LONGEST_DIFF = 1 << 20
"""Bytes of a diff's text; what follows is left out."""
LARGEST_IN_DIFF = 256 * 1024
"""Bytes of a file whose lines are compared."""
LATEST = 253_402_300_799
"""The last second of the year 9999, in Unix time: later ones are no datetime."""

STATUS = {DeltaStatus.ADDED: "added", DeltaStatus.DELETED: "deleted"}


@dataclass(frozen=True)
class Commit:
    """A commit: its `message` is whole, `title` its first line; `time` is that of the commit, in UTC."""

    sha: str
    parents: tuple[str, ...]
    title: str
    message: str
    author: str
    time: datetime


def read_commit(commit: pygit2.Commit) -> Commit:
    """Return what a commit says; text that is not UTF-8, and times out of range, are mended: a push may bring them."""
    message = commit.raw_message.decode(errors="replace")
    return Commit(
        sha=str(commit.id),
        parents=tuple(map(str, commit.parent_ids)),
        title=message.strip().partition("\n")[0],
        message=message,
        author=commit.author.raw_name.decode(errors="replace"),
        time=datetime.fromtimestamp(min(max(commit.commit_time, 0), LATEST), UTC),
    )


def log(repository: pygit2.Repository, head: pygit2.Commit, *, skip: int, limit: int, path: str | None) -> list[Commit]:
    """Return the commits that `head` stands on, itself first, the newest first; of a path, those that changed it."""
    # Any other order would read the whole history first.
    commits: Iterator[pygit2.Commit] = repository.walk(head.id, SortMode.NONE)
    if path is not None:
        commits = (commit for commit in commits if _changes(commit, path))
    return [read_commit(commit) for commit in islice(commits, skip, skip + limit)]


def _changes(commit: pygit2.Commit, path: str) -> bool:
    before = [_identity(find_object(parent.tree, path)) for parent in commit.parents] or [None]
    return _identity(find_object(commit.tree, path)) not in before


def last_commits(head: pygit2.Commit, paths: Iterable[str]) -> dict[str, Commit]:
    """Return the commit that last changed each path, as `git log -1 -- path` finds it; paths not there are left out.

    Each path is followed to the first parent that has it unchanged; where there is none, the commit is found.
    """
    tree = head.tree
    waiting = {head.id: (head, tree, {path for path in paths if find_object(tree, path) is not None})}
    found: dict[str, Commit] = {}
    while waiting:
        # The newest first, so that paths which part at a merge go on together.
        newest = max(waiting, key=lambda oid: waiting[oid][0].commit_time)
        commit, tree, pending = waiting.pop(newest)
        for parent in commit.parents:
            before = parent.tree
            if same := _unchanged(tree, before, pending):
                waiting.setdefault(parent.id, (parent, before, set()))[2].update(same)
                pending -= same
        found |= dict.fromkeys(pending, read_commit(commit))
    return found


def _unchanged(tree: pygit2.Tree, other: pygit2.Tree, paths: Iterable[str]) -> set[str]:
    """Return those of `paths` that are the same in both trees; a folder that is the same is not looked into."""
    by_folder: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        by_folder[path.rpartition("/")[0]].add(path)
    same = set()
    for folder, inside in by_folder.items():
        here, there = (find_object(root, folder) if folder else root for root in (tree, other))
        if _identity(here) == _identity(there):
            same |= inside
        elif isinstance(here, pygit2.Tree) and isinstance(there, pygit2.Tree):
            names = {path: path.rpartition("/")[2] for path in inside}
            same |= {
                path
                for path, name in names.items()
                if _identity(find_object(here, name)) == _identity(find_object(there, name))
            }
    return same


def changed_paths(base: pygit2.Commit, commit: pygit2.Commit) -> list[tuple[str, str]]:
    """Return (path, "added", "modified" or "deleted") for each file that differs between two commits."""
    diff = base.tree.diff_to_tree(commit.tree)
    return [(delta.new_file.path, STATUS.get(delta.status, "modified")) for delta in diff.deltas]


def diff_text(repository: pygit2.Repository, base: pygit2.Commit, commit: pygit2.Commit) -> str:
    """Return the unified diff between two commits, without the lines of large files and what is behind LONGEST_DIFF."""
    diff = base.tree.diff_to_tree(commit.tree)
    pieces: list[str] = []
    length = 0
    for index, delta in enumerate(diff.deltas):
        piece = _patch(repository, diff, index, delta)
        length += len(piece)
        if length > LONGEST_DIFF:
            return "".join([*pieces, "... the diff is longer than what is shown\n"])
        pieces.append(piece)
    return "".join(pieces)


def _patch(repository: pygit2.Repository, diff: pygit2.Diff, index: int, delta: pygit2.DiffDelta) -> str:
    sides = [side for side in (delta.old_file, delta.new_file) if side.mode and side.mode != FileMode.COMMIT]
    if any(repository.odb.read_header(side.id)[1] > LARGEST_IN_DIFF for side in sides):
        return f"diff --git a/{delta.old_file.path} b/{delta.new_file.path}\nLarge files differ\n"
    patch = diff[index]
    return patch.data.decode(errors="replace") if patch else ""


def _identity(found: pygit2.Object | None) -> tuple[pygit2.Oid, int] | None:
    return None if found is None else (found.id, found.filemode)
