"""The sweep of what nothing needs, the erasure of named files, and neither of them against an upload under way."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from lfs_client import ask_for_one, commit, fetch, make_repo, principal, send, sha256
from sqlalchemy import delete, select, update

from medhub.server import audit, contents, erasure, transfers
from medhub.server.tables import Content, ContentXorb, Repo, RepoContent, Xorb, XorbOwner, new_id, now

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def store(served: Any, repo: Repo, data: bytes) -> str:
    upload = served.hub.blobs.upload()
    upload.write(data)
    contents.store(served.hub, repo, upload, sha256(data), len(data), principal=principal(served))
    return sha256(data)


def store_in_xorbs(served: Any, repo: Repo, data: bytes, xorbs: list[str]) -> str:
    """Make a content that lies in xorbs of these hashes, made where they are missing."""
    with served.hub.database.write() as session:
        terms = [[xorb, 0, 1, len(data)] for xorb in xorbs]
        session.add(Content(sha256=sha256(data), size=len(data), file_hash=sha256(data)[::-1], terms=terms))
        for xorb in xorbs:
            if session.get(Xorb, xorb) is None:
                session.add(Xorb(hash=xorb, size=10))
                session.flush()
                session.add(XorbOwner(hash=xorb, user_id=repo.namespace_id))
            session.add(ContentXorb(sha256=sha256(data), hash=xorb))
        session.flush()
        contents.link(session, repo.id, sha256(data))
    for xorb in xorbs:
        for key in contents.xet.blob_keys(xorb):
            upload = served.hub.blobs.upload()
            upload.write(b"ten bytes!")
            upload.commit(key)
    return sha256(data)


def age(served: Any, *sha256s: str) -> None:
    """Let contents, their links and their xorbs be two days old."""
    then = now() - 2 * DAY
    with served.hub.database.write() as session:
        session.execute(update(Content).where(Content.sha256.in_(sha256s)).values(created=then))
        session.execute(update(RepoContent).where(RepoContent.sha256.in_(sha256s)).values(created=then, used=then))
        needed = select(ContentXorb.hash).where(ContentXorb.sha256.in_(sha256s))
        session.execute(update(Xorb).where(Xorb.hash.in_(needed)).values(created=then))


def has_row(served: Any, oid: str) -> bool:
    with served.hub.database.read() as session:
        return contents.find(session, oid) is not None


def has_bytes(served: Any, oid: str) -> bool:
    return served.hub.blobs.size(contents.lfs_key(oid)) is not None


def xorb_there(served: Any, xorb: str) -> bool:
    with served.hub.database.read() as session:
        row = session.get(Xorb, xorb) is not None
    there = {served.hub.blobs.size(key) is not None for key in contents.xet.blob_keys(xorb)}
    assert there == {row}, "row and bytes come and go together"
    return row


def epoch(served: Any) -> int:
    with served.hub.database.read() as session:
        return erasure.epoch(session)


def lines(served: Any, action: str, repo: Repo) -> list[dict[str, Any]]:
    with served.hub.database.read() as session:
        return [
            line
            for line in audit.lines(session)
            if line["action"] == action and line["repo"] == f"model {repo.full_name}"
        ]


@pytest.fixture
def swept(served: Any) -> Any:
    """The Hub of this module, in which a sweep finds nothing."""
    erasure.collect(served.hub, grace=HOUR, delete=True)
    assert erasure.collect(served.hub, grace=HOUR, delete=True) == erasure.Report()
    return served


def test_a_sweep_takes_what_no_ref_names(swept: Any) -> None:
    served = swept
    repo, other = make_repo(served, "alice/sweep"), make_repo(served, "alice/sweep-other")
    names = ("main", "old commit", "branch", "tag", "pull", "young", "shared", "unneeded", "unneeded too")
    data = {name: name.encode() * 100 for name in names}
    oids = {name: store(served, repo, content) for name, content in data.items()}
    store(served, other, data["shared"])
    git = served.hub.git.open(repo.id)
    commit(served, repo, {"w.bin": data["old commit"]}, large=True)
    head = commit(served, repo, {"w.bin": data["main"]}, large=True)
    for name, ref in {"branch": "refs/heads/b", "pull": "refs/pr/1", "tag": "refs/tags/t"}.items():
        git.set_ref(ref, head, expected=None)
        commit(served, repo, {"w.bin": data[name]}, large=True, ref=ref)
    commit(served, other, {"w.bin": data["shared"]}, large=True)
    age(served, *(oid for name, oid in oids.items() if name != "young"))

    expected = erasure.Report(links=3, contents=2, bytes=len(data["unneeded"]) + len(data["unneeded too"]))
    assert erasure.collect(served.hub, grace=DAY) == expected, "counted"
    assert all(has_row(served, oid) and has_bytes(served, oid) for oid in oids.values()), "and left alone"
    before = epoch(served)
    assert erasure.collect(served.hub, grace=DAY, delete=True) == expected
    assert {name for name in names if has_bytes(served, oids[name])} == set(names) - {"unneeded", "unneeded too"}
    assert {name for name in names if has_row(served, oids[name])} == set(names) - {"unneeded", "unneeded too"}
    with served.hub.database.read() as session:
        assert contents.linked(session, repo.id, oids["shared"]) is None
        assert contents.linked(session, other.id, oids["shared"])
    assert erasure.collect(served.hub, grace=DAY, delete=True) == erasure.Report()
    assert epoch(served) == before, "no xorb was removed"


def test_xorbs_go_with_the_last_content_that_needs_them(swept: Any) -> None:
    served = swept
    repo = make_repo(served, "alice/xorbs")
    alone, both, young = "1" * 64, "2" * 64, "3" * 64
    old = store_in_xorbs(served, repo, b"old", [alone, both])
    kept = store_in_xorbs(served, repo, b"kept", [both])
    commit(served, repo, {"w.bin": b"kept"}, large=True)
    with served.hub.database.write() as session:
        session.add(Xorb(hash=young, size=10))
    for key in contents.xet.blob_keys(young):
        upload = served.hub.blobs.upload()
        upload.commit(key)
    age(served, old, kept)
    before = epoch(served)
    report = erasure.collect(served.hub, grace=DAY, delete=True)
    assert (report.links, report.contents, report.xorbs) == (1, 1, 1)
    assert not has_row(served, old)
    assert has_row(served, kept)
    assert not xorb_there(served, alone)
    assert xorb_there(served, both)
    assert xorb_there(served, young), "its shard may be on its way"
    assert epoch(served) == before + 1, "clients must forget the xorb"


def test_deleted_repositories_go_after_the_grace(swept: Any) -> None:
    served = swept
    old, young = make_repo(served, "alice/dead-old"), make_repo(served, "alice/dead-young")
    first, second = store(served, old, b"of the old"), store(served, young, b"of the young")
    for repo, data in ((old, b"of the old"), (young, b"of the young")):
        commit(served, repo, {"w.bin": data}, large=True)
    age(served, first, second)
    with served.hub.database.write() as session:
        session.execute(update(Repo).where(Repo.id == old.id).values(deleted=now() - 2 * DAY, path=None))
        session.execute(update(Repo).where(Repo.id == young.id).values(deleted=now(), path=None))
    assert erasure.collect(served.hub, grace=DAY).repositories == 1
    assert old.id in set(served.hub.git.uids())
    report = erasure.collect(served.hub, grace=DAY, delete=True)
    assert (report.repositories, report.contents) == (1, 1)
    assert old.id not in set(served.hub.git.uids())
    assert young.id in set(served.hub.git.uids())
    assert not has_bytes(served, first)
    assert has_bytes(served, second)
    with served.hub.database.read() as session:
        assert session.get(Repo, old.id) is None
        assert session.get(Repo, young.id)


def test_leftovers_of_uploads(swept: Any) -> None:
    served = swept
    begun = {"old": time.time() - 2 * DAY.total_seconds(), "young": time.time()}
    parts = {name: transfers.part_key(f"{int(when):010x}{0:016x}", 1, "a" * 64) for name, when in begun.items()}
    orphan = contents.lfs_key(sha256(b"a process died before the row"))
    for key in (*parts.values(), orphan):
        upload = served.hub.blobs.upload()
        upload.write(b"12345")
        upload.commit(key)
    unfinished = served.hub.blobs.upload()
    unfinished.write(b"on its way")
    assert erasure.collect(served.hub, grace=DAY) == erasure.Report(leftovers=2, bytes=10)
    assert erasure.collect(served.hub, grace=DAY, delete=True) == erasure.Report(leftovers=2, bytes=10)
    assert served.hub.blobs.size(parts["old"]) is None
    assert served.hub.blobs.size(orphan) is None
    assert served.hub.blobs.size(parts["young"]) == 5
    assert Path(unfinished.path()).exists(), "an upload under way is left alone"
    unfinished.discard()


def test_an_upload_under_way_notices_the_sweep(swept: Any) -> None:
    """The bytes have arrived, the row has not: a sweep may take them; then the client is told to send them again."""
    served = swept
    make_repo(served, "alice/under-way")
    data = b"under way" * 1000
    real = type(served.hub.blobs.upload()).commit

    def then_sweep(upload: Any, key: str) -> bool:
        done = real(upload, key)
        assert erasure.collect(served.hub, grace=timedelta(0), delete=True).leftovers == 1
        return done

    with pytest.MonkeyPatch.context() as patch, served.client("alice") as alice:
        href = ask_for_one(alice, "alice/under-way", data)["actions"]["upload"]["href"]
        patch.setattr(type(served.hub.blobs.upload()), "commit", then_sweep)
        assert httpx.put(href, content=data).status_code == 503, "clients repeat after this"
        assert not has_row(served, sha256(data))
        patch.undo()
        assert httpx.put(href, content=data).status_code == 200
        assert fetch(alice, "alice/under-way", sha256(data)) == data


def test_what_is_named_during_the_sweep_stays(swept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit names an old object after the sweep has looked at the refs, and before it deletes."""
    served = swept
    repo = make_repo(served, "alice/named")
    oid = store(served, repo, b"named late")
    age(served, oid)
    looked = erasure._unneeded

    def then_commit(*arguments: Any) -> list[str]:
        found = looked(*arguments)
        if arguments[1] == repo.id:
            assert found == [oid]
            with served.hub.database.write() as session:
                contents.link(session, repo.id, oid)
        return found

    monkeypatch.setattr(erasure, "_unneeded", then_commit)
    assert erasure.collect(served.hub, grace=DAY, delete=True).links == 0
    assert has_row(served, oid)
    assert has_bytes(served, oid)


