"""What a git push may bring: the same rules as for a commit through the API, looked at before any ref moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from medhub.server import cards, contents, discussions, index, screening
from medhub.server.access import Principal
from medhub.server.commits import LARGEST_REGULAR
from medhub.server.storage.git import Entry, Push, Update
from medhub.server.storage.revisions import BRANCHES, MAIN, PULLS, TAGS
from medhub.server.tables import Repo

if TYPE_CHECKING:
    from medhub.server.hub import Hub


def receive(hub: Hub, principal: Principal, repo: Repo, request: BinaryIO, *, protocol: str | None) -> bytes:
    """Return git's answer to a push; where it was taken, index, links, pull requests and audit log follow."""
    git = hub.git.open(repo.id)
    landed: list[Update] = []

    def check(push: Push) -> str | None:
        fault = next(_faults(hub, principal, repo, push), None)
        if fault is None:
            landed.extend(push.updates)
            # linked before the ref moves: a link too many harms nobody, a pointer without one could not be read
            if pointers := {entry.lfs.sha256 for entry in push.new_pointers() if entry.lfs}:
                with hub.database.write() as session:
                    contents.link(session, repo.id, *pointers)
        return fault

    with index.changing(hub, principal, repo, "git.push") as change:
        answer = git.receive_pack(request, check=check, protocol=protocol)
        moved = [update for update in landed if _landed(git.head(update.ref), update)]
        change.path = " ".join(update.ref for update in moved)
        change.commit = next((update.new for update in moved if update.new), "")
    for update in moved:
        if update.new and update.ref.startswith(PULLS):
            subject = git.get_commit(update.new).title
            with hub.database.write() as session:
                discussions.note_commit(session, repo.id, update.ref, update.new, subject, principal)
    return answer


def _landed(head: str | None, update: Update) -> bool:
    # the head of an annotated tag is its commit, not the tag; that it is there is enough
    return head == update.new or (update.ref.startswith(TAGS) and head is not None)


def _faults(hub: Hub, principal: Principal, repo: Repo, push: Push) -> Iterator[str]:
    """Yield what is wrong with a push, a line with its cure each."""
    for update in push.updates:
        yield from _ref_faults(push, update)
    for entry in push.new_blobs():
        yield from _file_faults(hub, principal, repo, push, entry)


def _ref_faults(push: Push, update: Update) -> Iterator[str]:
    ref = update.ref
    if ref == MAIN and not (update.new and push.is_fast_forward(ref)):
        yield "main is protected: it cannot be deleted or rewritten; push to another branch, or use super_squash_history"
    if ref.startswith(PULLS) and not (update.old and update.new and push.is_fast_forward(ref)):
        yield f"{ref} is a pull request's: open one on the Hub first, and push onto its last commit"
    if not ref.startswith((BRANCHES, TAGS, PULLS)):
        yield f"{ref} is not a branch, a tag or a pull request; push to one of these"


def _file_faults(hub: Hub, principal: Principal, repo: Repo, push: Push, entry: Entry) -> Iterator[str]:
    git = push.repository
    if entry.lfs:
        with hub.database.read() as session:
            content = contents.usable(session, hub, principal, repo, entry.lfs.sha256)
        if content is None or content.size != entry.lfs.size:
            yield f"{entry.path}: LFS pointer pointed to a file that does not exist; send it with `git lfs push --all origin`"
            return
        head = screening.sample(content.size, lambda start, stop: b"".join(contents.read(hub, content, start, stop)))
    elif entry.size > LARGEST_REGULAR:
        yield f"{entry.path} is larger than 10 MiB; track it with `git lfs track`, and amend the commit"
        return
    else:
        data = git.read(entry.oid)
        head = screening.sample(len(data), lambda start, stop: data[start:stop])
        if entry.path == "README.md" and hub.settings.cards == "refuse":
            yield from cards.validate(data.decode(errors="replace"), repo.kind, policy="refuse").errors
    if reason := screening.screen(entry.path, head, entry.size, hub.settings):
        yield reason
