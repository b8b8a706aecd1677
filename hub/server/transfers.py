"""git-lfs transfers: what a client is told to send or fetch, and what its signed links allow (protocol, section 3.8).

A link binds the repository, the token it was asked with and the exact bytes; the token's right is checked again at use.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medhub.server import accounts, audit, contents
from medhub.server.access import Principal, Right, demand
from medhub.server.errors import BadRequest, RepoNotFound
from medhub.server.storage.blobs import Upload
from medhub.server.tables import Repo

if TYPE_CHECKING:
    from medhub.server.hub import Hub

LIFETIME = 24 * 3600
"""Seconds that a link is good for: a client asks for all its links first, and then sends for hours."""
WHOLE = 1 << 30
"""Bytes that are sent in one piece. Larger files go in parts where the client can, so that a broken connection costs
one part; the Hub writes those twice, and takes half as much a second."""
PART = 64 << 20
"""Bytes of one part, unless there would be more than MOST_PARTS."""
MOST_PARTS = 1000


@dataclass(frozen=True)
class Asked:
    """One object of a batch request."""

    oid: str
    size: int

    def answer(self, **more: Any) -> dict[str, Any]:
        """Return the object as the batch's answer names it, with what else there is to say."""
        return {"oid": self.oid, "size": self.size, **more}

    def error(self, code: int, message: str) -> dict[str, Any]:
        """Return the object with what is wrong about it; the others of the batch go on."""
        return self.answer(error={"code": code, "message": message})

    @property
    def fault(self) -> str | None:
        """What makes it impossible, if anything."""
        if not contents.SHA256.fullmatch(self.oid):
            return f"the oid {self.oid[:80]!r} is not a sha256: 64 digits 0-9a-f"
        return f"the size is {self.size}; it cannot be negative" if self.size < 0 else None


@dataclass(frozen=True)
class Links:
    """Makes the signed links of one batch: whose they are, for which repository, and the Hub's address."""

    hub: Hub
    principal: Principal
    repo: Repo
    base: str

    def action(self, verb: str, **bound: Any) -> dict[str, Any]:
        """Return a git-lfs action: upload, part, complete or download; `bound` is what its link is limited to."""
        statement = {"repo": self.repo.id, "token": self.principal.token_id, **bound}
        signed = self.hub.signer.sign(f"lfs-{verb}", statement, seconds=LIFETIME)
        return {"href": f"{self.base}/api/lfs/{verb}/{signed}", "header": {}, "expires_in": LIFETIME}


def right_to_send(ref: str | None) -> Right:
    """Return what it takes to send files for a ref: reading suffices where a pull request is to follow.

    huggingface_hub names no ref for `create_pr`. A reader who sends bytes learns nothing; only a writer can merge them.
    """
    return Right.READ if ref is None or ref.startswith("refs/pr/") else Right.WRITE


def offer_uploads(
    links: Links, asked: Sequence[Asked], *, right: Right, parts: bool, verify: Any
) -> list[dict[str, Any]]:
    """Return for each object how to send it; nothing to do where the caller may use what is stored, which is linked.

    `parts` says that the client sends large files in parts, `verify` is the action that it ends with.
    """
    stored = _link_stored(links, [one.oid for one in asked if not one.fault])
    offer = _in_parts if parts else _whole
    answers = []
    for one in asked:
        if one.fault:
            answers.append(one.error(422, one.fault))
        elif one.oid in stored:
            answers.append(one.answer())
        else:
            actions = {"upload": offer(links, one, right), "verify": verify}
            answers.append(one.answer(authenticated=True, actions=actions))
    return answers


