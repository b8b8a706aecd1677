"""Files at a revision: folders, and a look into one file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Response

from medhub.server import contents, reads
from medhub.server.access import Right
from medhub.server.errors import EntryNotFound
from medhub.server.info import resolve_revision
from medhub.server.storage.git import Entry, GitRepository
from medhub.server.tables import Repo
from medhub.server.web.layout import address
from medhub.server.web.repository import REPO, opened, repo_page
from medhub.server.web.sessions import Visit, Visitor

router = APIRouter()
PAGE = 200
"""Entries of a folder on one page."""
PREVIEW = 256 * 1024
"""Bytes of a text that are shown."""
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})


@router.get(REPO + "/tree/{revision:segment}")
@router.get(REPO + "/tree/{revision:segment}/{path:rest}")
def folder(visit: Visitor, revision: str, path: str = "", after: str | None = None) -> Response:
    """List a folder, each entry with the commit that last changed it."""
    repo, path = opened(visit), path.strip("/")
    git, sha = visit.hub.git.open(repo.id), resolve_revision(visit.hub, repo, revision)
    entries = git.tree(sha, path, after=after, limit=PAGE + 1)
    if entries is None:
        raise EntryNotFound(f"{repo.full_name} has no folder {path!r} at {revision}", commit=sha)
    shown = entries[:PAGE]
    latest = git.last_commits(sha, [entry.path for entry in shown])
    reads.record(visit.hub, visit.viewer, repo, "tree.read", commit=sha, path=path)
    return repo_page(
        visit, repo, "tree.html", tab="files", revision=revision, path_here=path, crumbs=crumbs(repo, revision, path),
        rows=[(entry, PurePosixPath(entry.path).name, latest.get(entry.path)) for entry in shown],
        after=shown[-1].path if len(entries) > PAGE else None, page="tree", **refs(git),
    )  # fmt: skip


@router.get(REPO + "/blob/{revision:segment}/{path:rest}")
def file(visit: Visitor, revision: str, path: str) -> Response:
    """Show what a file is, and look into it where it is text or a picture."""
    repo = opened(visit, Right.READ)
    git, sha = visit.hub.git.open(repo.id), resolve_revision(visit.hub, repo, revision)
    entry = git.entry(sha, path)
    if entry is None or entry.kind != "file":
        raise EntryNotFound(f"{repo.full_name} has no file {path!r} at {revision}", commit=sha)
    picture = PurePosixPath(path).suffix.lower() in PICTURES
    text = None if picture else _preview(visit, repo, entry)
    reads.record(visit.hub, visit.viewer, repo, "file.read", commit=sha, path=path, size=len(text or ""), note="page")
    return repo_page(
        visit, repo, "blob.html", tab="files", revision=revision, path_here=path, crumbs=crumbs(repo, revision, path),
        entry=entry, text=text, picture=picture, cut=entry.size > PREVIEW, page="blob",
        latest=git.last_commits(sha, [path]).get(path), **refs(git),
    )  # fmt: skip


def crumbs(repo: Repo, revision: str, path: str) -> list[tuple[str, str]]:
    """Return the way to a path, from the repository's root on: each folder's name and address."""
    parts = path.split("/") if path else []
    places = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return [(repo.name, address(repo, "tree", revision))] + [
        (part, address(repo, "tree", revision, path=place)) for part, place in zip(parts, places, strict=True)
    ]


def refs(git: GitRepository) -> dict[str, Any]:
    """Return the names to choose a revision from."""
    return {"branches": list(git.branches()), "tags": list(git.tags())}


def _preview(visit: Visit, repo: Repo, entry: Entry) -> str | None:
    """Return the beginning of a file as text, or None where it is none."""
    data = _beginning(visit, repo, entry)
    if data is None or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # the cut may go through a character
        return data[: error.start].decode() if entry.size > PREVIEW and error.start > len(data) - 4 else None


def _beginning(visit: Visit, repo: Repo, entry: Entry) -> bytes | None:
    try:
        return contents.read_entry(visit.hub, repo, entry, 0, PREVIEW)
    except KeyError:
        return None
