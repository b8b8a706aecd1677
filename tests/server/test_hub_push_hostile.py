"""Pushes that no git would send: names, trees and deltas made by hand."""

from __future__ import annotations

import hashlib
import struct
import tempfile
import time
import zlib
from pathlib import Path

import pytest

from medhub.server.storage.git import Author, GitRepository, GitStore, Push

MAIN = "refs/heads/main"
UID = "0123456789abcdef01234567"
ANN = Author("Ann", "ann@hospital.example")
ABSENT = "0" * 40


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    store = GitStore(tmp_path / "repositories")
    store.create(UID, {"README.md": b"# Model\n"}, author=ANN, message="initial commit")
    return store


@pytest.fixture
def repository(store: GitStore) -> GitRepository:
    return store.open(UID)


def update(old: str, new: str, ref: str = MAIN) -> bytes:
    line = f"{old} {new} {ref}\0report-status side-band-64k\n"
    return f"{len(line) + 4:04x}{line}0000".encode()


def object_id(kind: str, data: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).digest()


def pack(*objects: tuple[int, int, bytes]) -> bytes:
    """Return a pack of (type, declared size, bytes behind the header) objects."""
    data = b"PACK" + struct.pack(">II", 2, len(objects))
    for kind, size, body in objects:
        header, rest = (kind << 4) | (size & 15), size >> 4
        while rest:
            data += bytes([header | 0x80])
            header, rest = rest & 0x7F, rest >> 7
        data += bytes([header]) + body
    return data + hashlib.sha1(data).digest()


def crafted(*trees: bytes, blob: bytes = b"x") -> bytes:
    """Return a push of a commit on the last of `trees`, which git itself would not write."""
    root = object_id("tree", trees[-1]).hex()
    text = f"tree {root}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n".encode()
    objects = [(3, blob), *((2, tree) for tree in trees), (1, text)]
    sent = pack(*((kind, len(data), zlib.compress(data)) for kind, data in objects))
    return update(ABSENT, object_id("commit", text).hex(), "refs/heads/crafted") + sent


def look_at_all(push: Push) -> None:
    for _ in push.new_blobs():
        pass


def receive(repository: GitRepository, request: bytes) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(request)
        return repository.receive_pack(file, check=look_at_all, protocol=None).decode(errors="replace")


@pytest.mark.parametrize(
    "name", [b"..", b".", b".git", b".GIT", b"git~1", b"a\\b", b"a\nb", b"\xff\xfe", b"a" * 300, b".g\xe2\x80\x8cit"]
)
def test_names_that_git_would_not_write(repository: GitRepository, name: bytes) -> None:
    blob = object_id("blob", b"x")
    answer = receive(repository, crafted(b"100644 " + name + b"\0" + blob))
    assert "ng refs/heads/crafted" in answer
    assert repository.branches().keys() == {"main"}
    assert "ok refs/heads/crafted" in receive(repository, crafted(b"100644 fine\0" + blob))


def test_submodules_and_deep_folders(repository: GitRepository) -> None:
    blob = object_id("blob", b"x")
    assert "submodule" in receive(repository, crafted(b"160000 sub\0" + b"1" * 20))
    trees = [b"100644 f\0" + blob]
    for _ in range(64):
        trees.append(b"40000 d\0" + object_id("tree", trees[-1]))
    assert "too long" in receive(repository, crafted(*trees))
    assert "ok refs/heads/crafted" in receive(repository, crafted(*trees[:64]))


def test_a_few_trees_that_stand_for_ten_billion_files(repository: GitRepository) -> None:
    blob = object_id("blob", b"x")
    trees = [b"".join(b"100644 %d\0" % n + blob for n in range(10))]
    for _ in range(9):
        child = object_id("tree", trees[-1])
        trees.append(b"".join(b"40000 %d\0" % n + child for n in range(10)))
    start = time.monotonic()
    assert "push in parts" in receive(repository, crafted(*trees))
    assert time.monotonic() - start < 60


def test_a_delta_that_grows_beyond_memory(repository: GitRepository) -> None:
    """A few kilobytes of delta copy one mebibyte six thousand times: git may not get the memory for that."""
    base = b"x" * (1 << 20)
    header = b""
    for number in (len(base), len(base) * 6000):
        while number > 127:
            header += bytes([number & 127 | 128])
            number >>= 7
        header += bytes([number])
    delta = header + b"\xc0\x10" * 6000  # copy 0x100000 bytes from the beginning
    start = time.monotonic()
    name = object_id("blob", base)
    sent = pack((3, len(base), zlib.compress(base)), (7, len(delta), name + zlib.compress(delta)))
    answer = receive(repository, update(ABSENT, "1" * 40, "refs/heads/bomb") + sent)
    assert "Out of memory" in answer
    assert time.monotonic() - start < 30
    assert "bomb" not in repository.branches()
    assert repository.fsck() == []


def test_rubbish_is_refused(repository: GitRepository) -> None:
    before = repository.head(MAIN)
    for body in (b"", b"0000", b"zzzz", update(ABSENT, "1" * 40), update(ABSENT, "1" * 40) + b"PACK\0", b"\0" * 1000):
        assert "unpack ok" not in receive(repository, body)
    assert (repository.head(MAIN), repository.branches()) == (before, {"main": before})
    assert repository.fsck() == []


def test_without_a_hook_nothing_is_received(repository: GitRepository) -> None:
    """git goes on where it may not execute the hook, as on a file system mounted noexec."""
    hook = repository.folder.parent.parent / "hooks/pre-receive"
    hook.chmod(0o600)
    with tempfile.TemporaryFile() as request, pytest.raises(PermissionError):
        repository.receive_pack(request, check=look_at_all, protocol=None)
