"""What a git push may bring: the same as a commit through the API, looked at before any ref moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from medhub.server import commits, discussions, index
from medhub.server.access import Principal
from medhub.server.errors import Forbidden, TooLarge
from medhub.server.storage.git import Push, Put, Update
from medhub.server.storage.revisions import BRANCHES, MAIN, PULLS, TAGS
from medhub.server.tables import Repo

if TYPE_CHECKING:
    from medhub.server.hub import Hub


def receive(hub: Hub, principal: Principal, repo: Repo, request: BinaryIO, *, protocol: str | None) -> bytes:
    """Return git's answer to a push; where it was taken, index, links, pull requests and audit log follow."""
    git = hub.git.open(repo.id)
    checked: list[Update] = []

    def check(push: Push) -> None:
        for update in push.updates:
            _check_ref(hub, principal, repo, push, update)
        for _ in commits.Intake(hub, principal, repo).changes(_files(push)):
            pass
        checked.extend(push.updates)

    with index.changing(hub, principal, repo, "git.push") as change:
        answer = git.receive_pack(request, check=check, protocol=protocol)
        moved = [update for update in checked if _moved(git.head(update.ref), update)]
        change.path = " ".join(update.ref for update in moved)
        change.commit = next((update.new for update in moved if update.new), "")
    for update in moved:
        if update.new and update.ref.startswith(PULLS):
            subject = git.get_commit(update.new).title
            with hub.database.write() as session:
                discussions.note_commit(session, repo.id, update.ref, update.new, subject, principal)
    return answer


def _check_ref(hub: Hub, principal: Principal, repo: Repo, push: Push, update: Update) -> None:
    """Raise a Refusal where this ref may not move in this way."""
    ref = update.ref
    forward = bool(update.new) and push.is_fast_forward(ref)
    if ref == MAIN and not forward:
        raise Forbidden("main is protected: it cannot be deleted or rewritten; push to another branch")
    if ref.startswith(PULLS):
        commits.writable_ref(hub, principal, repo, ref)
        if not forward:
            raise Forbidden(f"{ref} is a pull request, which only grows; push onto its last commit")
    elif not ref.startswith((BRANCHES, TAGS)):
        raise Forbidden(f"{ref} is not a branch, a tag or a pull request; push to one of these")


def _files(push: Push) -> Iterator[commits.Operation]:
    """Yield the files that a push brings, as if they had been committed through the API."""
    for entry in push.new_blobs():
        if entry.lfs:
            yield commits.LargeFile(entry.path, entry.lfs.sha256, entry.lfs.size)
        elif entry.size > commits.LARGEST_REGULAR:
            raise TooLarge(f"{entry.path} is larger than 10 MiB; run `git lfs track` on it, and amend the commit")
        else:
            yield Put(entry.path, push.repository.read(entry.oid))


def _moved(head: str | None, update: Update) -> bool:
    # the head of an annotated tag is its commit, not the tag; that it is there is enough
    return head == update.new or (update.ref.startswith(TAGS) and head is not None)
