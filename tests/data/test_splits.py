"""Splits: groups stay whole, nothing is lost, and a seed gives the same parts on every machine."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.data import File, Source, Table, check_disjoint, load_data, split_table
from medhub.errors import SplitError

PARTS = ("train", "validation", "test")
group_sizes = st.lists(st.integers(1, 30), min_size=3, max_size=60)


def table_of(make_table, sizes: list[int]) -> Table:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return make_table([f"w{row}" for row in range(len(groups))], group=groups)


def inputs(splits) -> dict[str, list[str]]:
    return {part: rows["input"][:] for part, rows in splits.dataset_dict().items()}


@settings(deadline=None, max_examples=60)
@given(sizes=group_sizes, seed=st.integers(0, 2**31))
def test_groups_stay_whole_and_no_row_is_lost(make_table, sizes: list[int], seed: int) -> None:
    table = table_of(make_table, sizes)
    splits = split_table(table, by="group", seed=seed)
    parts = splits.dataset_dict()
    check_disjoint(parts)
    assert all(len(rows) for rows in parts.values())
    assert sorted(word for words in inputs(splits).values() for word in words) == sorted(table.rows["input"][:])


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 5), min_size=100, max_size=200), seed=st.integers(0, 1000))
def test_parts_come_near_their_fractions(make_table, sizes: list[int], seed: int) -> None:
    splits = split_table(table_of(make_table, sizes), by="group", seed=seed)
    for part, fraction in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(getattr(splits, part)) - fraction * sum(sizes)) <= 5


@settings(deadline=None, max_examples=30)
@given(sizes=group_sizes, seed=st.integers(0, 1000), shuffling=st.randoms(use_true_random=False))
def test_same_rows_in_any_order_give_the_same_split(make_table, sizes: list[int], seed: int, shuffling) -> None:
    table = table_of(make_table, sizes)
    order = [*range(len(table.rows))]
    shuffling.shuffle(order)
    shuffled = Table(rows=table.rows.select(order), label_names=table.label_names)
    for by in ("group", "random"):
        one, other = (split_table(t, by=by, seed=seed) for t in (table, shuffled))
        assert {part: sorted(words) for part, words in inputs(one).items()} == {
            part: sorted(words) for part, words in inputs(other).items()
        }
        assert (one.split_sha256, one.data_sha256) == (other.split_sha256, other.data_sha256)


def test_seed_changes_the_split_but_not_the_data(make_table) -> None:
    table = table_of(make_table, [2] * 50)
    one, other = (split_table(table, by="group", seed=seed) for seed in (0, 1))
    assert one.split_sha256 != other.split_sha256
    assert one.data_sha256 == other.data_sha256


def test_hashes_are_the_same_on_every_machine(make_table) -> None:
    splits = split_table(table_of(make_table, [2] * 10), by="group")
    assert splits.split_sha256 == "bc83da72866d1a9f98d75d62f63d89eeaa633f7a9a3187735414b5d6bf0eee16"
    assert splits.data_sha256 == "22461ab116603bcb896f7270893cc86daa924597ede041ea4259340daa5b2d25"


def test_hash_follows_content_and_part(make_table) -> None:
    words, split = ["a", "b", "c", "d"], ["train", "train", "validation", "test"]

    def sha256(**columns) -> str:
        return split_table(make_table(words, **{"split": split, **columns}), by="official").split_sha256

    assert sha256() == sha256(sex=["m", "f", "f", "m"])
    assert sha256() != sha256(labels=[1, 1, 1, 0])
    assert sha256() != sha256(split=["train", "validation", "train", "test"])


def test_large_scaffolds_go_to_train(make_table) -> None:
    sizes = [30, 20, 20] + [1] * 130
    for seed in range(5):
        splits = split_table(table_of(make_table, sizes), by="group", seed=seed)
        assert {"g0", "g1", "g2"} <= set(splits.train["group"][:])
        assert [len(getattr(splits, part)) for part in PARTS] == [160, 20, 20]


@pytest.mark.parametrize("sizes", [[1, 1, 1], [5, 5, 5], [100, 1, 1], [90, 6, 2, 2], [20] * 5])
def test_few_groups_still_give_three_parts(make_table, sizes: list[int]) -> None:
    for seed in range(5):
        splits = split_table(table_of(make_table, sizes), by="group", seed=seed)
        assert all(len(rows) for rows in splits.dataset_dict().values())
        assert len(splits.train) == max(len(rows) for rows in splits.dataset_dict().values())


def test_too_few_groups(make_table) -> None:
    with pytest.raises(SplitError, match=r"2 group\(s\) cannot be split into train and validation and test"):
        split_table(table_of(make_table, [5, 5]), by="group")


def test_random_keeps_equal_inputs_together_and_ignores_groups(make_table) -> None:
    words = [f"w{i % 40}" for i in range(200)]
    splits = split_table(make_table(words, group=["one group"] * 200), by="random")
    seen = Counter(word for rows in splits.dataset_dict().values() for word in set(rows["input"][:]))
    assert len(seen) == 40
    assert set(seen.values()) == {1}
    assert [len(getattr(splits, part)) for part in PARTS] == [160, 20, 20]


def test_official_split_is_followed(make_table) -> None:
    split = ["train"] * 6 + ["test"] * 2 + ["validation"] * 2
    splits = split_table(make_table([f"w{i}" for i in range(10)], split=split), by="official", seed=7)
    assert inputs(splits)["test"] == ["w6", "w7"]
    assert inputs(splits)["validation"] == ["w8", "w9"]


def test_validation_is_taken_from_train_by_whole_groups(make_table) -> None:
    table = make_table(
        [f"w{i}" for i in range(200)],
        group=[f"g{i // 2}" for i in range(200)],
        split=["train"] * 180 + ["test"] * 20,
    )
    splits = split_table(table, by="official", seed=1)
    assert [len(getattr(splits, part)) for part in PARTS] == [160, 20, 20]
    assert inputs(splits)["test"] == [f"w{i}" for i in range(180, 200)]
    check_disjoint(splits.dataset_dict())
    assert split_table(table, by="official", seed=2).split_sha256 != splits.split_sha256


def test_group_on_two_sides_of_an_official_split_is_named(make_table) -> None:
    table = make_table(
        ["a", "b", "c", "d"], group=["p1", "p2", "p2", "p3"], split=["train", "train", "test", "validation"]
    )
    with pytest.raises(SplitError, match="group 'p2' stands in train and in test"):
        split_table(table, by="official")


def test_empty_part_of_an_official_split_is_named(make_table) -> None:
    with pytest.raises(SplitError, match="leaves the test part empty"):
        split_table(make_table(["a", "b"], split=["train", "validation"]), by="official")


def test_official_split_that_is_not_there(make_table) -> None:
    with pytest.raises(SplitError, match="no column 'split'"):
        split_table(make_table(["a", "b", "c"]), by="official")


def test_unknown_split_and_odd_fractions(make_table) -> None:
    table = make_table(["a", "b", "c"])
    with pytest.raises(SplitError, match="did you mean 'group'"):
        split_table(table, by="groups")
    with pytest.raises(SplitError, match="sum to 1"):
        split_table(table, by="group", fractions=(0.8, 0.1, 0.2))
    with pytest.raises(SplitError, match="sum to 1"):
        split_table(table, by="group", fractions=(0.9, 0.1, 0.0))


@pytest.fixture
def source(make_table) -> Source:
    def load(paths) -> Table:
        words = paths["words.txt"].read_text().split()
        table = make_table(words)
        return Table(rows=table.rows, label_names=table.label_names, dropped={"duplicate": 2}, notes=("made up",))

    words = "".join(f"w{i}\n" for i in range(30)).encode()
    return Source(
        name="words",
        version="1",
        title="Words",
        files=(File(name="words.txt", sha256=hashlib.sha256(words).hexdigest(), bytes=len(words)),),
        licence="CC0-1.0",
        citation="",
        homepage="https://example.org",
        group_by="word",
        load=load,
        splits=("random", "group"),
    )


def test_load_data_from_a_source(source: Source, cache: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words/words.txt").write_text("".join(f"w{i}\n" for i in range(30)))
    monkeypatch.setenv("MEDHUB_MIRROR", str(tmp_path))
    splits = load_data(source, seed=3)
    assert (splits.split, splits.seed, splits.data_sha256) == ("random", 3, source.sha256)
    summary = json.loads(json.dumps(splits.summary()))
    assert summary["rows"] == {"train": 24, "validation": 3, "test": 3}
    assert summary["dataset"] == "words"
    assert summary["dropped"] == {"duplicate": 2}
    assert "words, split 'random', seed 3, by word" in splits.describe()
    assert "24 rows" in splits.describe()
    assert "2 rows: duplicate" in splits.describe()
    with pytest.raises(SplitError, match=r"words has no split 'official'.* Splits: random, group"):
        load_data(source, split="official")


def test_load_data_from_ones_own_table(make_table) -> None:
    words = [f"w{i}" for i in range(30)]
    own = load_data(make_table(words))
    assert (own.split, own.source) == ("group", None)
    assert own.data_sha256 != load_data(make_table([*words[:-1], "other"])).data_sha256
    official = load_data(make_table(words, split=["train"] * 20 + ["validation"] * 5 + ["test"] * 5))
    assert official.split == "official"
    with pytest.raises(SplitError, match="this table has no split 'official'"):
        load_data(make_table(words), split="official")


def test_rows_keep_their_order_and_columns(make_table) -> None:
    splits = split_table(make_table([f"w{i:03}" for i in range(100)], sex=["m", "f"] * 50), by="group")
    for rows in splits.dataset_dict().values():
        assert rows["input"][:] == sorted(rows["input"][:])
        assert rows.column_names == ["input", "labels", "group", "sex"]
    assert np.issubdtype(np.array(splits.train["labels"][:]).dtype, np.integer)
