"""Prepared features: what comes back is what the processor made, computed once and never half."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from datasets import Image
from PIL import Image as Picture

from medhub.data import columns as columns_module
from medhub.data import prepare
from medhub.errors import InputError

WORDS = ["a", "bcd", "ef", "ghij", "k"]


@pytest.fixture(params=["in memory", "memory-mapped"])
def storage(request, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "memory-mapped":
        monkeypatch.setattr(columns_module, "IN_MEMORY_BYTES", 0)


def test_columns_come_back_as_they_were_made(storage, cache: Path, make_rows, processor) -> None:
    rows = make_rows(WORDS)
    features = prepare(rows, processor)
    assert len(features) == 5
    assert list(features.columns) == ["total", "letters", "labels"]
    assert features.columns["total"].shape == (3,)
    assert features.columns["letters"].shape == (None,)
    assert features.columns["labels"].shape == ()
    assert features.lengths is not None
    assert features.lengths.tolist() == [1, 3, 2, 4, 1]

    taken = features.take(np.array([3, 0]))
    expected = [processor.features(WORDS[row]) for row in (3, 0)]
    np.testing.assert_array_equal(taken["total"], [made["total"] for made in expected])
    assert taken["labels"].tolist() == [1, 0]
    for letters, made in zip(taken["letters"], expected, strict=True):
        np.testing.assert_array_equal(letters, made["letters"])
        assert letters.dtype == np.int32
    assert taken["total"].dtype == np.float32
    assert taken["labels"].dtype == np.int64


def test_batch_of_features_becomes_tensors_without_a_warning(storage, cache: Path, make_rows, processor) -> None:
    batch = processor.collate(prepare(make_rows(WORDS), processor).take(np.arange(5)))
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "total": (5, 3), "letters": (5, 4), "labels": (5,), "lengths": (5,),
    }  # fmt: skip


def test_writing_into_taken_rows_does_not_change_the_store(storage, cache: Path, make_rows, processor) -> None:
    features = prepare(make_rows(WORDS), processor)
    features.take(np.array([1]))["total"][:] = -1
    prepared_again = prepare(make_rows(WORDS), processor)
    for store in (features, prepared_again):
        np.testing.assert_array_equal(store[1]["total"], processor.features("bcd")["total"])


def test_rows_one_by_one(cache: Path, make_rows, processor) -> None:
    features = prepare(make_rows(WORDS), processor)
    assert len(list(features)) == 5
    assert features[3]["labels"] == 1
    assert isinstance(features[3]["labels"], np.ndarray)
    with pytest.raises(IndexError):
        features[5]


def test_a_ragged_column_stays_one_where_all_lengths_happen_to_be_equal(cache: Path, make_rows, processor) -> None:
    features = prepare(make_rows(["abc", "def"]), processor)
    assert features.lengths is not None
    assert features.lengths.tolist() == [3, 3]
    assert "lengths" in processor.collate(features.take(np.array([0, 1])))


def test_without_ragged_columns_there_are_no_lengths(cache: Path, make_rows, make_processor) -> None:
    class Fixed(make_processor):
        RAGGED = ()

    features = prepare(make_rows(["abc", "def"]), Fixed())
    assert features.lengths is None
    assert features.take(np.array([0, 1]))["letters"].shape == (2, 3)
    with pytest.raises(InputError, match=r"Processor\.RAGGED"):
        prepare(make_rows(["abc", "de"]), Fixed())


def test_rows_of_length_zero(storage, cache: Path, make_rows, make_processor) -> None:
    class Short(make_processor):
        def features(self, sample):
            return {"tokens": np.arange(len(sample) - 1), "none": np.zeros((0, 2), np.float32)}

    taken = prepare(make_rows(["a", "ab"]), Short()).take(np.array([0, 1]))
    assert [len(tokens) for tokens in taken["tokens"]] == [0, 1]
    assert taken["none"].shape == (2, 0, 2)


def test_types_are_kept(storage, cache: Path, make_rows, make_processor) -> None:
    class Typed(make_processor):
        def features(self, sample):
            return {kind: np.array([1, 0, 3]).astype(kind) for kind in ("bool", "uint8", "float16", "float64")} | {
                "big_endian": np.array([1, 2], dtype=">i4")
            }

    taken = prepare(make_rows(["a"]), Typed())[0]
    assert {name: str(array.dtype) for name, array in taken.items() if name != "labels"} == {
        "bool": "bool", "uint8": "uint8", "float16": "float16", "float64": "float64", "big_endian": "int32",
    }  # fmt: skip
    assert taken["big_endian"].tolist() == [1, 2]


def test_second_run_computes_nothing(cache: Path, make_rows, make_processor) -> None:
    read: list[str] = []

    class Counting(make_processor):
        def read(self, raw):
            read.append(raw)
            return raw

    told: list[tuple[int, int]] = []
    first = prepare(make_rows(WORDS), Counting(), progress=lambda done, rows: told.append((done, rows)))
    assert told == [(done, 5) for done in range(1, 6)]
    assert prepare(make_rows(WORDS), Counting()).sha256 == first.sha256
    assert read == WORDS


def test_other_rows_or_processor_are_prepared_anew(cache: Path, make_rows, make_processor) -> None:
    def sha256(words=WORDS, width=3, **columns) -> str:
        return prepare(make_rows(words, **columns), make_processor(width=width)).sha256

    distinct = {
        sha256(),
        sha256(words=WORDS[::-1]),
        sha256(width=4),
        sha256(labels=[1, 1, 1, 0, 0]),
        sha256(weight=[1.0] * 5),
    }
    assert len(distinct) == 5
    # the same rows reached by another way are the same rows
    assert prepare(make_rows([*WORDS, "l"]).select(range(5)), make_processor()).sha256 == sha256()


@pytest.mark.parametrize(
    ("style", "call"),
    [("from an_area.letters import count", "count"), ("from an_area import letters", "letters.count")],
)
def test_edited_code_is_noticed(cache: Path, make_rows, tmp_path: Path, monkeypatch, style: str, call: str) -> None:
    plugin = tmp_path / "an_area/a_task"
    plugin.mkdir(parents=True)
    (tmp_path / "an_area/__init__.py").touch()
    (plugin / "__init__.py").touch()
    shared = tmp_path / "an_area/letters.py"
    shared.write_text("def count(word):\n    return len(word)\n")
    (plugin / "processing.py").write_text(
        f"import numpy as np\n{style}\n"
        + textwrap.dedent(f"""
            class CountProcessor:
                sha256, RAGGED = "0", ()
                def read(self, raw): return raw
                def features(self, sample): return {{"count": np.array({call}(sample))}}
                def targets(self, row): return {{}}
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    processor = importlib.import_module("an_area.a_task.processing").CountProcessor()
    try:
        before = prepare(make_rows(WORDS), processor).sha256
        assert prepare(make_rows(WORDS), processor).sha256 == before
        shared.write_text("def count(word):\n    return 2 * len(word)\n")
        assert prepare(make_rows(WORDS), processor).sha256 != before
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "an_area"]:
            del sys.modules[name]


