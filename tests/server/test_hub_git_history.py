"""History: the log, last changes beside git's own answer, merges, squashing, and erasure that leaves nothing behind."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from medhub.server.errors import Conflict, RevisionNotFound
from medhub.server.storage.git import (
    Author,
    Change,
    Delete,
    GitRepository,
    GitStore,
    Put,
    PutPointer,
)

MAIN = "refs/heads/main"
PULL = "refs/pr/1"
UID = "0123456789abcdef01234567"
ANN = Author("Ann", "ann@hospital.example")


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    store = GitStore(tmp_path)
    store.create(UID, {"README.md": b"# Model\n"}, author=ANN, message="initial commit")
    return store.open(UID)


def commit(repository: GitRepository, *changes: Change, ref: str = MAIN, message: str = "change") -> str:
    return repository.commit(ref, changes, parent=None, author=ANN, message=message)


def head(repository: GitRepository, ref: str = MAIN) -> str:
    found = repository.head(ref)
    assert found
    return found


def git(repository: GitRepository, *arguments: str) -> str:
    command = ["git", "--git-dir", str(repository.folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode(errors="replace").strip()


def grow(repository: GitRepository, rng: random.Random, steps: int) -> None:
    """Commit and merge at random, with times that do not always go forward."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for step in range(steps):
        ref = rng.choice([MAIN, PULL])
        if rng.random() < 0.25:
            try:
                repository.merge(ref, MAIN if ref == PULL else PULL, author=ANN, message="merge")
            except Conflict:
                repository.set_ref(PULL, head(repository), expected=head(repository, PULL))
            continue
        paths = [f"{rng.choice('abc')}/{rng.choice('xyz')}{rng.choice(['', '/deep'])}.txt" for _ in range(2)]
        changes = [Put(path, str(rng.randrange(4)).encode() * 20) for path in paths]
        when = start + timedelta(hours=step + rng.randrange(-3, 3))
        repository.commit(ref, changes, parent=None, author=ANN, message=f"step {step}", when=when)


@pytest.mark.parametrize("seed", range(3))
def test_last_commits_are_those_of_git_log(repository: GitRepository, seed: int) -> None:
    repository.set_ref(PULL, head(repository), expected=None)
    grow(repository, random.Random(seed), 40)
    sha = head(repository)
    paths = [entry.path for entry in repository.tree(sha, recursive=True) or []]
    expected = {path: git(repository, "log", "-1", "--format=%H", sha, "--", path) for path in paths}
    found = repository.last_commits(sha, [*paths, "nothing", "a/nothing"])
    assert {path: commit.sha for path, commit in found.items()} == expected
    assert len(set(expected.values())) > 5
    assert len(git(repository, "rev-list", "--merges", sha).split()) >= 2


def test_log(repository: GitRepository) -> None:
    shas = [head(repository)]
    for n in range(5):
        past = datetime(2020 - n, 1, 1, tzinfo=UTC)
        changes = [Put("even" if n % 2 == 0 else "odd", b"%d" % n)]
        shas.append(repository.commit(MAIN, changes, parent=None, author=ANN, message=f"{n}", when=past))
    shas.reverse()
    assert [found.sha for found in repository.log(shas[0])] == shas, "a clock that runs backwards changes nothing"
    assert [found.sha for found in repository.log(shas[0], skip=1, limit=2)] == shas[1:3]
    assert [found.title for found in repository.log(shas[0], path="even")] == ["4", "2", "0"]
    assert [found.title for found in repository.log(shas[0], path="even", skip=1, limit=1)] == ["2"]
    assert repository.log(shas[0], path="none") == []


