"""Many processes on one repository, some of them killed: no file is lost, and nothing is left broken."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medhub.server.errors import OutOfSpace
from medhub.server.storage.git import Author, Change, GitRepository, GitStore, Put

MAIN = "refs/heads/main"
UID = "0123456789abcdef01234567"
ANN = Author("Ann", "ann@hospital.example")

WRITER = """
import sys
from pathlib import Path
from medhub.server.errors import Stale
from medhub.server.storage.git import Author, GitStore, Put

root, name, count, look = sys.argv[1:]
store, author = GitStore(Path(root)), Author(name, "x")
for number in range(int(count)):
    while True:
        repository = store.open("0123456789abcdef01234567")
        parent = repository.head("refs/heads/main") if look == "look" else None
        changes = [Put(f"{name}/{number}.txt", f"{number}".encode()), Put("counter.txt", f"{name} {number}".encode())]
        if number % 3 == 0:
            changes += [Put(f"{name}/{number}/{part}", f"{number} {part}".encode()) for part in range(40)]
        try:
            print(repository.commit("refs/heads/main", changes, parent=parent, author=author, message="m"), flush=True)
            break
        except Stale:
            pass
"""


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    store = GitStore(tmp_path)
    store.create(UID, {"README.md": b"# Model\n"}, author=ANN, message="initial commit")
    return store


def write(root: Path, name: str, count: int, look: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, root, name, str(count), look]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def history(repository: GitRepository) -> list[str]:
    return [commit.sha for commit in repository.log(repository.head(MAIN) or "", limit=100_000)]


def test_processes_commit_at_the_same_time(store: GitStore, tmp_path: Path) -> None:
    """Those that name the parent they saw try again when it was another's turn; the others just land."""
    writers = [write(tmp_path, f"w{n}", 12, "look" if n % 2 else "blind") for n in range(4)]
    acknowledged = [writer.communicate()[0].decode().split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4
    repository = store.open(UID)
    shas = history(repository)
    assert len(shas) == 4 * 12 + 1
    assert {sha for mine in acknowledged for sha in mine} < set(shas)
    entries = repository.tree(shas[0], recursive=True) or []
    assert len([entry for entry in entries if entry.path.startswith("w") and entry.kind == "file"]) == 4 * (12 + 4 * 40)
    assert repository.fsck() == []


def test_killed_writers(store: GitStore, tmp_path: Path) -> None:
    """A dozen times: kill -9 somewhere in a commit; every acknowledged commit is there, and the next one lands."""
    rng = random.Random(0)
    acknowledged: list[str] = []
    for turn in range(12):
        writer = write(tmp_path, f"k{turn}", 100_000, "blind")
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().decode().strip())
        time.sleep(rng.random() * 0.05)
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().decode()
        acknowledged += rest.split("\n")[:-1]
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        repository = store.open(UID)
        changes = [Put(f"after/{turn}", b"x")]
        acknowledged.append(repository.commit(MAIN, changes, parent=None, author=ANN, message="after"))
        assert repository.fsck() == []
    assert set(acknowledged) <= set(history(store.open(UID)))


def test_the_lock_holds_between_processes(store: GitStore, tmp_path: Path) -> None:
    with store.lock(UID):
        writer = write(tmp_path, "waiting", 1, "blind")
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(1)
        before = store.open(UID).head(MAIN)
    assert writer.communicate()[0].decode().strip() == store.open(UID).head(MAIN) != before


@pytest.fixture
def clone(store: GitStore, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", store.open(UID).folder, "clone")
    return tmp_path / "clone"


def git(folder: Path, *arguments: str | Path, text: bytes = b"") -> bytes:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@x")
    return subprocess.run(["git", *who, *arguments], cwd=folder, input=text, capture_output=True, check=True).stdout


def commit(clone: Path, files: int) -> str:
    for n in range(files):
        (clone / f"{n}.txt").write_text(str(n))
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "change")
    return git(clone, "rev-parse", "HEAD").decode().strip()


def push_of(clone: Path, old: str, new: str) -> bytes:
    """Return the request that pushes `new` to main."""
    line = f"{old} {new} {MAIN}\0report-status side-band-64k\n"
    pack = git(clone, "pack-objects", "--stdout", "--revs", "-q", text=f"{new}\n^{old}\n".encode())
    return f"{len(line) + 4:04x}{line}0000".encode() + pack


def test_a_check_that_fails_refuses(store: GitStore, clone: Path) -> None:
    repository = store.open(UID)
    before = repository.head(MAIN) or ""
    sha = commit(clone, 1)
    with tempfile.TemporaryFile() as request:
        request.write(push_of(clone, before, sha))
        with pytest.raises(ZeroDivisionError):
            repository.receive_pack(request, check=lambda push: str(1 // 0), protocol=None)
        assert repository.head(MAIN) == before
        answer = repository.receive_pack(request, check=lambda push: None, protocol=None)
    assert b"unpack ok" in answer
    assert repository.head(MAIN) == sha


RECEIVER = """
import sys, time
from pathlib import Path
from medhub.server.storage.git import GitStore

def check(push):
    print("checking", flush=True)
    time.sleep(float(sys.argv[3]))

with open(sys.argv[2], "rb") as request:
    GitStore(Path(sys.argv[1])).open("0123456789abcdef01234567").receive_pack(request, check=check, protocol=None)
print("done", flush=True)
"""


@pytest.mark.parametrize("moment", range(8))
def test_a_server_killed_in_the_middle_of_a_push(store: GitStore, clone: Path, tmp_path: Path, moment: int) -> None:
    """Before the verdict nothing has moved; after it, git finishes under the lock that it inherited."""
    repository = store.open(UID)
    before = repository.head(MAIN) or ""
    sha = commit(clone, 200)
    (tmp_path / "request").write_bytes(push_of(clone, before, sha))
    pause = 30 if moment == 0 else 0
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, tmp_path, tmp_path / "request", str(pause)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"checking\n"
    time.sleep(moment * 0.004)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    added = repository.commit(MAIN, [Put("after.txt", b"a")], parent=None, author=ANN, message="after")
    parent = repository.get_commit(added).parents[0]
    assert parent == before if moment == 0 else parent in (before, sha)
    assert repository.fsck() == []
    assert not list(repository.folder.glob("refs/**/*.lock"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two mebibytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_and_changes_nothing(small_disk: Path) -> None:
    store = GitStore(small_disk)
    head = store.create(UID, {"a": b"a"}, author=ANN, message="first")
    noise = random.Random(0)

    def changes() -> Iterator[Change]:
        for n in range(50):
            yield Put(f"{n}.bin", noise.randbytes(100_000))

    with pytest.raises(OutOfSpace):
        store.open(UID).commit(MAIN, changes(), parent=None, author=ANN, message="too much")
    assert store.open(UID).head(MAIN) == head
    with pytest.raises(OutOfSpace):
        store.create("f" * 24, {"a": noise.randbytes(3_000_000)}, author=ANN, message="first")
    assert list(store.uids()) == [UID]
    assert store.open(UID).fsck() == []