def test_without_the_cache_nothing_stays(cache: Path, make_rows, processor, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    features = prepare(make_rows(WORDS), processor, cache=False)
    assert features[1]["letters"].tolist() == [98, 99, 100]
    assert not cache.exists()
    assert len(list(tmp_path.glob("medhub-features-*"))) == 1
    del features
    assert not list(tmp_path.glob("medhub-features-*"))


def test_row_that_cannot_be_read_is_named(cache: Path, make_rows, processor) -> None:
    with pytest.raises(InputError, match=r"row 2 \(group 'g2'\): '\?' is not a word"):
        prepare(make_rows(["a", "b", "?"]), processor)
    assert not list((cache / "features").iterdir())


def test_picture_that_is_cut_short_is_named(cache: Path, make_rows, make_processor) -> None:
    class Pictures(make_processor):
        def read(self, raw):
            return raw

        def features(self, sample):
            return {"pixels": np.asarray(sample)}

    buffer = io.BytesIO()
    Picture.effect_noise((32, 32), 50).save(buffer, "PNG")
    whole = {"bytes": buffer.getvalue(), "path": None}
    rows = make_rows([whole, whole]).cast_column("input", Image())
    assert prepare(rows, Pictures()).columns["pixels"].shape == (32, 32)
    cut = {"bytes": buffer.getvalue()[:300], "path": None}
    with pytest.raises(InputError, match="row 1 cannot be decoded"):
        prepare(make_rows([whole, cut]).cast_column("input", Image()), Pictures())


def test_unexpected_error_tells_the_row(cache: Path, make_rows, make_processor) -> None:
    class Broken(make_processor):
        def features(self, sample):
            return {"x": np.ones(3)[7]}

    with pytest.raises(IndexError) as caught:
        prepare(make_rows(WORDS), Broken())
    assert "row 0 (group 'g0')" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda word: {"x": np.array([word])}, "row 0: feature 'x' holds <U1, but only numbers"),
        (lambda word: {"x": np.ones(2, "f4" if word == "a" else "f8")}, "row 1: feature 'x' is float64 of shape"),
        (lambda word: {"x": np.ones((2, len(word)))}, r"row 1: feature 'x' is float64 of shape \(2, 3\).*\(2, 1\)"),
        (
            lambda word: {"x": np.ones(2) if word == "a" else np.array(1.0)},
            "row 1: .*only the length of the first axis",
        ),
        (lambda word: {word: np.ones(2)}, "row 1 has the features bcd, labels, but row 0 has a, labels"),
        (lambda word: {"../x": np.ones(2)}, "cannot be called '../x'"),
    ],
)
def test_features_that_cannot_be_stored(cache: Path, make_rows, make_processor, made, message: str) -> None:
    class Odd(make_processor):
        def features(self, sample):
            return made(sample)

    with pytest.raises(InputError, match=message):
        prepare(make_rows(WORDS), Odd())