def test_texts_and_times_that_a_push_may_bring(repository: GitRepository) -> None:
    tree = git(repository, "rev-parse", f"{MAIN}^{{tree}}")
    who = b"author \xff\xfe <a> 99999999999999 +0000\ncommitter x <y> 99999999999999 +0000\nencoding none"
    made = subprocess.run(
        ["git", "--git-dir", repository.folder, "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        input=b"tree %b\n%b\n\nB\xe9" % (tree.encode(), who), capture_output=True, check=True,
    )  # fmt: skip
    found = repository.get_commit(made.stdout.decode().strip())
    assert (found.author, found.title, found.time.year) == ("\ufffd\ufffd", "B\ufffd", 9999)


def test_differences(repository: GitRepository) -> None:
    base = commit(repository, Put("a", b"one\n"), Put("gone", b"x"), Put("big", b"line\n" * 100_000))
    sha = commit(
        repository, Put("a", b"two\n"), Delete("gone"), Put("d/new", b"\0\1"), Put("big", b"other\n" * 100_000)
    )
    changed = {"a": "modified", "big": "modified", "d/new": "added", "gone": "deleted"}
    assert dict(repository.changed_paths(base, sha)) == changed
    text = repository.diff(base, sha)
    assert "-one\n+two\n" in text
    assert "Large files differ" in text
    assert "Binary files" in text
    assert len(text) < 2_000
    many = commit(repository, *(Put(f"m/{n}", b"%d\n" % n * 10_000) for n in range(30)))
    assert repository.diff(sha, many).endswith("the diff is longer than what is shown\n")
    assert len(repository.diff(sha, many)) < (1 << 20) + 100
    with pytest.raises(RevisionNotFound):
        repository.diff(base, "0" * 40)


def test_merge(repository: GitRepository) -> None:
    base = commit(repository, Put("both", b"1\n2\n3\n4\n5\n"))
    repository.set_ref(PULL, base, expected=None)
    assert repository.merge(MAIN, PULL, author=ANN, message="nothing new") == base
    theirs = commit(repository, Put("theirs", b"t"), Put("both", b"1\n2\n3\n4\nfive\n"), ref=PULL)
    first = repository.merge(MAIN, PULL, author=ANN, message="merge 1")
    assert repository.get_commit(first).parents == (base, theirs)
    ours = commit(repository, Put("both", b"one\n2\n3\n4\nfive\n"))
    theirs = commit(repository, Put("more", b"m"), ref=PULL)
    second = repository.merge(MAIN, PULL, author=ANN, message="merge 2")
    assert repository.get_commit(second).parents == (ours, theirs)
    assert {entry.path for entry in repository.tree(second) or []} == {"README.md", "both", "more", "theirs"}
    assert git(repository, "show", f"{second}:both") == "one\n2\n3\n4\nfive"
    assert repository.merge_base(ours, theirs) == repository.get_commit(theirs).parents[0]


def test_a_conflict_names_the_files_and_changes_nothing(repository: GitRepository) -> None:
    repository.set_ref(PULL, commit(repository, Put("w.bin", b"x"), Put("d/e", b"x")), expected=None)
    ours = commit(repository, PutPointer("w.bin", "a" * 64, 1), Delete("d/e"), Put("new", b"1"))
    theirs = commit(repository, PutPointer("w.bin", "b" * 64, 1), Put("d/e", b"y"), Put("new", b"2"), ref=PULL)
    assert repository.conflicts(ours, theirs) == ["d/e", "new", "w.bin"]
    with pytest.raises(Conflict) as refused:
        repository.merge(MAIN, PULL, author=ANN, message="merge")
    assert refused.value.body == {"files": ["d/e", "new", "w.bin"]}
    assert repository.head(MAIN) == ours


def test_pointers_are_not_taken_for_renamed_files(repository: GitRepository) -> None:
    """With rename detection, the new a.bin would be merged into b.bin, whose weights are others."""
    base = commit(repository, PutPointer("a.bin", "a" * 64, 1))
    repository.set_ref(PULL, base, expected=None)
    commit(repository, Delete("a.bin"), PutPointer("b.bin", "a" * 63 + "b", 1), ref=PULL)
    ours = commit(repository, PutPointer("a.bin", "c" * 64, 1))
    assert repository.conflicts(ours, head(repository, PULL)) == ["a.bin"]


def test_squash(repository: GitRepository) -> None:
    old = commit(repository, Put("a", b"a"))
    new = repository.squash(MAIN, author=ANN, message="all in one")
    assert (head(repository), repository.get_commit(new).parents) == (new, ())
    assert repository.changed_paths(old, new) == []
    assert repository.resolve(old) == old, "who pinned the old commit still finds it"


def test_erasure_leaves_nothing_behind(repository: GitRepository, tmp_path: Path) -> None:
    doomed, kept = "d" * 64, "e" * 64
    before = commit(repository, PutPointer("only/here.bin", doomed, 5), PutPointer("kept.bin", kept, 6))
    commit(repository, Put("note", b"n"), Delete("only/here.bin"))
    repository.create_tag("v1", before, "annotated", ANN)
    repository.create_branch("old", before)
    repository.set_ref(PULL, head(repository), expected=None)
    pull = commit(repository, PutPointer("copy.bin", doomed, 5), ref=PULL)
    repository.merge(MAIN, PULL, author=ANN, message="merge")
    commit(repository, Delete("copy.bin"))
    untouched = repository.get_commit(head(repository)).parents
    (repository.folder / "objects/pack/pack-0.keep").write_bytes(b"of a killed push")

    moved = repository.rewrite_without({doomed, "f" * 64})
    assert moved[before] == repository.resolve("v1") == repository.resolve("old")
    assert moved[pull] == repository.head(PULL)
    assert untouched
    assert [entry.path for entry in repository.tree(moved[before], recursive=True) or []] == ["README.md", "kept.bin"]
    assert list(repository.reachable_pointers()) == [(kept, 6)]
    assert repository.fsck() == []
    assert repository.log(head(repository))[0].title == "change"
    everything = git(repository, "cat-file", "--batch-all-objects", "--batch", "--buffer")
    assert doomed not in everything
    assert kept in everything
    assert GitStore(tmp_path).open(UID).resolve(before) is None
    assert repository.rewrite_without({doomed}) == {}, "nothing is left to do"


def test_erasure_of_everything(repository: GitRepository) -> None:
    commit(repository, PutPointer("d/a.bin", "d" * 64, 5), Delete("README.md"))
    repository.squash(MAIN, author=ANN, message="one")
    repository.rewrite_without({"d" * 64})
    assert repository.tree(head(repository)) == []
    assert repository.fsck() == []
    commit(repository, Put("again", b"a"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_commit_under_way_while_objects_are_dropped(repository: GitRepository, packed: bool) -> None:
    """Blobs are written before the lock is taken; erasure may drop them meanwhile, and no commit may miss its files."""
    if packed:
        oid = repository.handle.create_blob(b"first")
        pack = ["git", "--git-dir", repository.folder, "pack-objects", "-q", repository.folder / "objects/pack/pack"]
        subprocess.run(pack, input=f"{oid}\n".encode(), check=True, capture_output=True)
        git(repository, "prune-packed")

    def changes() -> Iterator[Change]:
        yield Put("a", b"first")
        GitStore(repository.folder.parent.parent).open(UID).rewrite_without({"d" * 64})
        yield Put("b", b"second")

    before = head(repository)
    with pytest.raises(Conflict):
        repository.commit(MAIN, changes(), parent=None, author=ANN, message="lost")
    assert head(repository) == before
    assert repository.fsck() == []


def test_fsck_names_what_is_missing(repository: GitRepository) -> None:
    sha = commit(repository, Put("a", b"precious"))
    entry = repository.entry(sha, "a")
    assert entry
    path = repository.folder / "objects" / entry.oid[:2] / entry.oid[2:]
    whole = path.read_bytes()
    path.unlink()
    assert any(entry.oid in line for line in repository.fsck())
    path.write_bytes(whole[:-4] + b"\0\0\0\0")
    assert any(entry.oid in line for line in repository.fsck())
    path.write_bytes(whole)
    assert repository.fsck() == []
    (repository.folder / "refs/heads/lost").write_text("1" * 40 + "\n")
    assert any("refs/heads/lost" in line for line in repository.fsck())
