"""What a commit is, below HTTP: races, what the operator's settings say, links, roles, and what is looked at when."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import TestHub, people
from lfs_client import make_repo, principal, sha256
from sqlalchemy import select

from medhub.server import accounts, audit, commits, contents, discussions, index
from medhub.server.access import Principal
from medhub.server.commits import LargeFile, Operation
from medhub.server.errors import (
    BadRequest,
    Conflict,
    EntryNotFound,
    Forbidden,
    Refusal,
    RepoNotFound,
    RevisionNotFound,
    Stale,
)
from medhub.server.hub import Hub, open_hub
from medhub.server.settings import Settings
from medhub.server.storage.git import Delete, DeleteFolder, Put
from medhub.server.tables import Repo, RepoContent

MAIN = "refs/heads/main"
CARD = b"---\nlicense: mit\npipeline_tag: x\n---\nNot a medical device.\n\n## Intended use\n\nSorting X-rays.\n"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestHub]:
    """A Hub that nobody serves."""
    hub = open_hub(Settings(data=tmp_path_factory.mktemp("hub")))
    yield TestHub(hub, "", people(hub))
    hub.database.close()


def land(
    stored: TestHub,
    repo: Repo,
    *operations: Operation,
    who: str = "alice",
    hub: Hub | None = None,
    revision: str = "main",
    **more: Any,
) -> commits.Landed:
    return commits.commit(
        hub or stored.hub, principal(stored, who), repo, revision, operations, summary="a change", **more
    )


def paths(stored: TestHub, repo: Repo, ref: str = MAIN) -> set[str]:
    git = stored.hub.git.open(repo.id)
    return {entry.path for entry in git.tree(git.head(ref), recursive=True) if entry.kind == "file"} - {
        ".gitattributes"
    }


def upload(stored: TestHub, repo: Repo, data: bytes, who: str = "alice") -> str:
    made = stored.hub.blobs.upload()
    made.write(data)
    contents.store(stored.hub, repo, made, sha256(data), len(data), principal=principal(stored, who))
    return sha256(data)


def linked(stored: TestHub, repo: Repo) -> set[str]:
    with stored.hub.database.read() as session:
        return set(session.execute(select(RepoContent.sha256).where(RepoContent.repo_id == repo.id)).scalars())


def at_once(work: list[Any]) -> list[Any]:
    """Call all functions from threads of their own, begun together; return what each returned or raised."""
    found: list[Any] = [None] * len(work)
    barrier = threading.Barrier(len(work))

    def call(place: int) -> None:
        barrier.wait()
        try:
            found[place] = work[place]()
        except Refusal as refusal:
            found[place] = refusal

    threads = [threading.Thread(target=call, args=(place,)) for place in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_commits_at_once_all_land(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/race")
    found = at_once([lambda n=n: land(stored, repo, Put(f"{n}.txt", b"%d" % n)) for n in range(8)])
    assert len({landed.sha for landed in found}) == 8
    assert paths(stored, repo) == {f"{n}.txt" for n in range(8)}
    assert len(stored.hub.git.open(repo.id).log(found[0].sha)) >= 2


def test_of_commits_on_one_parent_one_lands(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/parent")
    parent = stored.hub.git.open(repo.id).head(MAIN)
    found = at_once([lambda n=n: land(stored, repo, Put(f"{n}.txt", b""), parent=parent) for n in range(6)])
    assert [type(one) for one in found].count(Stale) == 5
    assert len(paths(stored, repo)) == 1


def test_a_refused_commit_changes_nothing(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/refused")
    land(stored, repo, Put("kept", b"x"))
    before = stored.hub.git.open(repo.id).head(MAIN)
    for last, error in (
        (Delete("gone"), EntryNotFound), (DeleteFolder("kept"), EntryNotFound), (Put("../x", b""), BadRequest),
        (LargeFile("w", "0" * 64), BadRequest), (Put("kept/below", b""), BadRequest), (Put("x.pkl", b""), BadRequest),
    ):  # fmt: skip
        with pytest.raises(error):
            land(stored, repo, Put("new", b"new"), Delete("kept"), Put("kept", b"y"), last)
        with pytest.raises(error):
            land(stored, repo, Put("new", b"new"), Put("kept", b"y"), last, create_pr=True)
    assert stored.hub.git.open(repo.id).head(MAIN) == before
    assert stored.hub.git.open(repo.id).pulls() == {}
    with stored.hub.database.read() as session:
        assert discussions.listing(session, repo) == ([], 0)
        assert session.get_one(Repo, repo.id).dirty == 0
        actions = [line["action"] for line in audit.lines(session) if line["repo"] == "model alice/refused"]
    assert actions == ["repo.create", "commit.create", *["pull.open", "pull.withdraw"] * 6]


def test_operations_are_taken_one_by_one(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/lazy")
    alive = most = 0

    class Tracked(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def operations() -> Iterator[Operation]:
        nonlocal alive, most
        for number in range(20):
            alive += 1
            most = max(most, alive)
            yield Put(f"{number}.txt", Tracked(b"%d" % number * 1000))

    commits.commit(stored.hub, principal(stored), repo, "main", operations(), summary="s")
    assert (len(paths(stored, repo)), most <= 3) == (20, True)


def test_large_files_are_linked_before_they_are_named(stored: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = make_repo(stored, "alice/source", visibility="public"), make_repo(stored, "bob/target", who="bob")
    oid = upload(stored, source, random.Random(0).randbytes(10_000))
    seen = []
    real = index.derive
    monkeypatch.setattr(index, "derive", lambda *given: seen.append(linked(stored, target)) or real(*given))
    landed = land(stored, target, LargeFile("w.bin", oid), Put("a", b"a"), who="bob")
    assert seen == [{oid}]
    entry = stored.hub.git.open(target.id).entry(landed.sha, "w.bin")
    assert (entry.size, entry.lfs.sha256) == (10_000, oid)


def test_lost_bytes_cannot_be_committed(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/lost")
    oid = upload(stored, repo, b"soon gone")
    stored.hub.blobs.delete(contents.lfs_key(oid))
    with pytest.raises(BadRequest, match="does not exist"):
        land(stored, repo, LargeFile("w.bin", oid))


def test_roles(stored: TestHub) -> None:
    repo = make_repo(stored, "radiology/roles")
    with pytest.raises(Forbidden):
        land(stored, repo, Put("a", b""), who="bob")
    assert land(stored, repo, Put("a", b""), who="bob", create_pr=True).pull_request == 1
    for who in ("alice", "bob", "root"):
        land(stored, repo, Put(who, b""), who=who, revision="refs/pr/1")
    assert paths(stored, repo) == set()
    assert paths(stored, repo, "refs/pr/1") == {"a", "alice", "bob", "root"}
    with stored.hub.database.write() as session:
        accounts.set_role(
            session, accounts.get_account(session, "radiology"), accounts.get_account(session, "carol"), "read"
        )
        user = accounts.get_account(session, "carol")
        _, secret = accounts.create_token(session, user, "w", role="write")
    with stored.hub.database.read() as session:
        carol = accounts.authenticate(session, secret)
    with pytest.raises(Forbidden):
        commits.writable_ref(stored.hub, carol, repo, "refs/pr/1")
    discussions.set_status(stored.hub, principal(stored, "bob"), repo, 1, status="closed")
    with pytest.raises(Conflict, match="closed"):
        land(stored, repo, Put("b", b""), who="bob", revision="refs/pr/1")


def test_a_token_that_only_reads_proposes_nothing(stored: TestHub) -> None:
    repo = make_repo(stored, "bob/narrow", who="bob", visibility="public")
    scope = {"type": "model", "name": "bob/narrow", "permissions": ["repo.content.read"]}
    with stored.hub.database.write() as session:
        user = accounts.get_account(session, "alice")
        _, secret = accounts.create_token(session, user, "narrow", role="fineGrained", scopes=[scope])
    with stored.hub.database.read() as session:
        narrow = accounts.authenticate(session, secret)
    for caller in (narrow, principal(stored, "carol")):
        for create_pr in (False, True):
            with pytest.raises(Forbidden):
                commits.writable_ref(stored.hub, caller, repo, "main", create_pr=create_pr)


def test_a_discussion_is_no_pull_request(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/talk")
    discussions.open_discussion(stored.hub, principal(stored), repo, title="A question", description="?")
    for revision in ("refs/pr/1", "refs/pr/2", "refs/pr/01", "refs/pr/x", "refs/heads/gone", "HEAD", "", "refs/heads/"):
        with pytest.raises(RevisionNotFound):
            land(stored, repo, Put("a", b""), revision=revision)


def test_policies(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/policy")
    land(stored, repo, Put("README.md", b"# Nothing said"))
    strict = replace(stored.hub, settings=replace(stored.hub.settings, cards="refuse"))
    with pytest.raises(BadRequest, match=r"README\.md: .*Intended use.*licence"):
        land(stored, repo, Put("README.md", b"# Nothing said"), hub=strict)
    land(stored, repo, Put("README.md", CARD), Put("docs/README.md", b"# Nothing said"), hub=strict)
    oid = upload(stored, repo, b"# Nothing said")
    with pytest.raises(BadRequest, match="Intended use"):
        land(stored, repo, LargeFile("README.md", oid), hub=strict)
    lenient = replace(stored.hub, settings=replace(stored.hub.settings, pickles="flag"))
    land(stored, repo, Put("model.pkl", b"\x80\x04}."), hub=lenient)
    assert "model.pkl" in paths(stored, repo)


def test_a_pull_request_without_a_change(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/unchanged")
    main = stored.hub.git.open(repo.id).head(MAIN)
    landed = land(stored, repo, create_pr=True, description="words")
    assert (landed.sha, landed.pull_request) == (main, 1)


def test_who_and_why(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/author")
    landed = land(stored, repo, Put("a", b""), description="why\n\nso")
    commit = stored.hub.git.open(repo.id).get_commit(landed.sha)
    assert (commit.author, commit.title, commit.message) == ("alice", "a change", "a change\n\nwhy\n\nso")
    with pytest.raises(RepoNotFound):
        commits.commit(stored.hub, Principal(), repo, "main", [Put("b", b"")], summary="s")
