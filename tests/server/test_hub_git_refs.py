"""Names of commits: what resolves, what may be made, and who was first."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from medhub.server.errors import BadRequest, Conflict, Forbidden, RevisionNotFound, Stale
from medhub.server.storage.git import Author, Change, GitRepository, GitStore, Put

MAIN = "refs/heads/main"
UID = "0123456789abcdef01234567"
ANN = Author("Ann", "ann@hospital.example")


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    store = GitStore(tmp_path)
    store.create(UID, {"README.md": b"# Model\n"}, author=ANN, message="initial commit")
    return store.open(UID)


def commit(repository: GitRepository, *changes: Change, ref: str = MAIN, parent: str | None = None) -> str:
    return repository.commit(ref, changes, parent=parent, author=ANN, message="change")


def test_resolve(repository: GitRepository) -> None:
    first = repository.head(MAIN)
    assert first
    second = commit(repository, Put("a", b"a"))
    repository.create_branch("feature/x", first)
    repository.create_branch(second[:7], first)
    repository.create_tag("v1", first, None, ANN)
    repository.create_tag("v2", first, "annotated", ANN)
    repository.set_ref("refs/pr/1", first, expected=None)
    repository.set_ref("refs/convert/parquet", first, expected=None)
    names = (
        "feature/x",
        "v1",
        "v2",
        "refs/tags/v2",
        "refs/pr/1",
        "refs/convert/parquet",
        first,
        first[:7],
        first.upper(),
    )
    assert {name: repository.resolve(name) for name in names} == dict.fromkeys(names, first)
    assert repository.resolve("main") == repository.resolve("HEAD") == repository.resolve(MAIN) == second
    assert repository.resolve(second[:7]) == first, "a name goes before the beginning of a sha"
    blob = repository.entry(first, "README.md")
    assert blob
    for missing in (
        "", "none", first[:6], "0" * 40, blob.oid, "main~1", "main^", "main:README.md", ":/initial", "@{-1}", "@",
        "../HEAD", "heads/main", "config", "refs/heads", "refs/../config", "main\0", "\udc80", "a" * 5000,
    ):  # fmt: skip
        assert repository.resolve(missing) is None, missing
    with pytest.raises(RevisionNotFound):
        repository.tree("0" * 40)


def test_branches_and_tags(repository: GitRepository) -> None:
    sha = repository.head(MAIN)
    assert sha
    repository.create_branch("dev", sha)
    with pytest.raises(Conflict, match="Reference refs/heads/dev already exists"):
        repository.create_branch("dev", sha)
    with pytest.raises(Conflict, match="refs/heads/dev/more"):
        repository.create_branch("dev/more", sha)
    repository.create_tag("v1", sha, "note", ANN)
    with pytest.raises(Conflict, match="Tag reference exists already"):
        repository.create_tag("v1", sha, None, ANN)
    with pytest.raises(RevisionNotFound):
        repository.create_branch("x", "0" * 40)
    with pytest.raises(Forbidden, match="Cannot delete refs/heads/main"):
        repository.delete_branch("main")
    for name in (
        "refs/pr/1",
        "",
        "a b",
        "a..b",
        "../x",
        "a.lock",
        "-a",
        "HEAD",
        "a" * 300,
        sha,
        "a\n",
        "a/",
        "/a",
        "\udc80",
    ):
        with pytest.raises(BadRequest):
            repository.create_branch(name, sha)
        with pytest.raises(BadRequest):
            repository.create_tag(name, sha, "x", ANN)
    subprocess.run(["git", "--git-dir", repository.folder, "pack-refs", "--all"], check=True)
    repository.delete_branch("dev")
    repository.delete_tag("v1")
    for delete in (repository.delete_branch, repository.delete_tag):
        with pytest.raises(RevisionNotFound):
            delete("dev")
    repository.create_branch("dev/more", sha)
    assert (repository.branches(), repository.tags()) == ({"dev/more": sha, "main": sha}, {})


def test_the_head_that_the_caller_saw(repository: GitRepository) -> None:
    first = repository.head(MAIN)
    assert first
    second = commit(repository, Put("a", b"a"), parent=first[:9])
    for stale in (first, first[:7], "", "x"):
        with pytest.raises(Stale):
            commit(repository, Put("b", b"b"), parent=stale)
    assert commit(repository, Put("a", b"a"), parent=second) == second, "no change makes no commit"
    with pytest.raises(RevisionNotFound):
        commit(repository, ref="refs/heads/none")
    with pytest.raises(Stale):
        repository.set_ref(MAIN, first, expected=None)
    repository.set_ref(MAIN, first, expected=second)
    assert repository.head(MAIN) == first
