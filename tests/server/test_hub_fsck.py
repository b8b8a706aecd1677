"""What `medhub hub fsck` finds: each kind of damage, made by hand on a copy of a real Hub's folder, and only that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lfs_client import make_repo, send
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from medhub.server.contents import lfs_key
from medhub.server.fsck import find_faults, orphans, rebuild
from medhub.server.hub import Hub, open_hub
from medhub.server.settings import Settings
from medhub.server.tables import AuditRecord, Content, ContentXorb, Repo, RepoContent, RepoTag, new_id
from medhub.server.xet.store import xorb_key

NAME = "model alice/whole"
CARD = b"""---
license: mit
modality: x-ray
tags: [x-ray]
---
# Intended use
For research only; not a medical device.
"""


@pytest.fixture(scope="module")
def prepared(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with large files of both transports, a card, a tag and a pull request; nothing is wrong."""
    from huggingface_hub import CommitOperationAdd

    api = served.api()
    make_repo(served, "alice/whole")
    api.upload_file(path_or_fileobj=os.urandom(300_000), path_in_repo="xet.bin", repo_id="alice/whole")
    with served.client() as client:
        data = os.urandom(100_000)
        send(client, "alice/whole", data)
    card = CommitOperationAdd("README.md", CARD)
    api.create_commit("alice/whole", [CommitOperationAdd("lfs.bin", data), card], commit_message="both")
    api.create_tag("alice/whole", tag="v1")
    api.create_pull_request("alice/whole", title="a proposal")
    make_repo(served, "alice/deleted")
    api.delete_repo("alice/deleted")
    assert list(find_faults(served.hub, deep=True)) == []

    folder = tmp_path_factory.mktemp("prepared") / "hub"
    shutil.copytree(served.hub.settings.data, folder)
    return folder


@pytest.fixture
def hub(prepared: Path, tmp_path: Path) -> Iterator[Hub]:
    """A copy to damage."""
    shutil.copytree(prepared, tmp_path / "hub")
    found = open_hub(Settings(data=tmp_path / "hub"))
    yield found
    found.database.close()


def faults(hub: Hub, *, deep: bool = False) -> list[str]:
    return list(find_faults(hub, deep=deep))


def one(hub: Hub, query: Any) -> Any:
    with hub.database.read() as session:
        return session.execute(query).scalars().one()


def whole_file(hub: Hub) -> str:
    """Return the sha256 of the file that came through LFS."""
    return str(one(hub, select(Content.sha256).where(Content.file_hash.is_(None))))


def blob(hub: Hub, key: str) -> Path:
    return hub.settings.data / "blobs" / key


def repo_id(hub: Hub) -> str:
    return str(one(hub, select(Repo.id).where(Repo.name == "whole")))


def git_folder(hub: Hub) -> Path:
    found = repo_id(hub)
    return hub.settings.data / "repositories" / found[:2] / f"{found}.git"


