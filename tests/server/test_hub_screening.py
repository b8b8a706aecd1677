"""Screening: pickles by name and by content, and nothing else."""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, strategies
from safetensors.numpy import save

from medhub.server.screening import sample, screen, status
from medhub.server.settings import Settings

REFUSE, FLAG = Settings(), Settings(pickles="flag")


def saved(value: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **how)
    return file.getvalue()


def array(value: Any) -> bytes:
    file = io.BytesIO()
    numpy.save(file, value, allow_pickle=True)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, random.Random(0).randbytes(50_000))
    return file.getvalue()


STATE = {"weight": torch.zeros(2000)}
UNSAFE = {
    **{f"protocol {number}": pickle.dumps({"a": [1, 2], "b": b"x" * 10_000}, number) for number in (2, 3, 4, 5)},
    **{f"long start {number}": pickle.dumps(b"x" * 10_000, number) for number in (3, 4, 5)},
    "torch": saved(STATE),
    "torch before 1.6": saved(STATE, _use_new_zipfile_serialization=False),
    "by hand": b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00ls -tR.",
    "objects": array(numpy.array([{}, None])),
    "a field of objects": array(numpy.array([(1, {})], dtype=[("n", "i4"), ("o", "O")])),
    "data.pkl comes last": archive("a", "b", "model/data.pkl"),
}
SAFE = {
    "nothing": b"",
    "text": b"hello\n",
    "numbers": array(numpy.zeros(100)),
    "strings": array(numpy.array(["O", "|O"])),
    "safetensors": save({"w": numpy.zeros(100, numpy.float32)}),
    "an archive": archive("a", "b"),
    "a frame larger than the file": b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"}.",
    "a beginning only": b"\x80\x04\xff\xff\xff\xff",
}


def look(data: bytes) -> bytes:
    return sample(len(data), lambda start, stop: data[start:stop])


@pytest.mark.parametrize("name", UNSAFE)
def test_pickles_are_known_by_their_content(name: str) -> None:
    data = UNSAFE[name]
    for path in ("pytorch_model.bin", "a/b.safetensors", "noextension"):
        assert "safetensors" in (screen(path, look(data), len(data), REFUSE) or "")
        assert screen(path, look(data), len(data), FLAG) is None
        assert status(path, look(data)) == "unsafe"
    if name != "data.pkl comes last":
        assert screen("w.bin", data[:512], len(data), REFUSE), "what preupload sends suffices"


@pytest.mark.parametrize("name", SAFE)
def test_other_files_pass(name: str) -> None:
    data = SAFE[name]
    for path in ("pytorch_model.bin", "noextension", "data.npy", "archive.zip"):
        assert screen(path, look(data), len(data), REFUSE) is None


@given(strategies.binary(max_size=600), strategies.sampled_from(["a.bin", "b", "c.npy", "d.safetensors", "e.zip"]))
def test_random_bytes_pass(data: bytes, path: str) -> None:
    assert screen(path, data, len(data), REFUSE) is None


def test_random_bytes_that_begin_like_a_pickle_mostly_pass() -> None:
    noise = random.Random(0)
    refused = sum(screen("a.bin", b"\x80\x04" + noise.randbytes(510), 5000, REFUSE) is not None for _ in range(1000))
    assert refused < 300, "so that one random file in 50,000 is taken for a pickle"


def test_pickles_are_known_by_their_extension() -> None:
    for extension in (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".PT"):
        reason = screen(f"folder/x{extension}", b"", 0, REFUSE)
        assert f"has the extension {extension.lower()}" in (reason or "")
        assert status(f"x{extension}", b"") == "unsafe"


def test_the_cure_fits_the_file() -> None:
    assert "delete it" in (screen("out/training_args.bin", look(UNSAFE["torch"]), 9, REFUSE) or "")
    assert 'pickles = "flag"' in (screen("optimizer.pt", b"", 0, REFUSE) or "")


def test_status() -> None:
    assert status("model.safetensors", SAFE["safetensors"]) == "safe"
    assert status("program.exe", b"MZ") == status("a.bin", b"\0") == "unscanned"


def test_sample_reads_little() -> None:
    read: list[tuple[int, int]] = []

    def reader(data: bytes, start: int, stop: int) -> bytes:
        read.append((start, stop))
        return data[start:stop]

    large = bytes(10_000_000)
    assert len(sample(len(large), lambda start, stop: reader(large, start, stop))) == 4096
    zipped = archive(*map(str, range(10)))
    sample(len(zipped), lambda start, stop: reader(zipped, start, stop))
    assert read == [(0, 4096), (0, 4096), (len(zipped) - (1 << 16), len(zipped))]
