"""Names of commits: branches, tags, pull requests, converts, and sha1 in full or in part."""

from __future__ import annotations

import re

import pygit2

from medhub.server.errors import BadRequest, RevisionNotFound

BRANCHES, TAGS, PULLS, CONVERTS = NAMESPACES = "refs/heads/", "refs/tags/", "refs/pr/", "refs/convert/"
"""Where refs may stand; nothing is kept anywhere else."""

MAIN = BRANCHES + "main"
"""The branch that every repository has."""

LONGEST = 200
"""Bytes of a ref's name: each part becomes a file name, with a suffix where git locks it."""

SHA = re.compile(r"[0-9a-f]{7,40}")


def check_ref(ref: str) -> str:
    """Return the full name of a ref where a repository may hold it. Raises BadRequest."""
    name = ref.partition("/")[2].partition("/")[2]
    encodable = ref.isprintable() and len(ref.encode(errors="replace")) <= LONGEST
    # refs/heads/refs/pr/1 would be legal and mislead everybody, as would a branch that looks like a commit.
    misleading = name.startswith(("refs/", "-")) or name == "HEAD" or re.fullmatch(r"[0-9a-f]{40}", name)
    if not ref.startswith(NAMESPACES) or not encodable or misleading or not pygit2.reference_is_valid_name(ref):
        raise BadRequest(f"{ref[:LONGEST]!a} cannot name a branch or a tag; git-check-ref-format(1) says what can")
    return ref


def resolve(repository: pygit2.Repository, revision: str) -> str | None:
    """Return the sha of the commit that `revision` names, or None.

    In this order: a full sha, which no name can hide; a full ref name or HEAD; a branch; a tag; the beginning of a sha.
    """
    if len(revision) == 40 and (found := _expand(repository, revision)):
        return found
    for ref in (revision, BRANCHES + revision, TAGS + revision):
        if (ref == "HEAD" or ref.startswith(NAMESPACES)) and (found := head(repository, ref)):
            return found
    return _expand(repository, revision)


def head(repository: pygit2.Repository, ref: str) -> str | None:
    """Return the sha of the commit that the ref of this full name points at, through annotated tags, or None."""
    if not ref.isprintable():
        return None  # libgit2 stops reading at a NUL
    try:
        return str(repository.lookup_reference(ref).peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError):
        return None


def list_refs(repository: pygit2.Repository, namespace: str) -> dict[str, str]:
    """Return the commits that the refs of a namespace point at, by the names behind it."""
    names = sorted(name for name in repository.references if name.startswith(namespace))
    found = {name.removeprefix(namespace): head(repository, name) for name in names}
    return {name: sha for name, sha in found.items() if sha}


def all_commits(repository: pygit2.Repository) -> set[str]:
    """Return the commits that any ref points at."""
    return {sha for namespace in NAMESPACES for sha in list_refs(repository, namespace).values()}


def find_commit(repository: pygit2.Repository, sha: str) -> pygit2.Commit:
    """Return the commit with this full sha. Raises RevisionNotFound."""
    try:
        found = repository.get(sha) if len(sha) == 40 else None
    except ValueError:
        found = None
    if not isinstance(found, pygit2.Commit):
        raise RevisionNotFound(sha[:LONGEST])
    return found


def _expand(repository: pygit2.Repository, sha: str) -> str | None:
    sha = sha.lower()
    if not SHA.fullmatch(sha):
        return None
    try:
        return str(repository[repository.expand_id(sha)].peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError):
        return None
