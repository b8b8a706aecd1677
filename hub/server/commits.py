"""Commits over HTTP: who may make one, what is looked at before it lands, and pull requests that begin with one.

Section 3.10 of the protocol; rule 1 of its section 12: who names a large file's sha256 has to be allowed to read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.orm import Session

from medhub.server import cards, contents, discussions, index, screening
from medhub.server.access import Principal, Right, demand
from medhub.server.errors import BadRequest, Conflict, RevisionNotFound, TooLarge
from medhub.server.repositories import author_of
from medhub.server.storage.git import Change, Delete, DeleteFolder, Put, PutPointer, check_path
from medhub.server.storage.revisions import BRANCHES
from medhub.server.storage.trees import read_pointer
from medhub.server.tables import Content, Discussion, DiscussionEvent, Repo

if TYPE_CHECKING:
    from medhub.server.hub import Hub

LARGEST_REGULAR = 10 << 20
"""Bytes of a file in git itself; larger ones go to large file storage (appendix C)."""
CARD = "README.md"


@dataclass(frozen=True)
class LargeFile:
    """A file in large file storage, by its sha256; without a size for copies made by the server."""

    path: str
    sha256: str
    size: int | None = None


Operation = Put | LargeFile | Delete | DeleteFolder


@dataclass(frozen=True)
class Landed:
    """A commit that stands, and the number of the pull request that was opened for it."""

    sha: str
    pull_request: int | None = None


def commit(
    hub: Hub,
    principal: Principal,
    repo: Repo,
    revision: str,
    operations: Iterable[Operation],
    *,
    summary: str,
    description: str = "",
    parent: str | None = None,
    create_pr: bool = False,
) -> Landed:
    """Apply `operations`, in their order, to a branch or an open pull request; or to a new pull request on that branch.

    They are taken one by one. Without any difference there is no commit, and the head is returned. Raises as
    `writable_ref` and GitRepository.commit do; BadRequest and TooLarge for a file that this Hub does not take.
    """
    ref = writable_ref(hub, principal, repo, revision, create_pr=create_pr)
    land = partial(_land, hub, principal, repo, operations, summary=summary, description=description, parent=parent)
    if not create_pr:
        return Landed(land(ref=ref))
    pull = discussions.open_pull_request(
        hub, principal, repo, title=summary.strip()[:200], description=description, base=ref, draft=False
    )
    try:
        return Landed(land(ref=discussions.ref_of(pull)), pull.number)
    except BaseException:
        _withdraw(hub, principal, repo, pull)
        raise


def writable_ref(hub: Hub, principal: Principal, repo: Repo, revision: str, *, create_pr: bool = False) -> str:
    """Return the ref that a commit to `revision` moves, or, with `create_pr`, that it starts from.

    Branches are for those who may write; a pull request is for its author, too, and can be opened by who may read.
    Raises as `demand` does, RevisionNotFound for what is neither, Conflict for a pull request that is closed.
    """
    ref = revision if revision.startswith("refs/") else BRANCHES + revision
    pull = discussions.PULL.fullmatch(ref)
    with hub.database.read() as session:
        if create_pr or pull:
            discussions.demand_part(session, hub, principal, repo)
        if pull and not create_pr:
            _demand_open_pull(session, hub, principal, repo, int(pull[1]))
        elif not create_pr:
            demand(session, principal, repo, Right.WRITE, anonymous=hub.settings.anonymous)
    is_target = ref.startswith(BRANCHES) or (pull and not create_pr)
    if not is_target or hub.git.open(repo.id).head(ref) is None:
        raise RevisionNotFound(revision)
    return ref


def _demand_open_pull(session: Session, hub: Hub, principal: Principal, repo: Repo, number: int) -> None:
    pull = session.get(Discussion, (repo.id, number))
    if pull is None or not pull.pull_request:
        raise RevisionNotFound(f"refs/pr/{number}")
    if pull.author_id != principal.id:
        demand(session, principal, repo, Right.WRITE, anonymous=hub.settings.anonymous)
    if pull.status not in discussions.SHOWN["open"]:
        raise Conflict(f"the pull request #{number} is {pull.status}; open another one")


def _land(
    hub: Hub, principal: Principal, repo: Repo, operations: Iterable[Operation], *,
    ref: str, summary: str, description: str, parent: str | None,
) -> str:  # fmt: skip
    with hub.database.read() as session:
        author = author_of(session, principal)
    intake = Intake(hub, principal, repo)
    message = f"{summary}\n\n{description}" if description else summary
    with index.changing(hub, principal, repo, "commit.create", note=ref) as change:
        git = hub.git.open(repo.id)
        before = git.head(ref)
        sha = git.commit(ref, intake.changes(operations), parent=parent, author=author, message=message)
        change.commit, change.path, change.size, change.touched = sha, intake.only_path, intake.size, intake.touched
    if sha != before and discussions.PULL.fullmatch(ref):
        with hub.database.write() as session:
            discussions.note_commit(session, repo.id, ref, sha, summary, principal)
    return sha


def _withdraw(hub: Hub, principal: Principal, repo: Repo, pull: Discussion) -> None:
    """Take back a pull request whose commit was refused: nobody shall find an empty one."""
    with index.changing(hub, principal, repo, "pull.withdraw", note=f"#{pull.number}"):
        with hub.database.write() as session:  # before the ref: a ref without a pull request harms nobody
            for table in (DiscussionEvent, Discussion):
                session.execute(delete(table).where(table.repo_id == repo.id, table.number == pull.number))
        hub.git.open(repo.id).delete_ref(discussions.ref_of(pull))


@dataclass
class Intake:
    """What a commit brings in, looked at on its way to git."""

    hub: Hub
    principal: Principal
    repo: Repo
    size: int = 0
    paths: set[str] = field(default_factory=set)
    folders: bool = False
    accepted: set[str] = field(default_factory=set)

    def changes(self, operations: Iterable[Operation]) -> Iterator[Change]:
        """Yield what git shall do. Raises BadRequest and TooLarge; links the large files behind the last one."""
        for operation in operations:
            self.paths.add(operation.path)
            match operation:
                case Put():
                    yield self._regular(operation)
                case LargeFile():
                    yield self._large(operation)
                case _:
                    self.folders |= isinstance(operation, DeleteFolder)
                    yield operation
        # before the commit lands: nothing else keeps a sweep from a file that no link leads to
        if self.accepted:
            with self.hub.database.write() as session:
                contents.link(session, self.repo.id, *self.accepted)

    @property
    def only_path(self) -> str:
        """The path of a commit that changes one, for the audit log."""
        return next(iter(self.paths)) if len(self.paths) == 1 else ""

    @property
    def touched(self) -> set[str] | None:
        """The files that the commit changes, None where folders went with all that was in them."""
        return None if self.folders else self.paths

    def _regular(self, file: Put) -> Change:
        check_path(file.path)
        if pointer := read_pointer(file.data):
            return self._large(LargeFile(file.path, pointer.sha256, pointer.size))
        if len(file.data) > LARGEST_REGULAR:
            raise TooLarge(
                f"{file.path} has {len(file.data)} bytes; regular files may have {LARGEST_REGULAR}, so add it to "
                ".gitattributes (filter=lfs) and upload it as a large file"
            )
        self._screen(file.path, len(file.data), lambda start, stop: file.data[start:stop])
        self._check_card(file.path, file.data)
        self.size += len(file.data)
        return file

    def _large(self, file: LargeFile) -> Change:
        check_path(file.path)
        with self.hub.database.read() as session:
            content = contents.usable(session, self.hub, self.principal, self.repo, file.sha256)
        if content is None or not contents.presence(self.hub, content):
            raise BadRequest(f"LFS pointer pointed to a file that does not exist: {file.path}, {file.sha256}")
        if file.size not in (None, content.size):
            raise BadRequest(f"{file.path} is said to have {file.size} bytes; what was uploaded has {content.size}")
        self._screen(file.path, content.size, lambda start, stop: _read(self.hub, content, start, stop))
        if file.path == CARD:
            self._check_card(file.path, _read(self.hub, content, 0, min(content.size, LARGEST_REGULAR)))
        self.accepted.add(file.sha256)
        self.size += content.size
        return PutPointer(file.path, file.sha256, content.size)

    def _screen(self, path: str, size: int, read: Callable[[int, int], bytes]) -> None:
        if reason := screening.screen(path, screening.sample(size, read), size, self.hub.settings):
            raise BadRequest(reason)

    def _check_card(self, path: str, data: bytes) -> None:
        if path == CARD and self.hub.settings.cards == "refuse":
            found = cards.validate(data.decode(errors="replace"), self.repo.kind, policy="refuse")
            if found.errors:
                raise BadRequest(f"{CARD}: {'; '.join(found.errors)}")


def _read(hub: Hub, content: Content, start: int, stop: int) -> bytes:
    return b"".join(contents.read(hub, content, start, stop))
