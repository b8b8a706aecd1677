"""Large files by their sha256: who has them, who may use them, and that storing them twice stores them once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from lfs_client import make_repo, principal, sha256
from sqlalchemy import select, update

from medhub.server import contents
from medhub.server.storage.blobs import Upload
from medhub.server.tables import Content, ContentXorb, Repo, RepoContent, Xorb, now


def uploaded(served: Any, data: bytes) -> Upload:
    upload = served.hub.blobs.upload()
    upload.write(data)
    return upload


def store(served: Any, repo: Repo, data: bytes) -> None:
    contents.store(served.hub, repo, uploaded(served, data), sha256(data), len(data), principal=principal(served))


def find(served: Any, data: bytes) -> Content | None:
    with served.hub.database.read() as session:
        return contents.find(session, sha256(data))


def usable_by(served: Any, who: str, repo: Repo, data: bytes) -> bool:
    with served.hub.database.read() as session:
        return contents.usable(session, served.hub, principal(served, who), repo, sha256(data)) is not None


def as_recipe(served: Any, data: bytes, xorbs: Iterable[str]) -> None:
    """Make rows of a content that lies in xorbs, whose blobs the caller makes or not."""
    with served.hub.database.write() as session:
        terms = [[xorb, 0, 1, len(data)] for xorb in xorbs]
        session.add(Content(sha256=sha256(data), size=len(data), file_hash=sha256(data)[::-1], terms=terms))
        session.add_all(Xorb(hash=xorb, size=10) for xorb in xorbs)
        session.flush()
        session.add_all(ContentXorb(sha256=sha256(data), hash=xorb) for xorb in xorbs)


def test_store_find_and_read(served: Any) -> None:
    repo, data = make_repo(served, "alice/stored"), bytes(range(256)) * 9000
    store(served, repo, data)
    content = find(served, data)
    assert content
    assert (content.size, content.file_hash) == (len(data), None)
    assert contents.presence(served.hub, content)
    assert b"".join(contents.read(served.hub, content)) == data
    assert b"".join(contents.read(served.hub, content, 7, 1_500_000)) == data[7:1_500_000]
    with served.hub.database.read() as session:
        assert contents.linked(session, repo.id, sha256(data)) is not None
        assert contents.linked(session, "0" * 24, sha256(data)) is None


def test_usable_is_what_one_has_or_may_read(served: Any) -> None:
    private, public = make_repo(served, "alice/private"), make_repo(served, "alice/public", visibility="public")
    team = make_repo(served, "radiology/team")
    bobs = make_repo(served, "bob/target", who="bob")
    hidden, shown, shared, gone = b"hidden", b"shown", b"shared", b"gone"
    for repo, data in ((private, hidden), (public, shown), (team, shared), (public, gone)):
        store(served, repo, data)
    assert not usable_by(served, "bob", bobs, hidden)
    assert usable_by(served, "alice", bobs, hidden), "she may read alice/private"
    assert usable_by(served, "bob", bobs, shown)
    assert usable_by(served, "bob", bobs, shared)
    assert not usable_by(served, "carol", bobs, shared), "not a member"
    assert usable_by(served, "bob", private, hidden), (
        "the repository has it; the right on the repository is asked elsewhere"
    )
    with served.hub.database.write() as session:
        session.execute(update(Repo).where(Repo.id == public.id).values(gated="manual"))
    assert not usable_by(served, "bob", bobs, shown), "seeing a gated repository is not reading it"
    with served.hub.database.write() as session:
        session.execute(update(Repo).where(Repo.id == public.id).values(gated=None, deleted=now()))
    assert not usable_by(served, "bob", bobs, gone), "nobody reads a deleted repository"


def test_a_link_is_made_once_and_renewed(served: Any) -> None:
    repo = make_repo(served, "alice/links")
    many = [f"{number}".encode() for number in range(1500)]
    with served.hub.database.write() as session:
        session.add_all(Content(sha256=sha256(data), size=1) for data in many)
    long_ago = now().replace(year=2020)
    with served.hub.database.write() as session:
        contents.link(session, repo.id, *(sha256(data) for data in many[:1200]))
        session.execute(update(RepoContent).values(used=long_ago, created=long_ago))
    with served.hub.database.write() as session:
        contents.link(session, repo.id, *(sha256(data) for data in many))
    with served.hub.database.read() as session:
        links = session.execute(select(RepoContent).where(RepoContent.repo_id == repo.id)).scalars().all()
    assert len(links) == 1500
    assert all(link.used > long_ago for link in links)
    assert sum(link.created == long_ago for link in links) == 1200, "when it came stays"


def test_a_link_to_what_is_gone_is_refused(served: Any) -> None:
    repo = make_repo(served, "alice/gone")
    with pytest.raises(contents.Swept), served.hub.database.write() as session:
        contents.link(session, repo.id, "0" * 64)


def test_what_lies_in_xorbs_stays_so(served: Any) -> None:
    repo, data = make_repo(served, "alice/recipe"), b"in xorbs"
    as_recipe(served, data, ["a" * 64])
    upload = uploaded(served, b"a xorb")
    upload.commit(contents.xet.xorb_key("a" * 64))
    store(served, repo, data)
    content = find(served, data)
    assert content
    assert content.file_hash
    assert served.hub.blobs.size(contents.lfs_key(sha256(data))) is None, "not stored a second time"


def test_a_recipe_whose_xorbs_are_lost_is_replaced(served: Any) -> None:
    repo, data = make_repo(served, "alice/healed"), b"xorbs lost"
    as_recipe(served, data, ["b" * 64, "c" * 64])
    content = find(served, data)
    assert content
    assert not contents.presence(served.hub, content)
    store(served, repo, data)
    content = find(served, data)
    assert content
    assert content.file_hash is None
    assert b"".join(contents.read(served.hub, content)) == data
    with served.hub.database.read() as session:
        assert not session.execute(select(ContentXorb).where(ContentXorb.sha256 == sha256(data))).all()


def test_many_at_once(served: Any) -> None:
    """The same bytes from eight sides for two repositories: one content, two links, no error, nothing left over."""
    repos, data = [make_repo(served, f"alice/crowd-{number}") for number in (1, 2)], b"crowd" * 1000
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            store(served, repos[number % 2], data)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with served.hub.database.read() as session:
        assert len(session.execute(select(RepoContent).where(RepoContent.sha256 == sha256(data))).all()) == 2
    assert hashlib.sha256(b"".join(served.hub.blobs.read(contents.lfs_key(sha256(data))))).hexdigest() == sha256(data)
    assert not list((served.hub.settings.data / "blobs" / "tmp").iterdir())