def test_uploads_and_sweeps_in_a_crowd(swept: Any) -> None:
    """Four threads upload the same few files, one takes their links away, one sweeps: no row ever lacks its bytes."""
    served = swept
    repo = make_repo(served, "alice/crowd")
    data = [f"crowd {number}".encode() * 50 for number in range(4)]
    stop, errors = threading.Event(), list[BaseException]()
    refused = 0

    def forever(work: Any) -> None:
        try:
            chance = random.Random(0)
            while not stop.is_set():
                work(chance)
        except BaseException as error:
            errors.append(error)
            stop.set()

    def upload(chance: random.Random) -> None:
        nonlocal refused
        try:
            store(served, repo, chance.choice(data))
        except contents.Swept:
            refused += 1

    def unlink(chance: random.Random) -> None:
        with served.hub.database.write() as session:
            session.execute(delete(RepoContent).where(RepoContent.sha256 == sha256(chance.choice(data))))

    def check(chance: random.Random) -> None:
        with served.hub.database.write() as session:  # alone, so that nothing moves between row and bytes
            for content in session.execute(select(Content).where(Content.sha256.in_(map(sha256, data)))).scalars():
                assert contents.presence(served.hub, content)

    def sweep(chance: random.Random) -> None:
        erasure.collect(served.hub, grace=timedelta(0), delete=True)

    threads = [threading.Thread(target=forever, args=(work,)) for work in (upload,) * 4 + (unlink, check, sweep)]
    for thread in threads:
        thread.start()
    stop.wait(3)
    stop.set()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    for content in data:
        store(served, repo, content)
        assert b"".join(served.hub.blobs.read(contents.lfs_key(sha256(content)))) == content


