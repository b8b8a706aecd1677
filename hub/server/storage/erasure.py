"""The git-lfs pointers of a whole repository, and histories rewritten so that no commit holds some of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, SortMode

from medhub.server.storage.process import command, environment, run_git
from medhub.server.storage.revisions import NAMESPACES, all_commits
from medhub.server.storage.trees import FOLDER_MODES, LONGEST_POINTER, Pointer, find_pointer, raw_entries

SMALL_BLOBS = (
    "rev-list", "--all", "--objects", "--no-object-names", "--filter-provided-objects",
    f"--filter=combine:object:type=blob+blob:limit={LONGEST_POINTER + 1}",
)  # fmt: skip


def pointer_blobs(repository: pygit2.Repository) -> Iterator[tuple[bytes, Pointer]]:
    """Yield each pointer that any ref's history holds, once, with its blob's id in 20 bytes.

    git walks the histories: 1,001 commits of 20,000 files in 1.4 s.
    """
    walk = command("--git-dir", repository.path, *SMALL_BLOBS)
    with subprocess.Popen(walk, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()) as process:
        assert process.stdout is not None
        odb = repository.odb
        for line in process.stdout:
            oid = pygit2.Oid(hex=line.decode().strip())
            if pointer := find_pointer(odb, oid)[1]:
                yield oid.raw, pointer
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, walk)


def rewrite_histories(repository: pygit2.Repository, doomed: set[bytes]) -> dict[str, str]:
    """Point every ref at a history without the blobs `doomed`; return the new sha of each commit a ref pointed at.

    It can be repeated after a crash: a commit is rewritten to the same commit each time.
    """
    trees: dict[bytes, bytes | None] = {}
    commits: dict[str, str] = {}
    walk = repository.walk(None, SortMode.TOPOLOGICAL | SortMode.REVERSE)
    tips = all_commits(repository)
    for tip in tips:
        walk.push(tip)
    for commit in walk:
        commits[str(commit.id)] = _rewrite_commit(repository, commit, commits, doomed, trees)
    for name in [name for name in repository.references if name.startswith(NAMESPACES)]:
        old = repository.references[name].target
        repository.references.create(name, _rewrite_target(repository, repository[old], commits), force=True)
    return {tip: commits[tip] for tip in tips if commits[tip] != tip}


def _rewrite_commit(
    repository: pygit2.Repository,
    commit: pygit2.Commit,
    commits: dict[str, str],
    doomed: set[bytes],
    trees: dict[bytes, bytes | None],
) -> str:
    odb = repository.odb
    tree = _rewrite_tree(odb, commit.tree_id.raw, doomed, trees) or odb.write(ObjectType.TREE, b"").raw
    parents = [commits[str(parent)] for parent in commit.parent_ids]
    if tree == commit.tree_id.raw and parents == list(map(str, commit.parent_ids)):
        return str(commit.id)
    text = [f"tree {tree.hex()}", *(f"parent {parent}" for parent in parents)]
    header, _, message = commit.read_raw().partition(b"\n\n")
    # A signature would no longer be true.
    kept = [line for line in header.split(b"\n") if line.startswith((b"author ", b"committer ", b"encoding "))]
    raw = b"\n".join([*(line.encode() for line in text), *kept]) + b"\n\n" + message
    return str(odb.write(ObjectType.COMMIT, raw))


def _rewrite_tree(odb: pygit2.Odb, oid: bytes, doomed: set[bytes], trees: dict[bytes, bytes | None]) -> bytes | None:
    """Return the id of the tree without what is doomed; None where nothing is left, as git keeps no empty folders."""
    if oid not in trees:
        kept, entries = [], raw_entries(odb, oid)
        for mode, name, child in entries:
            if mode in FOLDER_MODES:
                rewritten = _rewrite_tree(odb, child, doomed, trees)
            else:
                rewritten = None if child in doomed else child
            if rewritten:
                kept.append((mode, name, rewritten))
        if kept == entries:
            trees[oid] = oid
        else:
            raw = b"".join(b"%b %b\0%b" % entry for entry in kept)
            trees[oid] = odb.write(ObjectType.TREE, raw).raw if kept else None
    return trees[oid]


def _rewrite_target(repository: pygit2.Repository, target: pygit2.Object, commits: dict[str, str]) -> str:
    """Return what a ref that pointed at `target`, a commit or an annotated tag, points at now."""
    if isinstance(target, pygit2.Commit):
        return commits[str(target.id)]
    assert isinstance(target, pygit2.Tag)
    below = _rewrite_target(repository, target.get_object(), commits)
    first, _, rest = target.read_raw().partition(b"\n")
    assert first.startswith(b"object ")
    # A signature at the end of an annotated tag is part of its message, and stays.
    return str(repository.odb.write(ObjectType.TAG, b"object " + below.encode() + b"\n" + rest))


def delete_garbage(folder: Path) -> None:
    """Drop every object that no ref reaches, at once; the caller holds the repository's lock."""
    # A killed push leaves its pack marked as not to be touched.
    for mark in (folder / "objects/pack").glob("*.keep"):
        mark.unlink()
    run_git(folder, "gc", "--prune=now", "--force", "--quiet")
