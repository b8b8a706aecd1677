"""Repositories: files in and out, names of commits, and commits beside a model of a file system."""

from __future__ import annotations

import gc
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medhub.server.errors import BadRequest, Conflict, EntryNotFound, RevisionNotFound
from medhub.server.storage.git import (
    Author,
    Change,
    Delete,
    DeleteFolder,
    GitRepository,
    GitStore,
    Pointer,
    Put,
    PutPointer,
)

MAIN = "refs/heads/main"
UID = "0123456789abcdef01234567"
OTHER = "f" * 24
ANN = Author("Ann", "ann@hospital.example")


@pytest.fixture(scope="module", autouse=True)
def without_fsync() -> Iterator[None]:
    """Nothing here is about power cuts, and thousands of small writes would wait for the disk."""
    pygit2.settings.enable_fsync_gitdir(False)
    yield
    pygit2.settings.enable_fsync_gitdir(True)


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    return GitStore(tmp_path / "repositories")


@pytest.fixture
def repository(store: GitStore) -> GitRepository:
    store.create(UID, {"README.md": b"# Model\n"}, author=ANN, message="initial commit")
    return store.open(UID)


def commit(repository: GitRepository, *changes: Change, ref: str = MAIN, parent: str | None = None) -> str:
    return repository.commit(ref, changes, parent=parent, author=ANN, message="change")


def files(repository: GitRepository, sha: str) -> dict[str, bytes]:
    listed = repository.tree(sha, recursive=True) or []
    return {entry.path: repository.read(entry.oid) for entry in listed if entry.kind == "file"}