def test_erasure_reaches_history_bytes_and_log(served: Any) -> None:
    repo, other = make_repo(served, "alice/erased"), make_repo(served, "bob/keeps", who="bob")
    patient, held, kept = b"a patient" * 100, b"held elsewhere", b"not a patient"
    for data in (patient, held, kept):
        store(served, repo, data)
    store(served, other, held)
    first = commit(served, repo, {"patient.bin": patient, "held.bin": held, "kept.bin": kept}, large=True)
    commit(served, repo, {"README.md": b"x"})
    commit(served, other, {"held.bin": held}, large=True)
    deletions = {"sha": [sha256(patient), sha256(held), "0" * 64], "rewriteHistory": True}
    with served.client("alice") as alice, served.client("bob") as bob:
        listed = {item["fileOid"]: item for item in alice.get("/api/models/alice/erased/lfs-files").json()}
        assert (listed[sha256(patient)]["filename"], listed[sha256(patient)]["ref"]) == (
            "patient.bin",
            "refs/heads/main",
        )
        assert alice.post("/api/models/alice/erased/lfs-files/batch", json={"deletions": deletions}).status_code == 200
        assert alice.get("/alice/erased/resolve/main/patient.bin").status_code == 404
        assert alice.get(f"/alice/erased/resolve/{first}/patient.bin").status_code == 404
        assert fetch(alice, "alice/erased", sha256(patient)) is None
        assert alice.get("/alice/erased/resolve/main/kept.bin").content == kept
        assert bob.get("/bob/keeps/resolve/main/held.bin").content == held
        assert [item["fileOid"] for item in alice.get("/api/models/alice/erased/lfs-files").json()] == [sha256(kept)]
    assert not has_row(served, sha256(patient))
    assert not has_bytes(served, sha256(patient))
    assert sha256(patient) not in {oid for oid, _ in served.hub.git.open(repo.id).reachable_pointers()}
    assert {line["path"]: line["note"] for line in lines(served, "lfs.erase", repo)} == {
        sha256(patient): "its bytes are removed", sha256(held): "1 other repositories have it",
    }  # fmt: skip
    assert len(lines(served, "history.rewrite", repo)) == 1


