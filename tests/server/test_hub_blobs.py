"""The blob store: bytes in, the same bytes out, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medhub.server.errors import OutOfSpace
from medhub.server.storage.local import LocalBlobs

KEY = "lfs/ab/cd/" + "ab" * 32


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


def put(blobs: LocalBlobs, key: str, data: bytes) -> bool:
    upload = blobs.upload()
    upload.write(data)
    return upload.commit(key)


def temporary(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / "blobs" / "tmp")


def test_bytes_come_back_and_nothing_else_stays(blobs: LocalBlobs, tmp_path: Path) -> None:
    upload = blobs.upload()
    upload.write(b"abc")
    upload.write(b"def")
    assert upload.size == 6
    assert upload.path().read_bytes() == b"abcdef"
    assert blobs.size(KEY) is None
    assert upload.commit(KEY)
    upload.discard()
    assert (blobs.size(KEY), b"".join(blobs.read(KEY))) == (6, b"abcdef")
    assert temporary(tmp_path) == []


def test_an_existing_blob_is_kept(blobs: LocalBlobs, tmp_path: Path) -> None:
    assert put(blobs, KEY, b"first")
    assert not put(blobs, KEY, b"second")
    assert b"".join(blobs.read(KEY)) == b"first"
    assert temporary(tmp_path) == []


@given(st.binary(max_size=64), st.integers(0, 70), st.none() | st.integers(0, 70), st.integers(1, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_are_slices_in_pieces(blobs: LocalBlobs, data: bytes, start: int, stop: int | None, piece: int) -> None:
    key = f"xorb/{data.hex() or 'empty'}"
    put(blobs, key, data)
    pieces = list(blobs.read(key, start, stop, piece=piece))
    assert b"".join(pieces) == data[start:stop]
    assert all(0 < len(part) <= piece for part in pieces)


def test_a_missing_blob(blobs: LocalBlobs) -> None:
    with pytest.raises(KeyError):
        blobs.read(KEY)
    blobs.delete(KEY)
    assert blobs.size(KEY) is None


def test_a_blob_deleted_while_it_is_read_is_read_to_the_end(blobs: LocalBlobs) -> None:
    put(blobs, KEY, b"abcdef")
    pieces = blobs.read(KEY, piece=3)
    assert next(pieces) == b"abc"
    blobs.delete(KEY)
    assert next(pieces) == b"def"
    assert blobs.size(KEY) is None


def test_keys(blobs: LocalBlobs) -> None:
    keys = {"lfs/aa/1", "lfs/ab/2", "xorb/aa/3", "top"}
    for key in keys:
        put(blobs, key, b"x")
    blobs.upload()
    assert set(blobs.keys()) == keys
    assert set(blobs.keys("lfs/")) == {"lfs/aa/1", "lfs/ab/2"}
    assert set(blobs.keys("lfs/a")) == {"lfs/aa/1", "lfs/ab/2"}
    assert set(blobs.keys("lfs/ab/2")) == {"lfs/ab/2"}
    assert set(blobs.keys("none/")) == set()


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "A", "a.b", "tmp/x", "tmp", "a\n", "a\0b", "é"]
)
def test_other_keys_are_refused(blobs: LocalBlobs, key: str) -> None:
    upload = blobs.upload()
    upload.write(b"x")
    for attempt in (blobs.size, blobs.read, blobs.delete, upload.commit):
        with pytest.raises(ValueError):
            attempt(key)
    upload.discard()


def test_many_threads_store_the_same(blobs: LocalBlobs, tmp_path: Path) -> None:
    new: list[bool] = []
    threads = [threading.Thread(target=lambda: new.append(put(blobs, KEY, b"x" * 1000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 7 + [True]
    assert temporary(tmp_path) == []


def test_a_killed_upload_is_swept(blobs: LocalBlobs, tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from medhub.server.storage.local import LocalBlobs
upload = LocalBlobs(Path({str(tmp_path / "blobs")!r})).upload()
upload.write(b"x" * 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert len(temporary(tmp_path)) == 1
    assert blobs.sweep(3600) == 0
    assert blobs.sweep(0) == 1
    assert temporary(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_and_keeps_nothing(small_disk: Path) -> None:
    blobs = LocalBlobs(small_disk)
    put(blobs, "lfs/kept", b"k" * 1000)
    upload = blobs.upload()
    with pytest.raises(OutOfSpace):
        upload.write(b"x" * 2_000_000)
    assert os.listdir(small_disk / "tmp") == []
    assert list(blobs.keys()) == ["lfs/kept"]
    assert put(blobs, "lfs/later", b"y" * 100_000)
