"""Bringing one commit's changes into another's tree."""

from __future__ import annotations

import pygit2
from pygit2.enums import MergeFlag

# Renames are not looked for: all git-lfs pointers look alike, and one file's change would be carried into another file.
NO_RENAMES = MergeFlag(0)


def merge_base(repository: pygit2.Repository, one: str, other: str) -> str | None:
    """Return the best common ancestor of two commits, or None where their histories are unrelated."""
    found = repository.merge_base(one, other)
    return str(found) if found else None


def merge_trees(
    repository: pygit2.Repository, into: pygit2.Commit, other: pygit2.Commit
) -> tuple[pygit2.Oid | None, list[str]]:
    """Return the merged tree and no conflicts, or no tree and the paths that both sides changed differently."""
    if merge_base(repository, str(into.id), str(other.id)) == str(into.id):
        return other.tree_id, []
    index = repository.merge_commits(into, other, flags=NO_RENAMES)
    sides = [side for conflict in index.conflicts or () for side in conflict if side]
    if sides:
        return None, sorted({side.path for side in sides})
    return index.write_tree(repository), []