def flip(path: Path, place: int = 1000) -> None:
    """Change one bit, as a disk does."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_a_copy_is_whole(hub: Hub) -> None:
    assert faults(hub, deep=True) == []
    assert orphans(hub) == []


def test_missing_and_shortened_and_changed_bytes_of_a_whole_file(hub: Hub) -> None:
    sha256 = whole_file(hub)
    path = blob(hub, lfs_key(sha256))
    flip(path)
    assert faults(hub) == []  # the size is right; only --deep reads
    [fault] = faults(hub, deep=True)
    assert fault.startswith(f"large file {sha256}: its bytes are not what was stored")
    os.truncate(path, 99_999)
    missing = [f"large file {sha256}: bytes are missing from the blob store"]
    assert faults(hub) == missing
    path.unlink()
    assert faults(hub) == missing


def test_missing_and_shortened_and_changed_bytes_of_a_xorb(hub: Hub) -> None:
    needed = one(hub, select(ContentXorb))
    xorb, sha256 = needed.hash, needed.sha256
    path = blob(hub, xorb_key(xorb))
    size = path.stat().st_size
    flip(path)
    assert faults(hub) == []
    of_file, of_xorb = faults(hub, deep=True)
    assert of_file.startswith(f"large file {sha256}: its bytes are not what was stored (unreadable: xorb {xorb}")
    assert of_xorb == f"xorb {xorb}: its chunks are not what was stored"
    flip(path)
    assert faults(hub, deep=True) == []
    os.truncate(path, size - 1)
    assert faults(hub) == [f"xorb {xorb}: it has {size - 1} bytes, and had {size}"]
    path.unlink()
    assert faults(hub) == [
        f"large file {sha256}: bytes are missing from the blob store",
        f"xorb {xorb}: it is missing from the blob store",
    ]


def test_a_recipe_that_does_not_make_the_file(hub: Hub) -> None:
    sha256 = one(hub, select(Content.sha256).where(Content.file_hash.is_not(None)))
    with hub.database.write() as session:
        found = session.get_one(Content, sha256)
        found.terms = found.terms[:-1]
    assert faults(hub)[0] == f"large file {sha256}: its recipe does not make 300000 bytes"


def test_a_large_file_that_the_repository_has_not(hub: Hub) -> None:
    sha256 = whole_file(hub)
    with hub.database.write() as session:
        session.execute(delete(RepoContent).where(RepoContent.sha256 == sha256))
    assert faults(hub) == [f"{NAME}: a commit names the large file {sha256}, which the repository has not"]


def test_a_damaged_git_object_and_a_ref_that_leads_nowhere(hub: Hub) -> None:
    folder = git_folder(hub)
    (folder / "refs/heads/broken").write_text("1" * 40 + "\n")
    assert any("refs/heads/broken" in fault for fault in faults(hub))
    (folder / "refs/heads/broken").unlink()
    assert faults(hub) == []
    next(path for path in folder.glob("objects/??/*") if path.is_file()).unlink()
    found = faults(hub)
    assert found
    assert all(fault.startswith(f"{NAME}: git: ") for fault in found)


def test_a_missing_main_and_a_missing_folder(hub: Hub) -> None:
    (git_folder(hub) / "refs/heads/main").unlink()
    assert f"{NAME}: it has no branch main" in faults(hub)
    shutil.rmtree(git_folder(hub))
    assert faults(hub) == [f"{NAME}: its git folder is missing; restore it from a backup, or delete the repository"]
    assert rebuild(hub) == 0


def test_an_open_pull_request_without_its_ref(hub: Hub) -> None:
    (git_folder(hub) / "refs/pr/1").unlink()
    assert faults(hub) == [f"{NAME}: the open pull request 1 has no refs/pr/1"]


@pytest.mark.parametrize(
    ("named", "damage"),
    [
        ("storage", lambda session: session.execute(update(Repo).values(storage=1))),
        ("card", lambda session: session.execute(update(Repo).values(card={"license": "none"}))),
        ("text", lambda session: session.execute(update(Repo).values(text="nothing"))),
        ("tags", lambda session: session.execute(delete(RepoTag).where(RepoTag.tag == "x-ray"))),
        ("indexed", lambda session: session.execute(update(Repo).values(indexed="0" * 40))),
    ],
)
def test_an_index_that_is_not_what_git_has_and_its_repair(
    hub: Hub, named: str, damage: Callable[[Session], None]
) -> None:
    with hub.database.write() as session:
        session.execute(delete(Repo).where(Repo.name == "deleted"))
        before = session.get_one(Repo, repo_id(hub)).updated
        damage(session)
    [fault] = faults(hub)
    assert named in fault
    assert fault.endswith("in the database are not what git has; --repair derives them anew")
    assert rebuild(hub) == 1
    assert faults(hub) == []
    assert one(hub, select(Repo.updated)) == before  # a repair is no change of the files


def test_a_repository_that_is_being_changed_is_not_compared(hub: Hub) -> None:
    with hub.database.write() as session:
        session.execute(update(Repo).where(Repo.name == "whole").values(dirty=1, indexed="0" * 40))
    assert faults(hub) == []


def test_a_changed_line_of_the_audit_log(hub: Hub) -> None:
    with hub.database.write() as session:
        session.execute(update(AuditRecord).where(AuditRecord.number == 2).values(actor="somebody"))
    assert faults(hub) == ["audit line 2 is not what was written"]


def test_a_creation_that_was_cut_off_is_harmless(hub: Hub) -> None:
    uid = new_id()
    hub.git.copy(repo_id(hub), uid)
    assert orphans(hub) == [uid]
    assert faults(hub) == []


def test_beside_a_hub_at_work_nothing_looks_wrong(served: Any) -> None:
    make_repo(served, "alice/busy")
    api = served.api()

    def work() -> None:
        for number in range(12):
            api.upload_file(path_or_fileobj=os.urandom(20_000), path_in_repo=f"{number}.bin", repo_id="alice/busy")
            api.create_pull_request("alice/busy", title="a proposal")

    with ThreadPoolExecutor() as threads:
        worker = threads.submit(work)
        while not worker.done():
            assert faults(served.hub, deep=True) == []
        worker.result()
