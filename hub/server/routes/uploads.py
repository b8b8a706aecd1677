"""Uploads: card validation, what goes where, the commit (protocol, sections 3.6, 3.7 and 3.10)."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from medhub.server import cards, commits, screening
from medhub.server.commits import LARGEST_REGULAR, LargeFile, Operation
from medhub.server.contents import SHA256
from medhub.server.errors import BadRequest, TooLarge
from medhub.server.hub import Hub
from medhub.server.repositories import KINDS
from medhub.server.routes.dependencies import Readable, TheHub, Writer
from medhub.server.routes.paths import repo_url
from medhub.server.routes.pieces import pieces
from medhub.server.storage.blobs import Upload
from medhub.server.storage.git import Delete, DeleteFolder, GitRepository, Put, check_path, ignored

router = APIRouter()

REPO = "/api/{kind:kind}/{namespace:segment}/{name:segment}"
LARGEST_JSON = 4 << 20
"""Bytes of a card, or of the files that a preupload asks about."""
MOST_FILES = 1000
"""Files that one preupload asks about; clients ask about 256."""
LARGEST_BODY = 192 << 20
"""Bytes of a commit's body; clients send up to 140 MB."""
LONGEST_LINE = LARGEST_REGULAR * 4 // 3 + (64 << 10)
"""Bytes of one line of a commit: the largest regular file in base64, and its path."""


@router.post("/api/validate-yaml", max_body_size=LARGEST_JSON)
def validate_card(hub: TheHub, body: dict[str, Any]) -> JSONResponse:
    """Check a card, for anybody: clients send no token here."""
    kind = body.get("repoType") or "model"
    if kind not in KINDS:
        raise BadRequest(f"repoType is {str(kind)[:40]!r}; types: {', '.join(KINDS)}")
    found = cards.validate(_text(body, "content"), kind, policy=hub.settings.cards)
    messages = {name: [{"message": text} for text in getattr(found, name)] for name in ("errors", "warnings")}
    return JSONResponse(messages, 400 if found.errors else 200)


@router.post(REPO + "/preupload/{revision:segment}", max_body_size=LARGEST_JSON)
def preupload(
    hub: TheHub, caller: Writer, repo: Readable, revision: str, body: dict[str, Any], create_pr: bool = False
) -> dict[str, Any]:
    """Tell for each file whether it goes to git or to large file storage, is ignored, and what is there now."""
    ref = commits.writable_ref(hub, caller, repo, revision, create_pr=create_pr)
    files = body.get("files")
    if not isinstance(files, list) or len(files) > MOST_FILES or not all(isinstance(file, dict) for file in files):
        raise BadRequest(f"files is a list of {MOST_FILES} objects at most, each with path, sample and size")
    git = hub.git.open(repo.id)
    sha = git.head(ref) or ""
    paths = [check_path(_text(file, "path")) for file in files]
    rules = body.get("gitIgnore")
    skipped = ignored(rules if isinstance(rules, str) else _gitignore(git, sha), paths)
    return {
        "files": [_plan(hub, git, sha, file, skipped=path in skipped) for path, file in zip(paths, files, strict=True)]
    }


@router.post(REPO + "/commit/{revision:segment}")
async def commit(
    request: Request, hub: TheHub, caller: Writer, repo: Readable, revision: str, create_pr: bool = False
) -> dict[str, Any]:
    """Make a commit of what the body lists, a line of JSON each."""
    body = await run_sync(hub.blobs.upload)
    try:
        await _receive(request, body)
        make = partial(commits.commit, hub, caller, repo, revision, create_pr=create_pr)
        landed = await run_sync(_commit, body, make)
    finally:
        await run_sync(body.discard)
    page = repo_url(request, repo.kind, repo.full_name)
    answer = {"success": True, "commitOid": landed.sha, "commitUrl": f"{page}/commit/{landed.sha}", "hookOutput": ""}
    return answer | ({"pullRequestUrl": f"{page}/discussions/{landed.pull_request}"} if landed.pull_request else {})


