"""Downloads: files at a revision, whole or in ranges (protocol, section 3.11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from medhub.server import contents, reads
from medhub.server.access import Right
from medhub.server.errors import EntryNotFound, NotFound, RangeNotSatisfiable, RevisionNotFound
from medhub.server.hub import Hub
from medhub.server.routes.dependencies import Caller, Readable, TheHub, admit
from medhub.server.routes.paths import base_url
from medhub.server.storage.git import Entry, GitRepository
from medhub.server.tables import Content, Repo

router = APIRouter()

RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
SHOWN = {
    **dict.fromkeys(
        ["cfg", "csv", "ini", "json", "jsonl", "log", "md", "py", "sh", "toml", "tsv", "txt", "yaml", "yml"],
        "text/plain; charset=utf-8",
    ),
    **{name: f"image/{name}" for name in ["avif", "bmp", "gif", "png", "webp"]},
    **{"jpg": "image/jpeg", "jpeg": "image/jpeg", "ico": "image/x-icon"},
    **{"flac": "audio/flac", "mp3": "audio/mpeg", "wav": "audio/wav", "mp4": "video/mp4", "webm": "video/webm"},
}
"""What a browser may show, by the file name's ending: nothing that can hold a script."""
HARMLESS = {
    # whatever a browser is made to open from here runs nothing, and not as a page of the Hub (section 12, rule 9)
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
    "Access-Control-Expose-Headers": "X-Repo-Commit, X-Linked-Etag, X-Linked-Size, X-Xet-Hash, ETag, Content-Range",
}
FILE = "/{kind:prefix}{namespace:segment}/{name:segment}/"


@router.api_route(FILE + "resolve/{revision:segment}/{path:rest}", methods=["GET", "HEAD"])
def resolve(request: Request, hub: TheHub, revision: str, path: str) -> Response:
    """Return a file; a GET is audited, and counted where a Hugging Face client makes it."""
    caller, repo = admit(request, hub, right=Right.READ)
    git, commit, entry = _open(hub, repo, revision, path)
    headers = {"X-Repo-Commit": commit, "ETag": f'"{entry.oid}"'} | _presentation(path)
    if entry.lfs is None:
        size, pieces = entry.size, _git_pieces(git, entry)
    else:
        content = _content(hub, repo, entry, commit)
        headers |= _large_file_headers(request, repo, content, commit)
        size, pieces = content.size, content_pieces(hub, content)
    counts = "x-hf-download-counter" in request.headers or "hf_hub/" in request.headers.get("user-agent", "")

    def read(size: int, note: str) -> None:
        reads.record(hub, caller, repo, "file.read", commit=commit, path=path, size=size, note=note, counts=counts)

    return file_response(request, size, headers, pieces, read)


@router.api_route(FILE + "raw/{revision:segment}/{path:rest}", methods=["GET", "HEAD"])
def raw(request: Request, hub: TheHub, caller: Caller, repo: Readable, revision: str, path: str) -> Response:
    """Return a file as git has it, a pointer where it is large; for people, always as plain text."""
    git, commit, entry = _open(hub, repo, revision, path)
    headers = {"X-Repo-Commit": commit, "ETag": f'"{entry.oid}"', "Content-Type": "text/plain; charset=utf-8"}

    def read(size: int, note: str) -> None:
        reads.record(hub, caller, repo, "file.read", commit=commit, path=path, size=size, note=note or "raw")

    return file_response(request, git.blob_size(entry.oid), headers, _git_pieces(git, entry), read)


def file_response(
    request: Request,
    size: int,
    headers: Mapping[str, str],
    pieces: Callable[[int, int], Iterator[bytes]],
    read: Callable[[int, str], None],
) -> Response:
    """Answer a GET or HEAD of a file of `size` bytes, or of the range that is asked for.

    `pieces` yields the bytes [start, stop); `read` is told how many will be sent, and which, before the first is.
    """
    headers = {**HARMLESS, "Accept-Ranges": "bytes", **headers}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(size)})
    asked = asked_range(request, size, etag=headers["ETag"])
    start, stop = asked or (0, size)
    try:
        content = pieces(start, stop)
        first = next(content, b"")
    except KeyError as error:
        raise NotFound("the Hub has lost this file's bytes; its operator can look with `medhub hub fsck`") from error
    headers["Content-Length"] = str(stop - start)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    read(stop - start, headers.get("Content-Range", ""))
    status = 206 if asked else 200
    if len(first) == stop - start:
        return Response(first, status, headers)
    # each further piece is read in a thread
    return StreamingResponse(chain((first,), content), status, headers)


def asked_range(request: Request, size: int, *, etag: str) -> tuple[int, int] | None:
    """Return the bytes [start, stop) that the request asks for, None for the whole file. Raises RangeNotSatisfiable.

    What is not one range of bytes is ignored, as HTTP allows (RFC 9110, section 14.2).
    """
    match = RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = match.groups()
    if suffix:
        start, stop = max(0, size - int(suffix)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or (suffix and not int(suffix)):
        raise RangeNotSatisfiable(size)
    return start, stop


def content_pieces(hub: Hub, content: Content) -> Callable[[int, int], Iterator[bytes]]:
    """Return what yields a large file's bytes [start, stop)."""
    return lambda start, stop: contents.read(hub, content, start, stop)


def _git_pieces(git: GitRepository, entry: Entry) -> Callable[[int, int], Iterator[bytes]]:
    return lambda start, stop: iter((git.read(entry.oid)[start:stop],))


def _open(hub: Hub, repo: Repo, revision: str, path: str) -> tuple[GitRepository, str, Entry]:
    """Return the repository, the commit and the file. Raises RevisionNotFound and EntryNotFound."""
    git = hub.git.open(repo.id)
    commit = git.resolve(revision)
    if commit is None:
        raise RevisionNotFound(revision)
    entry = git.entry(commit, path)
    if entry is None or entry.kind != "file":
        raise EntryNotFound(f"{repo.full_name} has no file {path!r} at {revision}", commit=commit)
    return git, commit, entry


def _content(hub: Hub, repo: Repo, entry: Entry, commit: str) -> Content:
    """Return what a pointer stands for; a pointer alone, to whatever it points, opens nothing."""
    assert entry.lfs
    with hub.database.read() as session:
        content = contents.linked(session, repo.id, entry.lfs.sha256)
    if content is None:
        raise EntryNotFound(f"the large file behind {entry.path!r} was erased from {repo.full_name}", commit=commit)
    return content


def _large_file_headers(request: Request, repo: Repo, content: Content, commit: str) -> dict[str, str]:
    etag = f'"{content.sha256}"'
    headers = {"ETag": etag, "X-Linked-Etag": etag, "X-Linked-Size": str(content.size)}
    if content.file_hash:
        token = f"{base_url(request)}/api/{repo.kind}s/{repo.full_name}/xet-read-token/{commit}"
        headers |= {"X-Xet-Hash": content.file_hash, "Link": f'<{token}>; rel="xet-auth"'}
    return headers


def _presentation(path: str) -> dict[str, str]:
    """Return how a browser is to take a file: what cannot hold a script it may show, everything else it saves."""
    name = path.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower()
    shown = "inline" if ending in SHOWN else "attachment"
    # a drawing's scripts run where it is opened, not where a page shows it as an image, which needs its type
    media_type = "image/svg+xml" if ending == "svg" else SHOWN.get(ending, "application/octet-stream")
    return {"Content-Type": media_type, "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(name, safe='')}"}
