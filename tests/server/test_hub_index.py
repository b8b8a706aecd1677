"""What is derived from git: the same by steps and from nothing, whatever files hold, and after a change that died."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TestHub, people
from hypothesis import HealthCheck, given, settings, strategies
from lfs_client import commit, make_repo, principal, sha256
from sqlalchemy import select

import medhub
from medhub.server import audit, commits, contents, facts, index
from medhub.server.access import Principal
from medhub.server.commits import LargeFile
from medhub.server.errors import BadRequest
from medhub.server.hub import open_hub
from medhub.server.settings import Settings
from medhub.server.storage.git import Author, Delete, DeleteFolder, Put
from medhub.server.tables import AuditRecord, Repo, RepoTag

AUTHOR = Author("alice", "alice@hospital.example")
ZOO = Path(medhub.__file__).parents[1] / "zoo"
CARD = """\
---
license: mit
tags: [lungs]
language: [en]
datasets: nih
modality: CT
---
# Lungs

Finds lungs in scans of chests.
"""
MAIN = "refs/heads/main"


def weights(*shapes: tuple[str, list[int]], metadata: bool = True) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}} if metadata else {}
    header |= {
        str(number): {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}
        for number, (dtype, shape) in enumerate(shapes)
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4000)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestHub]:
    """A Hub that nobody serves."""
    hub = open_hub(Settings(data=tmp_path_factory.mktemp("hub")))
    yield TestHub(hub, "", people(hub))
    hub.database.close()


def row(stored: TestHub, repo: Repo) -> tuple[Repo, set[str]]:
    with stored.hub.database.read() as session:
        return session.get_one(Repo, repo.id), set(
            session.execute(select(RepoTag.tag).where(RepoTag.repo_id == repo.id)).scalars()
        )


def put(stored: TestHub, repo: Repo, files: dict[str, bytes | None]) -> tuple[Repo, set[str]]:
    """Commit files (None deletes) as every change is made; return the row and its tags afterwards."""
    changes = [Delete(path) if data is None else Put(path, data) for path, data in files.items()]
    with index.changing(stored.hub, principal(stored), repo, "test.put") as change:
        change.commit = stored.hub.git.open(repo.id).commit(MAIN, changes, parent=None, author=AUTHOR, message="m")
    return row(stored, repo)


def derived(repo: Repo) -> dict[str, Any]:
    return {name: getattr(repo, name) for name in ("indexed", "storage", "extensions", "card", "facts", "text")}


def from_nothing(stored: TestHub, repo: Repo) -> tuple[dict[str, Any], set[str]]:
    with stored.hub.database.write() as session:
        found = session.get_one(Repo, repo.id)
        for name, value in {
            "indexed": None,
            "storage": 0,
            "extensions": {},
            "card": {},
            "facts": {},
            "text": "",
        }.items():
            setattr(found, name, value)
        for tag in session.execute(select(RepoTag).where(RepoTag.repo_id == repo.id)).scalars():
            session.delete(tag)
        session.flush()
        index.refresh(stored.hub, session, found)
    found, tags = row(stored, repo)
    return derived(found), tags


def test_cards_of_the_zoo(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/tox21")
    folder = ZOO / "tox21-toxicity"
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    found, tags = put(stored, repo, files)
    assert found.card["medhub"]["task"] == "chem/toxicity"
    assert found.facts["config"] == {
        "architectures": ["ToxicityModel"],
        "model_type": "medhub_chem_toxicity",
        "architecture": "mpnn",
    }
    assert found.facts["medhub"] == {"task": "chem/toxicity", "area": "chem"}
    assert (found.facts["library_name"], found.facts["pipeline_tag"]) == ("medhub", "text-classification")
    assert found.facts["description"] == "Tells: the toxicities of a molecule"
    assert found.facts["safetensors"]["total"] >= 1_166_860, "weights, and the statistics of normalisation"
    assert found.storage == sum(map(len, files.values())) + entry_size(stored, repo, ".gitattributes")
    assert tags >= {"medhub", "chem", "toxicity", "molecule", "text-classification", "license:apache-2.0",
                    "dataset:tox21", "task:chem/toxicity", "area:chem", "safetensors"}  # fmt: skip
    assert "tells: the toxicities of a molecule" in found.text


def entry_size(stored: TestHub, repo: Repo, path: str) -> int:
    git = stored.hub.git.open(repo.id)
    return git.entry(git.head(MAIN), path).size


def test_tags(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/tagged")
    found, tags = put(
        stored, repo, {"README.md": CARD.encode() + b"See https://arxiv.org/abs/2010.12345.", "a/b.onnx": b"x"}
    )
    assert tags == {
        "lungs",
        "license:mit",
        "language:en",
        "en",
        "dataset:nih",
        "modality:CT",
        "arxiv:2010.12345",
        "onnx",
    }
    words = "lungs finds lungs in scans of chests. lungs modality:ct license:mit language:en dataset:nih en"
    assert found.text == f"{words} arxiv:2010.12345 onnx"
    table = make_repo(stored, "alice/table", kind="dataset")
    found, tags = put(
        stored,
        table,
        {"README.md": CARD.encode(), "x.nii.gz": b"x", "y.csv": b"x", "config.json": b'{"model_type": "x"}'},
    )
    assert tags == {
        "lungs",
        "license:mit",
        "language:en",
        "dataset:nih",
        "modality:CT",
        "format:nifti",
        "format:csv",
        "format:json",
    }
    assert "config" not in found.facts, "of models only"
    found, tags = put(stored, table, {"README.md": None, "x.nii.gz": None})
    assert (found.card, found.facts, tags) == ({}, {}, {"format:csv", "format:json"})


def test_spaces_have_an_sdk(stored: TestHub) -> None:
    from medhub.server import repositories

    space = repositories.create(
        stored.hub, principal(stored), kind="space", namespace="alice", name="demo", sdk="gradio"
    )
    found, tags = row(stored, space)
    assert (found.facts["sdk"], found.facts["title"], "gradio" in tags) == ("gradio", "demo", True)


def test_weights_are_counted(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/weights")
    first, second = weights(("F32", [10, 20]), ("I64", [])), weights(("F32", [5]), ("BF16", [7, 2]))
    found, _ = put(
        stored, repo, {"model-1.safetensors": first, "model-2.safetensors": second, "sub/x.safetensors": first}
    )
    assert found.facts["safetensors"] == {"parameters": {"BF16": 14, "F32": 205, "I64": 1}, "total": 220}
    upload = stored.hub.blobs.upload()
    upload.write(first)
    contents.store(stored.hub, repo, upload, sha256(first), len(first), principal=principal(stored))
    with index.changing(stored.hub, principal(stored), repo, "test.put"):
        commit(stored, repo, {"model-2.safetensors": first}, large=True)
    assert row(stored, repo)[0].facts["safetensors"]["total"] == 402, "of large files, too"
    assert put(stored, repo, {"model-1.safetensors": None})[0].facts["safetensors"]["total"] == 201


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff" * 100, bytes(8), struct.pack("<Q", 1 << 62) + b"{}", struct.pack("<Q", 3) + b"[1]",
        struct.pack("<Q", 100_000) + b"[" * 100_000, weights(("F32", [-1])), weights(("F32", [1 << 40])),
        weights(("F32", [10**5] * 31)), weights(("F32", [2] * 33)), weights(("X", [1])), weights(("F32", [1.5])),
        weights(("F32", [True])), struct.pack("<Q", 10) + b'{"a": 1}  ', struct.pack("<Q", 9) + b'{"a": {}}',
    ],
    ids=range(15),
)  # fmt: skip
def test_hostile_weights_tell_nothing(stored: TestHub, data: bytes) -> None:
    repo = make_repo(stored, f"alice/hostile-{sha256(data)[:8]}")
    found, _ = put(
        stored, repo, {"model.safetensors": data, "config.json": b"[" * 10_000, "README.md": b"---\n[\n---\n\xff\0"}
    )
    assert (found.card, set(found.facts) - {"description"}) == ({}, set())
    assert found.extensions == {"json": 1, "safetensors": 1}


def test_a_row_stays_small(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/big")
    schema = {f"column{number}": "float" for number in range(5000)}
    tags = json.dumps([*(f"tag{number}" for number in range(5000)), "x" * 1000])
    below = f"# {'t' * 9999}\n{'s' * 9999}"
    card = f"---\nlicense: mit\ndataset_info: {json.dumps(schema)}\ntags: {tags}\n---\n{below}"
    config = {"architectures": ["A" * 1000, 1, "Net"] * 100, "model_type": {"a": 1}}
    found, held = put(stored, repo, {"README.md": card.encode(), "config.json": json.dumps(config).encode()})
    assert "dataset_info" not in found.card
    assert (found.card["license"], len(held)) == ("mit", facts.MOST_TAGS)
    assert found.facts["config"] == {"architectures": ["Net"] * 6}
    assert len(json.dumps([found.card, found.facts])) + len(found.text) < 100_000
    assert put(stored, repo, {f"{number}.x{number}": b"" for number in range(300)})[0].extensions == {"json": 1}


LARGE = [weights(("F16", [number])) for number in range(3)]
PATHS = (
    "README.md",
    "config.json",
    "a.safetensors",
    "b.safetensors",
    "d/a.safetensors",
    "d/x.onnx",
    "d/e/y.CSV.gz",
    "z",
)
DATA = (
    b"", CARD.encode(), CARD.encode().replace(b"lungs", b"hearts"), b"---\n[", b'{"model_type": "x"}', b"\0" * 500,
    b'{"architectures": ["A"]}', weights(("F32", [3])), weights(("F32", [4]), ("I8", [5])),
)  # fmt: skip
ANY_PATH = strategies.sampled_from(PATHS)
OPERATIONS = strategies.one_of(
    strategies.builds(Put, ANY_PATH, strategies.sampled_from(DATA)),
    strategies.builds(LargeFile, ANY_PATH, strategies.sampled_from(LARGE).map(sha256)),
    strategies.builds(Delete, ANY_PATH),
    strategies.builds(DeleteFolder, strategies.sampled_from(("d", "d/e"))),
)  # fmt: skip


def possible(operation: Any, here: set[str]) -> bool:
    """Return whether the files that are `here` allow an operation, and change them."""
    path = operation.path
    gone = {path} if isinstance(operation, Delete) else {one for one in here if one.startswith(f"{path}/")}
    if isinstance(operation, Delete | DeleteFolder):
        found = bool(gone & here)
        here -= gone
        return found
    here.add(path)
    return True


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=strategies.sampled_from(["model", "dataset"]),
    history=strategies.lists(strategies.lists(OPERATIONS, max_size=6), max_size=6),
)
def test_steps_and_a_fresh_start_agree(stored: TestHub, kind: str, history: list[list[Any]]) -> None:
    with stored.hub.database.read() as session:
        number = len(session.execute(select(Repo.id)).all())
    repo = make_repo(stored, f"alice/steps-{number}", kind=kind)
    for data in LARGE:
        upload = stored.hub.blobs.upload()
        upload.write(data)
        contents.store(stored.hub, repo, upload, sha256(data), len(data), principal=principal(stored))
    git, here = stored.hub.git.open(repo.id), {".gitattributes"}
    for operations in history:
        operations = [operation for operation in operations if possible(operation, here)]
        commits.commit(stored.hub, principal(stored), repo, "main", operations, summary="m")
    assert {entry.path for entry in git.tree(git.head(MAIN), recursive=True) if entry.kind == "file"} == here
    by_steps, tags = row(stored, repo)
    assert by_steps.storage == sum(
        entry.size for entry in git.tree(git.head(MAIN), recursive=True) if entry.kind == "file"
    )
    assert (derived(by_steps), tags) == from_nothing(stored, repo)


def test_a_rewritten_history_is_read_anew(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/rewritten")
    put(stored, repo, {"README.md": CARD.encode()})
    commit(stored, repo, {"w.safetensors": LARGE[0]}, large=True)
    with index.changing(stored.hub, principal(stored), repo, "test.rewrite"):
        stored.hub.git.open(repo.id).rewrite_without({sha256(LARGE[0])})
    found, tags = row(stored, repo)
    assert found.indexed == stored.hub.git.open(repo.id).head(MAIN)
    assert (found.card["license"], "safetensors" in tags) == ("mit", False)


def lines(stored: TestHub, repo: Repo) -> list[AuditRecord]:
    with stored.hub.database.read() as session:
        return list(session.execute(select(AuditRecord).where(AuditRecord.repo == f"model {repo.full_name}")).scalars())


def test_a_change_is_marked_and_told(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/told")
    with index.changing(stored.hub, principal(stored), repo, "test.put", note="a note") as change:
        assert row(stored, repo)[0].dirty == 1
        change.commit, change.path, change.size = "c" * 40, "a.txt", 5
    last = lines(stored, repo)[-1]
    assert (last.actor, last.action, last.commit, last.path, last.bytes, last.note) == (
        "alice",
        "test.put",
        "c" * 40,
        "a.txt",
        5,
        "a note",
    )
    assert row(stored, repo)[0].dirty == 0


def test_an_error_tells_nothing_but_keeps_up(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/error")
    before = len(lines(stored, repo))

    def land_and_fail() -> None:
        with index.changing(stored.hub, principal(stored), repo, "test.put"):
            commit(stored, repo, {"README.md": CARD.encode()})
            raise BadRequest("after the ref moved")

    with pytest.raises(BadRequest):
        land_and_fail()
    found, tags = row(stored, repo)
    assert (found.dirty, found.indexed, "lungs" in tags) == (0, stored.hub.git.open(repo.id).head(MAIN), True)
    assert len(lines(stored, repo)) == before


def test_one_change_does_not_clear_anothers_mark(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/two")
    with index.changing(stored.hub, principal(stored), repo, "test.outer"):
        put(stored, repo, {"a": b"a"})
        assert row(stored, repo)[0].dirty == 1
    assert row(stored, repo)[0].dirty == 0


def test_changes_at_once_add_up(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/many")
    sizes = range(1, 9)
    threads = [threading.Thread(target=put, args=(stored, repo, {f"{size}.csv": b"x" * size})) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found, _ = row(stored, repo)
    assert (found.dirty, found.storage) == (0, sum(sizes) + entry_size(stored, repo, ".gitattributes"))
    assert found.extensions == {"csv": 8}
    assert len([line for line in lines(stored, repo) if line.action == "test.put"]) == 8


def test_recovery(stored: TestHub) -> None:
    """What a kill leaves: the mark, and a ref that moved or did not."""
    moved, unmoved = make_repo(stored, "alice/moved"), make_repo(stored, "alice/unmoved")
    sha = commit(stored, moved, {"README.md": CARD.encode()})
    with stored.hub.database.write() as session:
        for repo in (moved, unmoved):
            session.get_one(Repo, repo.id).dirty = 2
    index.refresh_dirty(stored.hub)
    found, tags = row(stored, moved)
    assert (found.dirty, found.indexed, "lungs" in tags, row(stored, unmoved)[0].dirty) == (0, sha, True, 0)
    last = lines(stored, moved)[-1]
    assert (last.actor, last.action, last.commit) == ("", "repo.recover", sha)
    assert "repo.recover" not in [line.action for line in lines(stored, unmoved)]
    with stored.hub.database.read() as session:
        assert audit.verify(session) == []
        assert session.execute(select(Repo.id).where(Repo.dirty > 0)).first() is None
    index.refresh_dirty(stored.hub)
    assert lines(stored, moved)[-1].number == last.number, "once is enough"


def test_updated_tells_when_main_moved(stored: TestHub) -> None:
    repo = make_repo(stored, "alice/updated")
    before = row(stored, repo)[0].updated
    git = stored.hub.git.open(repo.id)
    with index.changing(stored.hub, Principal(), repo, "test.branch"):
        git.create_branch("dev", git.head(MAIN))
    assert row(stored, repo)[0].updated == before
    assert put(stored, repo, {"a": b"a"})[0].updated > before