def test_erasure_without_history_leaves_pointers_that_open_nothing(served: Any) -> None:
    repo, data = make_repo(served, "alice/pointers"), b"pointer stays"
    store(served, repo, data)
    head = commit(served, repo, {"w.bin": data}, large=True)
    with served.client("alice") as alice:
        deletions = {"sha": [sha256(data)], "rewriteHistory": False}
        assert (
            alice.post("/api/models/alice/pointers/lfs-files/batch", json={"deletions": deletions}).status_code == 200
        )
        assert served.hub.git.open(repo.id).head("refs/heads/main") == head
        assert alice.get("/alice/pointers/resolve/main/w.bin").status_code == 404
    assert not has_bytes(served, sha256(data))


def test_erasure_of_recipes(served: Any) -> None:
    repo = make_repo(served, "alice/recipes")
    alone, both = "4" * 64, "5" * 64
    gone = store_in_xorbs(served, repo, b"gone", [alone, both])
    store_in_xorbs(served, repo, b"stays", [both])
    before = epoch(served)
    report = erasure.erase(served.hub, principal(served), repo, [gone], rewrite=False)
    assert report == erasure.Report(links=1, contents=1, xorbs=1, bytes=10, shared=1)
    assert not xorb_there(served, alone)
    assert xorb_there(served, both)
    assert epoch(served) == before + 1
    assert "1 xorbs stay" in lines(served, "lfs.erase", repo)[-1]["note"], "the operator has to know"


def test_nobody_erases_what_another_has(served: Any) -> None:
    repo, thief = make_repo(served, "alice/safe"), make_repo(served, "bob/eraser", who="bob")
    oid = store(served, repo, b"safe")
    report = erasure.erase(served.hub, principal(served, "bob"), thief, [oid], rewrite=True)
    assert report == erasure.Report()
    assert has_row(served, oid)
    assert has_bytes(served, oid)


def test_who_may_list_and_erase(served: Any) -> None:
    make_repo(served, "radiology/admin")
    url = "/api/models/radiology/admin/lfs-files"
    body = {"deletions": {"sha": [], "rewriteHistory": True}}
    with served.client("alice") as alice, served.client("bob") as bob, served.client("carol") as carol:
        assert alice.get(url).json() == []
        assert alice.post(url + "/batch", json=body).status_code == 200
        assert bob.get(url).status_code == bob.post(url + "/batch", json=body).status_code == 403
        assert carol.get(url).status_code == carol.post(url + "/batch", json=body).status_code == 404
        for wrong in ({}, {"deletions": 1}, {"deletions": {"sha": ["x"]}}, {"deletions": {"sha": ["0" * 64] * 1001}}):
            assert alice.post(url + "/batch", json=wrong).status_code == 400, wrong


def test_the_list_has_pages(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "PAGE", 3)
    repo = make_repo(served, "alice/pages")
    oids = {store(served, repo, new_id().encode()) for _ in range(7)}
    assert {file.file_oid for file in served.api("alice").list_lfs_files("alice/pages")} == oids
    with served.client("alice") as alice:
        assert alice.get("/api/models/alice/pages/lfs-files?cursor=x").status_code == 400
        send(alice, "alice/pages", b"")
