"""Where pairs come from, and the forms in which a user gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medhub.data import load_data, row_keys
from medhub.errors import InputError, LabelError
from medhub.plugins.genomics.alignment import reading
from medhub.plugins.genomics.alignment.data import DATASETS, RELATED, own_files, synthetic
from medhub.plugins.genomics.alignment.pairing import gapped, known_pairs, partners_of
from medhub.plugins.genomics.alignment.reading import read_pair, spread_pairs
from medhub.plugins.genomics.alignment.rows import spread_over_identity
from medhub.sequences.alphabets import DNA, PROTEIN
from medhub.sequences.fasta import Record

PAIR = ">one\nMKVLEERRK\n>other\nMRVLERK\n"


def identity(row: dict) -> float:
    """Return the share of a row's known columns whose two residues are the same."""
    first, second = row["input"]["first"], row["input"]["second"]
    return float(np.mean([first[i] == second[j] for i, j in row["labels"]]))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# columns


def test_known_columns_are_those_of_two_letters_in_upper_case() -> None:
    assert known_pairs("MK-VlE.R", "M-RVLEKR") == [[0, 0], [2, 2], [4, 4], [5, 6]]


def test_gapped_writes_what_known_pairs_reads() -> None:
    first, second, places = gapped("MKVE", "AAMVEE", np.array([[0, 2], [2, 3]]))
    assert (first, second) == ("--MKVE--", "AAM-V-EE")
    assert places == [2, 4]
    pairs = known_pairs(first, second)
    assert pairs == [[0, 2], [2, 3]]
    assert partners_of(pairs, 4).tolist() == [2, -1, 3, -1]
    assert gapped("MK", "V", np.empty((0, 2), int)) == ("MK-", "--V", [])


def test_pairs_are_spread_over_identity() -> None:
    records = [Record(name=str(n), sequence="A" * n + "C" * (10 - n)) for n in range(11)]
    rows = [*spread_over_identity(records, group="g", most=5)]
    identities = [identity(row) for row in rows]
    assert len(rows) == 5
    assert identities[0] == 0.0
    assert identities[-1] == 0.9
    assert identities == sorted(identities)


# rows


def test_synthetic_pairs_repeat_and_cover_the_twilight_zone() -> None:
    table = synthetic(64, seed=3)
    assert row_keys(table.rows) == row_keys(synthetic(64, seed=3).rows)
    assert row_keys(table.rows) != row_keys(synthetic(64, seed=4).rows)
    identities = np.array([identity(row) for row in table.rows])
    assert ((identities >= 0.1) & (identities < 0.3)).sum() >= 5
    assert (identities > 0.5).sum() >= 20
    assert any(len(row["labels"]) < len(row["input"]["first"]) for row in table.rows), "there must be gaps"


def test_balifam_families_stay_together(mirror: Path) -> None:
    splits = load_data(DATASETS["balifam"])
    assert sum(splits.summary()["rows"].values()) == 1351
    groups = {part: {*rows["group"]} for part, rows in splits.dataset_dict().items()}
    assert sum(map(len, groups.values())) == 59 - sum(len(families) - 1 for families in RELATED.values())
    assert {*RELATED} <= set.union(*groups.values())
    for row in splits.validation:
        pairs = np.array(row["labels"])
        assert (np.diff(pairs, axis=0) > 0).all()
        assert pairs[-1, 0] < len(row["input"]["first"])
        assert pairs[-1, 1] < len(row["input"]["second"])


@pytest.mark.index
def test_brca1_comes_in_windows(cache: Path) -> None:
    splits = load_data(DATASETS["brca1"])
    assert splits.summary()["groups"] == {"train": 8, "validation": 1, "test": 1}
    row = splits.train[0]
    assert {*row["input"]["first"]} <= {*DNA.letters}
    assert len(row["labels"]) > 50


def test_own_alignment_makes_pairs_of_its_records(tmp_path: Path) -> None:
    path = write(tmp_path / "family.fasta", ">a\nMKV-LE\n>b\nMRVALE\n>c\nmrVA-E\n")
    table = own_files(path)
    assert len(table.rows) == 3
    assert {*table.rows["group"]} == {"family.fasta"}
    (row,) = (row for row in table.rows if row["input"] == {"first": "MKVLE", "second": "MRVAE"})
    assert row["labels"] == [[2, 2], [4, 4]]  # neither the gaps nor what stands in lower case