async def _receive(request: Request, body: Upload) -> None:
    """Write the request's body to disk. Raises TooLarge, and hangs up, where it is or says that it is too large."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        raise _too_large()
    try:
        async for piece in pieces(request):
            if body.size + len(piece) > LARGEST_BODY:
                raise _too_large()
            await run_sync(body.write, piece)
    except ClientDisconnect as error:
        raise BadRequest("the commit did not arrive whole") from error


def _too_large() -> TooLarge:
    return TooLarge(
        f"the commit has more than {LARGEST_BODY} bytes; send large files as lfsFile, and the rest in several commits",
        headers={"Connection": "close"},
    )


def _commit(body: Upload, make: Callable[..., commits.Landed]) -> commits.Landed:
    with open(body.path(), "rb") as file:
        lines = _lines(file)
        key, header = next(lines, ("", {}))
        if key != "header":
            raise BadRequest("the commit begins without its header; its first line is {key: header, value: {summary}}")
        return make(
            map(_operation, lines),
            summary=_text(header, "summary"),
            description=_text(header, "description", default=""),
            parent=_text(header, "parentCommit", default="") or None,
        )


def _lines(file: IO[bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield key and value of each line. Raises TooLarge and BadRequest."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise TooLarge(
                f"line {number} of the commit has more than {LONGEST_LINE} bytes; regular files may have "
                f"{LARGEST_REGULAR}, send larger ones as lfsFile"
            )
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"line {number} of the commit is not JSON") from error
        if not isinstance(found, dict) or not isinstance(found.get("value"), dict):
            raise BadRequest(f"line {number} of the commit is not an object with a key and a value")
        yield str(found.get("key")), found["value"]


def _operation(line: tuple[str, Mapping[str, Any]]) -> Operation:
    key, value = line
    if key not in OPERATIONS:
        raise BadRequest(f"a commit has no line of key {key[:40]!r}; after the header: {', '.join(OPERATIONS)}")
    return OPERATIONS[key](value)


def _file(value: Mapping[str, Any]) -> Put:
    path = _text(value, "path")
    if value.get("encoding", "base64") != "base64":
        raise BadRequest(f"{path[:200]!a} has the encoding {str(value['encoding'])[:40]!r}; send base64")
    return Put(path, _base64(value, "content"))


def _large_file(value: Mapping[str, Any]) -> LargeFile:
    oid, size = _text(value, "oid"), value.get("size")
    if value.get("algo", "sha256") != "sha256" or not SHA256.fullmatch(oid):
        raise BadRequest(f"the oid {oid[:80]!r} is not a sha256: 64 digits 0-9a-f, and the algo sha256")
    if size is not None and type(size) is not int:
        raise BadRequest(f"the size of {oid} is {str(size)[:40]!r}; it has to be a number of bytes")
    return LargeFile(_text(value, "path"), oid, size)


OPERATIONS: Mapping[str, Callable[[Mapping[str, Any]], Operation]] = {
    "file": _file,
    "lfsFile": _large_file,
    "deletedFile": lambda value: Delete(_text(value, "path")),
    "deletedFolder": lambda value: DeleteFolder(_text(value, "path")),
}


def _plan(hub: Hub, git: GitRepository, sha: str, file: Mapping[str, Any], *, skipped: bool) -> dict[str, Any]:
    path, size, sample = file["path"], file.get("size"), _base64(file, "sample")
    if type(size) is not int or size < 0:
        raise BadRequest(f"the size of {path} is {str(size)[:40]!r}; it has to be a number of bytes")
    if not skipped and (reason := screening.screen(path, sample, size, hub.settings)):
        raise BadRequest(reason)
    large = size > 0 and (size > LARGEST_REGULAR or git.is_lfs(sha, path) or _is_binary(sample))
    plan = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": skipped}
    entry = git.entry(sha, path)
    if entry and entry.kind == "file":
        plan["oid"] = entry.lfs.sha256 if entry.lfs else entry.oid
    return plan


def _is_binary(sample: bytes) -> bool:
    """Whether the beginning of a file is not text in UTF-8; its last character may be cut."""
    with suppress(UnicodeDecodeError):
        return "\0" in codecs.getincrementaldecoder("utf-8")().decode(sample)
    return True


def _gitignore(git: GitRepository, sha: str) -> str:
    entry = git.entry(sha, ".gitignore")
    return git.read(entry.oid).decode(errors="replace") if entry and entry.kind == "file" else ""


def _text(value: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    found = value.get(name, default)
    if isinstance(found, str):
        with suppress(UnicodeEncodeError):  # JSON can write half a character, and nothing can keep it
            found.encode()
            return found
    raise BadRequest(f"{name} is missing, or is not text")


def _base64(value: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(value, name), validate=True)
    except ValueError as error:
        raise BadRequest(f"the {name} of {str(value.get('path'))[:200]!a} is not base64") from error