def offer_downloads(links: Links, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return for each object a link to it, where the repository has it."""
    with links.hub.database.read() as session:
        found = {one.oid: contents.linked(session, links.repo.id, one.oid) for one in asked}
    return [
        one.answer(authenticated=True, actions={"download": links.action("download", oid=one.oid)})
        if found[one.oid]
        else one.error(404, f"{links.repo.full_name} has no such object")
        for one in asked
    ]


def allowed(hub: Hub, grant: Mapping[str, Any], *, address: str) -> tuple[Principal, Repo]:
    """Return who uses a link, and its repository, with the rights of this moment. Raises as `demand` does, and more."""
    with hub.database.read() as session:
        principal = Principal(address=address)
        if grant["token"]:
            principal = accounts.principal_of_token(session, grant["token"], address=address)
        repo = session.get(Repo, grant["repo"])
        if repo is None:
            raise RepoNotFound("of this link", stranger=principal.stranger)
        right = Right(grant.get("right", Right.READ))
        demand(session, principal, repo, right, anonymous=hub.settings.anonymous)
    return principal, repo


def part_key(upload: str, number: int, etag: str) -> str:
    """Return where a part waits; `etag` is its sha256, so that each retry is a blob of its own."""
    return f"part/{upload}{number:05d}{etag}"


def part_time(key: str) -> float:
    """Return when the upload began that a part belongs to, in seconds since 1970."""
    return int(key.removeprefix("part/")[:10], 16)


def listed_parts(grant: Mapping[str, Any], parts: Any) -> list[str]:
    """Return the blob keys of the parts that the client lists. Raises BadRequest unless it lists all, each once."""
    try:
        etags = {int(part["partNumber"]): str(part["etag"]).strip('"') for part in parts}
    except (TypeError, KeyError, ValueError) as error:
        raise BadRequest('parts is a list of {"partNumber", "etag"}') from error
    if sorted(etags) != list(range(1, grant["parts"] + 1)) or len(parts) != len(etags):
        raise BadRequest(f"the file has parts 1 to {grant['parts']}; {len(parts)} are listed; list each once")
    if not all(contents.SHA256.fullmatch(etag) for etag in etags.values()):
        raise BadRequest("an etag is not one that this Hub gave")
    return [part_key(grant["upload"], number, etags[number]) for number in sorted(etags)]


def assemble(hub: Hub, upload: Upload, keys: Sequence[str]) -> str:
    """Append the parts to an upload; return the sha256 of all. Raises KeyError where one is missing."""
    digest = hashlib.sha256()
    for key in keys:
        for piece in hub.blobs.read(key):
            digest.update(piece)
            upload.write(piece)
    return digest.hexdigest()


def _link_stored(links: Links, oids: Sequence[str]) -> set[str]:
    """Give the repository those of the objects that the caller may use already; return them."""
    hub, repo, principal = links.hub, links.repo, links.principal
    with hub.database.read() as session:
        found = [contents.usable(session, hub, principal, repo, oid) for oid in oids]
    stored = {content.sha256 for content in found if content and contents.presence(hub, content)}
    if stored:
        with hub.database.write() as session:
            if new := contents.link(session, repo.id, *stored):
                note = f"{new} large files that the caller may read elsewhere"
                audit.record(session, principal, "lfs.link", repo=f"{repo.kind} {repo.full_name}", note=note)
    return stored


def _whole(links: Links, asked: Asked, right: Right) -> dict[str, Any]:
    return links.action("upload", oid=asked.oid, size=asked.size, right=right)


def _in_parts(links: Links, asked: Asked, right: Right) -> dict[str, Any]:
    size = max(PART, -(-asked.size // MOST_PARTS))
    starts = range(0, asked.size, size)
    upload = f"{int(time.time()):010x}{secrets.token_hex(8)}"
    complete = links.action("complete", oid=asked.oid, size=asked.size, right=right, upload=upload, parts=len(starts))
    complete["header"] = {"chunk_size": str(size)}
    for number, start in enumerate(starts, start=1):
        part = links.action("part", upload=upload, part=number, size=min(size, asked.size - start), right=right)
        complete["header"][f"{number:05d}"] = part["href"]
    return complete