def test_own_pairs_follow_one_another(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.fa", ">a\nMKV-\n>b\nMKVL\n>c\nLEERRK\n>d\nLE-RRK\n")
    table = own_files(path)
    assert [row["labels"] for row in table.rows] == [
        [[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 1], [3, 2], [4, 3], [5, 4]]
    ]  # fmt: skip
    assert len({*table.rows["group"]}) == 2


def test_own_folder_groups_by_file_and_own_csv_by_its_column(tmp_path: Path) -> None:
    folder = tmp_path / "families"
    folder.mkdir()
    write(folder / "x.fasta", ">a\nMKV-\n>b\nMKVL\n")
    write(folder / "y.fasta", ">a\nACGT\n>b\nAC-T\n")
    assert [*own_files(folder).rows["group"]] == ["x.fasta", "y.fasta"]
    path = write(tmp_path / "pairs.csv", "first,second,group,split\nMK-V,MKLV,g,train\nmk,mk,h,test\nMEL,MEL,h,test\n")
    table = own_files(path)
    assert [*table.rows["group"]] == ["g", "h"]
    assert [*table.rows["split"]] == ["train", "test"]
    assert table.dropped == {"without a known column": 1}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("odd.fasta", ">a\nMKV\n>b\nMKVL\n>c\nM\n", "3 records of different lengths"),
        ("uneven.fasta", ">a\nMKV\n>b\nMKVL\n", "'a' has 3 columns and 'b' 4"),
        ("letters.fasta", ">a\nMK?V\n>b\nMKVL\n", "'?' at position 3"),
        ("gaps.fasta", ">a\n----\n>b\nMKVL\n", "nothing but gaps"),
        ("short.csv", "first\nMKV\n", "no column 'second'"),
        ("uneven.csv", "first,second\nMK,M\n", "uneven.csv, line 2"),
    ],
)
def test_own_files_with_faults_are_refused_with_their_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        own_files(write(tmp_path / name, text))
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_own_alignment_in_lower_case_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="lower case"):
        own_files(write(tmp_path / "low.fasta", ">a\nmkv\n>b\nmkv\n"))


# raw input


def test_a_pair_is_read_in_every_form(tmp_path: Path) -> None:
    path = write(tmp_path / "pair.fasta", PAIR)
    for raw in (PAIR, path, str(path), {"first": ">one\nMKVLEERRK", "second": ">other\nMRVLERK"}):
        pair = read_pair(raw, alphabet=PROTEIN)
        assert (pair.first.name, pair.second.name) == ("one", "other")
        assert (pair.first.sequence, pair.second.sequence) == ("MKVLEERRK", "MRVLERK")
    bare = read_pair({"first": "mkvleerrk*", "second": "MRVLERK"}, alphabet=PROTEIN)
    assert (bare.first.name, bare.first.sequence) == ("first", "MKVLEERRK")


def test_many_records_are_pairs_that_follow_one_another() -> None:
    four = PAIR + ">third\nLEE\n>fourth\nLKE\n"
    pairs = spread_pairs(four, alphabet=PROTEIN)
    assert pairs is not None
    assert [(pair.first.name, pair.second.name) for pair in pairs] == [("one", "other"), ("third", "fourth")]
    assert read_pair(pairs[1], alphabet=PROTEIN) is pairs[1]
    assert spread_pairs(PAIR, alphabet=PROTEIN) is None
    assert spread_pairs({"first": "M", "second": "M"}, alphabet=PROTEIN) is None
    with pytest.raises(InputError, match="3 sequences, an odd number"):
        spread_pairs(PAIR + ">third\nLEE\n", alphabet=PROTEIN)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "a dict with 'first' and 'second'"),
        ("", "a dict with 'first' and 'second'"),
        ("MKV", "a dict with 'first' and 'second'"),
        (7, "a dict with 'first' and 'second'"),
        ({"first": "MKV"}, "keys 'first' and 'second'"),
        ({"first": "MKV", "second": ""}, "the second sequence is ''"),
        ({"first": "MKV", "second": None}, "the second sequence is None"),
        ({"first": "MKV", "second": PAIR}, "FASTA of 2 records"),
        ({"first": "MK-V", "second": "MKV"}, "is a gap"),
        ({"first": "MK5V", "second": "MKV"}, "'5' at position 3"),
        ({"first": "ACGT" * 10, "second": "MKV"}, "looks like dna"),
        (">one\nMKV\n", "holds 1 sequence"),
        ("absent.fasta", "absent.fasta"),
    ],
)
def test_what_is_no_pair_is_refused_with_the_cure(raw: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_pair(raw, alphabet=PROTEIN)
    assert said in str(caught.value)


def test_sequences_that_do_not_fit_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_CELLS", 50)
    with pytest.raises(InputError, match="9 and 7 residues"):
        read_pair(PAIR, alphabet=PROTEIN)