def git(repository: GitRepository, *arguments: str, **options: bytes) -> str:
    command = ["git", "--git-dir", str(repository.folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, **options).stdout.decode()


def test_create_makes_an_ordinary_bare_repository(store: GitStore, tmp_path: Path) -> None:
    sha = store.create(UID, {"a/b.txt": b"x", "README.md": b""}, author=ANN, message="first\n\nwith a body")
    repository = store.open(UID)
    assert repository.folder == tmp_path / "repositories/01" / f"{UID}.git"
    assert git(repository, "log", "--format=%H %an %ae %B", "HEAD").split("\n")[0] == f"{sha} Ann {ANN.email} first"
    assert repository.branches() == {"main": sha}
    assert files(repository, sha) == {"a/b.txt": b"x", "README.md": b""}
    assert repository.fsck() == []
    assert list(store.uids()) == [UID]
    with pytest.raises(Conflict):
        store.create(UID, {}, author=ANN, message="again")
    assert os.listdir(tmp_path / "repositories/tmp") == []


@pytest.mark.parametrize("uid", [OTHER, "short", "../" + "a" * 21, "A" * 24, ""])
def test_a_missing_repository(store: GitStore, uid: str) -> None:
    with pytest.raises(KeyError):
        store.open(uid)
    with pytest.raises(KeyError), store.lock(uid):
        pass


def test_delete_and_sweep(store: GitStore, repository: GitRepository, tmp_path: Path) -> None:
    store.delete(UID)
    store.delete(UID)
    with pytest.raises(KeyError):
        store.open(UID)
    with pytest.raises((KeyError, RevisionNotFound)):
        commit(repository, Put("a", b"a"))
    assert list(store.uids()) == os.listdir(tmp_path / "repositories/tmp") == []
    (tmp_path / "repositories/tmp/left").mkdir()
    assert (store.sweep(3600), store.sweep(0)) == (0, 1)


def test_a_copy_has_branches_and_tags_and_nothing_else(store: GitStore, repository: GitRepository) -> None:
    first = repository.head(MAIN)
    assert first
    second = commit(repository, Put("a", b"a"))
    repository.create_branch("side", first)
    repository.create_tag("v1", first, "note", ANN)
    repository.set_ref("refs/pr/1", second, expected=None)
    secret = commit(repository, Put("secret", b"secret"), ref="refs/pr/1")
    store.copy(UID, OTHER)
    copy = store.open(OTHER)
    assert copy.branches() == {"main": second, "side": first}
    assert copy.tags() == {"v1": first}
    assert copy.pulls() == {}
    assert copy.resolve(secret) is None
    assert copy.fsck() == []
    assert commit(copy, Put("b", b"b")) != repository.head(MAIN)
    with pytest.raises(Conflict):
        store.copy(UID, OTHER)


def test_a_commit_says_who_when_and_why(repository: GitRepository) -> None:
    when = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    author = Author("Dr. <Bob>\n", "")
    sha = repository.commit(MAIN, [Put("a", b"a")], parent=None, author=author, message="Title\n\nBody ü\0", when=when)
    found = repository.get_commit(sha)
    assert (found.title, found.message, found.author, found.time) == ("Title", "Title\n\nBody ü", "Dr. Bob", when)
    assert found.parents == (repository.log(sha)[1].sha,)
    assert repository.fsck() == []


def test_entries_have_real_sizes(repository: GitRepository) -> None:
    sha = commit(repository, Put("d/a.txt", b"abc"), PutPointer("d/w.bin", "ab" * 32, 5_000_000_000), Put("e", b""))
    entry = repository.entry(sha, "d/w.bin")
    assert entry
    assert entry.lfs == Pointer("ab" * 32, 5_000_000_000, 135)
    assert (entry.kind, entry.size, repository.blob_size(entry.oid)) == ("file", 5_000_000_000, 135)
    assert entry.oid == git(repository, "rev-parse", f"{sha}:d/w.bin").strip()
    folder = repository.entry(sha, "d")
    assert folder
    assert (folder.kind, folder.size, folder.lfs) == ("directory", 0, None)
    for path in ("", "/", "d/", "/d", "x", "d/x", "e/x", "..", "d//a.txt", "d/a.txt/", "\0", "e\0", "\udc80"):
        assert repository.entry(sha, path) is None, path
    assert [entry.path for entry in repository.pointers(sha)] == ["d/w.bin"]
    assert list(repository.reachable_pointers()) == [("ab" * 32, 5_000_000_000)]
    with pytest.raises(KeyError):
        repository.read("1" * 40)
    with pytest.raises(KeyError):
        repository.read(folder.oid)


def test_tree_pages(repository: GitRepository) -> None:
    paths = ["a.txt", "a/b", "a/c/d", "a/c.x", "a-b", "b", "z/y/x/w", "z/y.x", "z0"]
    sha = commit(repository, *(Put(path, path.encode()) for path in paths))
    names = git(repository, "ls-tree", "-r", "-t", "--name-only", sha).split()
    whole = repository.tree(sha, recursive=True)
    assert whole is not None
    assert [entry.path for entry in whole] == names
    for limit in (1, 2, 5):
        for start in [None, *names]:
            page = repository.tree(sha, recursive=True, after=start, limit=limit)
            at = names.index(start) + 1 if start else 0
            assert page == whole[at : at + limit]
    flat = [entry.path for entry in repository.tree(sha, "a") or []]
    assert flat == ["a/b", "a/c.x", "a/c"]
    assert [entry.path for entry in repository.tree(sha, "a", after="a/b") or []] == flat[1:]
    assert repository.tree(sha, "a.txt") is repository.tree(sha, "none") is None
    for cursor in ("nothing", "", "a/nothing", "/"):
        with pytest.raises(BadRequest):
            repository.tree(sha, recursive=True, after=cursor)


def test_only_touched_folders_are_written(repository: GitRepository) -> None:
    commit(repository, *(Put(f"d{n % 20}/e/{n}", b"x") for n in range(400)))
    before = int(git(repository, "count-objects").split()[0])
    commit(repository, Put("d7/e/7", b"changed"))
    assert int(git(repository, "count-objects").split()[0]) - before == 5, "a blob, three folders, a commit"


def test_handles_do_not_pile_up(store: GitStore, repository: GitRepository) -> None:
    sha = commit(repository, *(Put(f"{n}", b"") for n in range(1000)))
    gc.disable()
    try:
        kept = []
        for _ in range(20):
            store.open(UID).tree(sha)
            kept.append(pygit2.settings.cached_memory[0])
    finally:
        gc.enable()
    assert kept[-1] < 2 * kept[0]


def test_leftover_locks_of_a_killed_writer(repository: GitRepository) -> None:
    for name in ("refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock"):
        (repository.folder / name).write_bytes(b"")
    sha = commit(repository, Put("a", b"a"))
    assert repository.head(MAIN) == sha
    assert not list(repository.folder.rglob("*.lock"))


def test_gc_packs_and_keeps(repository: GitRepository) -> None:
    for n in range(51):
        sha = commit(repository, *(Put(f"{n}/{m}", b"%d %d" % (n, m)) for m in range(40)))
    assert len(list(repository.folder.glob("objects/pack/*.pack"))) == 51
    repository.gc()
    assert len(list(repository.folder.glob("objects/pack/*.pack"))) == 1
    assert len(files(repository, sha)) == 51 * 40 + 1
    assert repository.fsck() == []


def test_attributes(repository: GitRepository) -> None:
    sha = commit(
        repository,
        Put(".gitattributes", b"*.bin filter=lfs diff=lfs merge=lfs -text\n/top.x filter=lfs\n"),
        Put("raw/.gitattributes", b"*.bin -filter\n*.txt filter=lfs\n"),
        Put("huge/.gitattributes", b"* filter=lfs\n" * 100_000),
    )
    lfs = ("a.bin", "d/a.bin", "top.x", "raw/a.txt", "raw/deep/a.txt", "huge/a.bin")
    regular = ("a.txt", "raw/a.bin", "d/top.x", "huge/a.txt", "raw")
    assert [path for path in lfs + regular if repository.is_lfs(sha, path)] == list(lfs)


def test_outside_configuration_has_no_say(repository: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = tempfile.mkdtemp(dir=repository.folder.parent)
    Path(hostile, ".gitconfig").write_text("[core]\n\tbare = nonsense\n[uploadpack]\n\tpackObjectsHook = false\n")
    for name, value in {"HOME": hostile, "GIT_DIR": hostile, "GIT_OBJECT_DIRECTORY": hostile}.items():
        monkeypatch.setenv(name, value)
    again = GitStore(repository.folder.parent.parent).open(UID)
    sha = commit(again, Put("a", b"a"))
    assert again.head(MAIN) == sha
    assert again.fsck() == []
    assert sha.encode() in again.advertise("git-upload-pack", protocol=None)
    with tempfile.TemporaryFile() as request:
        request.write(f"0032want {sha}\n00000009done\n".encode())
        assert b"".join(again.upload_pack(request, protocol=None)).startswith(b"0008NAK\nPACK")


NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CHANGES = st.builds(Put, PATHS, st.binary(max_size=2)) | st.builds(Delete, PATHS) | st.builds(DeleteFolder, PATHS)


class Model:
    """What a file system without empty folders would do."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"a/b": b"0"}

    def apply(self, change: Change) -> None:
        below = [path for path in self.files if path.startswith(change.path + "/")]
        if isinstance(change, Put):
            parents = [change.path.rsplit("/", cut)[0] for cut in range(1, change.path.count("/") + 1)]
            if below or set(parents) & set(self.files):
                raise BadRequest("a file and a folder")
            self.files[change.path] = change.data
        elif not (below if isinstance(change, DeleteFolder) else change.path in self.files):
            raise EntryNotFound("nothing there")
        for path in below if isinstance(change, DeleteFolder) else [change.path]:
            if not isinstance(change, Put):
                del self.files[path]


def attempt(apply: Callable[[], object]) -> type[Exception] | None:
    try:
        apply()
    except (BadRequest, EntryNotFound) as refused:
        return type(refused)
    return None


@given(batches=st.lists(st.lists(CHANGES, max_size=6), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_commits_beside_a_model(repository: GitRepository, batches: list[list[Change]]) -> None:
    model = Model()
    repository.squash(MAIN, author=ANN, message="start")
    commit(repository, *(Delete(path) for path in files(repository, repository.head(MAIN) or "")))
    head = commit(repository, *(Put(path, data) for path, data in model.files.items()))
    for batch in batches:
        before = dict(model.files)
        refused = attempt(lambda batch=batch: [model.apply(change) for change in batch])
        if refused:
            model.files = before
        assert attempt(lambda batch=batch: commit(repository, *batch)) is refused
        new = repository.head(MAIN)
        assert new
        assert (new == head) == (before == model.files)
        assert files(repository, new) == model.files
        head = new
