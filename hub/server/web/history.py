"""History: the commits of a revision, and what one of them changed."""

from __future__ import annotations

from fastapi import APIRouter, Response

from medhub.server import reads
from medhub.server.access import Right
from medhub.server.info import resolve_revision
from medhub.server.web.diffs import split_diff
from medhub.server.web.files import refs
from medhub.server.web.repository import REPO, opened, repo_page
from medhub.server.web.sessions import Visitor

router = APIRouter()
PAGE = 50
DEEPEST = 100_000
"""Commits that can be leafed through; each page walks the ones before."""


@router.get(REPO + "/commits/{revision:segment}")
def commits(visit: Visitor, revision: str, skip: int = 0) -> Response:
    """List the commits that a revision stands on, the newest first."""
    repo, skip = opened(visit), min(max(skip, 0), DEEPEST)
    git, sha = visit.hub.git.open(repo.id), resolve_revision(visit.hub, repo, revision)
    found = git.log(sha, skip=skip, limit=PAGE + 1)
    days: dict[str, list[object]] = {}
    for commit in found[:PAGE]:
        days.setdefault(f"{commit.time:%Y-%m-%d}", []).append(commit)
    return repo_page(
        visit, repo, "commits.html", tab="history", revision=revision, path_here="", days=days, page="commits",
        older=skip + PAGE if len(found) > PAGE else None, newer=max(skip - PAGE, 0) if skip else None, **refs(git),
    )  # fmt: skip


@router.get(REPO + "/commit/{revision:segment}")
def commit(visit: Visitor, revision: str) -> Response:
    """Show what a commit changed against its first parent."""
    repo = opened(visit, Right.READ)
    git, sha = visit.hub.git.open(repo.id), resolve_revision(visit.hub, repo, revision)
    found = git.get_commit(sha)
    diff = git.diff(found.parents[0], sha) if found.parents else ""
    first = [] if found.parents else [entry.path for entry in git.tree(sha, recursive=True, limit=PAGE) or []]
    reads.record(visit.hub, visit.viewer, repo, "commit.read", commit=sha)
    return repo_page(visit, repo, "commit.html", tab="history", commit=found, files=split_diff(diff), first=first)