def test_interrupted_build_leaves_nothing(cache: Path, make_rows, processor) -> None:
    def interrupt(done: int, rows: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(make_rows(WORDS), processor, progress=interrupt)
    assert not list((cache / "features").iterdir())
    assert len(prepare(make_rows(WORDS), processor)) == 5


KILLED = """
    import os, signal
    import numpy as np
    from datasets import Dataset
    from medhub.data import prepare

    class LengthProcessor:
        sha256, RAGGED = "0", ()
        def read(self, raw): return raw
        def features(self, sample): return {"length": np.array(len(sample))}
        def targets(self, row): return {"labels": np.array(row["labels"])}

    rows = Dataset.from_dict({"input": ["a", "b"], "labels": [0, 1], "group": ["g", "h"]})
    prepare(rows, LengthProcessor(), progress=lambda done, rows: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_what_a_killed_process_leaves_is_not_used_and_cleaned_up(
    cache: Path, make_rows, processor, tmp_path: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    killed = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert killed.returncode == -9, killed.stderr
    (left,) = (cache / "features").iterdir()
    assert left.name.startswith(".scratch-")

    prepare(make_rows(WORDS), processor)
    assert left.exists(), "it could still be another process at work"
    two_days_ago = time.time() - 2 * 24 * 60 * 60
    for path in (left, *left.rglob("*")):
        os.utime(path, (two_days_ago, two_days_ago))
    prepare(make_rows(WORDS[::-1]), processor)
    assert not left.exists()


def test_second_process_that_finishes_first_wins(cache: Path, make_rows, make_processor) -> None:
    class Racing(make_processor):
        racing = True

        def read(self, raw):
            if type(self).racing:
                type(self).racing = False
                prepare(make_rows(WORDS), self)
            return raw

    features = prepare(make_rows(WORDS), Racing())
    assert [path.name for path in (cache / "features").iterdir()] == [features.sha256]
    assert features[1]["letters"].tolist() == [98, 99, 100]


@pytest.mark.parametrize("name", ["letters.bin", "letters.offsets.bin", "features.json"])
def test_damaged_features_are_made_again(cache: Path, make_rows, processor, name: str) -> None:
    folder = cache / "features" / prepare(make_rows(WORDS), processor).sha256
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-9])
    assert prepare(make_rows(WORDS), processor)[3]["letters"].tolist() == [103, 104, 105, 106]
    assert (folder / name).read_bytes() == content


def test_memory_does_not_grow_with_the_rows(cache: Path, make_rows, make_processor) -> None:
    class Wide(make_processor):
        def features(self, sample):
            return {"x": np.zeros(250_000, np.float32)}

    rows = make_rows([f"w{i}" for i in range(40)])
    tracemalloc.start()
    try:
        features = prepare(rows, Wide())
        assert tracemalloc.get_traced_memory()[1] < 8_000_000, "the column itself has 40,000,000 bytes"
    finally:
        tracemalloc.stop()
    assert (cache / "features" / features.sha256 / "x.bin").stat().st_size == 40_000_000
    shutil.rmtree(cache)
