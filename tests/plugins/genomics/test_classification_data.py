"""The classifier's rows: GUE and splice without leaks, the user's own files, families of sequences."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import medhub
from medhub.data import load_data
from medhub.errors import InputError, LabelError, MedHubError
from medhub.plugins.genomics.classification.data import DATASETS, load_splice, own_files, synthetic
from medhub.plugins.genomics.classification.grouping import SHARED, families, sequence_group
from medhub.plugins.genomics.classification.gue import load_gue
from medhub.sequences.alphabets import DNA

A, B, C, D = "ACGTACGGTT", "GGGTTTACCA", "TTATAAAGCC", "CAGCAGCAGC"


def write_gue(folder: Path, **parts: list[tuple[str, int]]) -> dict[str, Path]:
    paths = {}
    for part, rows in parts.items():
        path = folder / f"{part}.csv.gz"
        text = "sequence,label\n" + "".join(f"{sequence},{label}\n" for sequence, label in rows)
        path.write_bytes(gzip.compress(text.encode()))
        paths[f"set/{part}.csv.gz"] = path
    return paths


def test_rows_of_gue_that_stand_on_two_sides_leave_training_and_the_test_part_stays_whole(tmp_path):
    opposite = DNA.reverse_complement(A)
    paths = write_gue(
        tmp_path,
        train=[(opposite, 1), (B, 0), (C, 0), (C, 0), (D, 1), (D, 0), ("AAAA", 1), ("CCCC", 0)],
        dev=[(B, 0), (A, 1), ("AGAG", 1)],
        test=[(A, 1), (A, 1), ("GATC", 0)],
    )
    table = load_gue(paths, folder="set", label_names=("other", "promoter"))
    parts = {part: [] for part in ("train", "validation", "test")}
    for row in table.rows:
        parts[row["split"]].append(row["input"])
    assert parts == {
        "train": [C, "AAAA", "CCCC"], "validation": [B, "AGAG"], "test": [A, A, "GATC"]
    }  # fmt: skip
    assert table.dropped == {
        "row of validation that also stands in test": 1,
        "row of train that also stands in test": 1,
        "row of train that also stands in validation": 1,
        "another copy of a row of train": 2,
        "row of train whose copies have different labels": 1,
    }
    load_data(table)  # no group stands on two sides


def test_both_strands_are_one_group_and_proteins_have_one():
    assert sequence_group(A) == sequence_group(DNA.reverse_complement(A)) != sequence_group(B)
    assert sequence_group("MKVLE") != sequence_group("ELVKM")


def test_families_are_linked_by_what_they_share():
    shared = "ACGTTGCATGCATCGA"
    assert len(shared) == SHARED
    sequences = ["TT" + shared + "C" * 20, "A" * 10 + shared, "G" * 10 + shared[:-1] + "C", "A" * 26]
    first, second, third, fourth = families(sequences)
    assert first == second
    assert len({first, third, fourth}) == 3
    chain = families(["G" + shared, shared + "TTTTGGGGCCCCAAAA", "TTTTGGGGCCCCAAAA" + "C"])
    assert len(set(chain)) == 1


def test_splice_junctions_come_without_copies_and_without_the_contradiction(tmp_path):
    lines = [(A, "EI"), (A, "EI"), (B, "IE"), (B, "N"), (C, "N"), (D, "IE")]
    path = tmp_path / "splice.dat"
    path.write_text("".join(", ".join([*letters, label]) + "\n" for letters, label in lines))
    table = load_splice({"splice.dat": path})
    assert table.rows["input"][:] == [A, C, D]
    assert [table.label_names[label] for label in table.rows["labels"]] == ["donor", "neither", "acceptor"]
    assert table.dropped == {"another copy of a row": 2, "row whose copies have different labels": 1}


@pytest.mark.parametrize("name", ["promoter-core-tata", "mouse-3"])
def test_real_sets_are_whole_and_no_group_stands_on_two_sides(mirror, name):
    splits = load_data(medhub.get("genomics/classification").source(name))
    official = {"promoter-core-tata": (4811, 611, 613), "mouse-3": (1904, 239, 239)}
    assert (len(splits.train), len(splits.validation), len(splits.test)) == official[name]
    assert set(splits.train["labels"][:]) == {0, 1}


@pytest.mark.index
def test_splice_is_read_from_its_wheel(cache):
    table = DATASETS["splice"].load(DATASETS["splice"].fetch())
    assert len(table.rows) == 3190 - 185 - 1
    counts = [table.rows["labels"][:].count(label) for label in range(3)]
    assert counts == [1653, 679, 672]
    assert len(set(table.rows["group"][:])) > 2000
    assert {len(sequence) for sequence in table.rows["input"]} == {60}


def test_synthetic_sequences_differ_in_length_and_hold_the_motif_in_one_class_only():
    table = synthetic(size=40)
    assert len({len(sequence) for sequence in table.rows["input"]}) > 10
    assert all(("TATAAA" in row["input"]) == bool(row["labels"]) for row in table.rows)


# -- own files --


def test_a_folder_with_a_fasta_file_a_class(tmp_path):
    (tmp_path / "enhancer.fasta").write_text(f">a\n{A.lower()}\n>b\n{DNA.reverse_complement(A)}\n")
    (tmp_path / "silencer.fa.gz").write_bytes(gzip.compress(f">a\n{B}*\n".encode()))
    (tmp_path / "notes.txt").write_text("not read")
    table = own_files(tmp_path)
    assert table.label_names == ("enhancer", "silencer")
    assert [row["input"] for row in table.rows] == [A, DNA.reverse_complement(A), B]
    assert table.rows["labels"][:] == [0, 0, 1]
    assert len(set(table.rows["group"][:])) == 2


def test_a_csv_with_groups_and_splits(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(f"Sequence,Label,group,split\n{A},yes,g1,train\n{B},no,g2,validation\n{C},no,,test\n")
    table = own_files(path)
    assert table.label_names == ("no", "yes")
    assert table.rows["split"][:] == ["train", "validation", "test"]
    assert table.rows["group"][:] == ["g1", "g2", sequence_group(C)]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (f"sequence,label\n{A},yes\n{B},yes\n", LabelError, "class 'yes' only"),
        (f"sequence,class\n{A},yes\n", InputError, "no column 'label'"),
        (f"sequence,label\n{A},yes\nAC1T,no\n", InputError, "line 3"),
        (f"sequence,label,split\n{A},yes,train\n{B},no,tset\n", InputError, "line 3: no split 'tset'; did you mean"),
        (f"sequence,label,split\n{A},yes,train\n{B},no,\n", InputError, "line 3 has no split, but others have"),
        (f"sequence,label\n{A},\n", InputError, "line 2 has no 'label'"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_learnt_from_are_refused_by_line(tmp_path, text, error, said):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(error, match=said):
        own_files(path)


def test_files_that_tell_no_classes_are_refused(tmp_path):
    file = tmp_path / "all.fasta"
    file.write_text(f">a\n{A}\n")
    with pytest.raises(InputError, match="tells no classes"):
        own_files(file)
    with pytest.raises(InputError, match="holds 1 FASTA files; give one a class"):
        own_files(tmp_path)
    (tmp_path / "other.fasta").write_text(">a\nMKVL1\n")
    with pytest.raises(MedHubError, match="record 'a'"):
        own_files(tmp_path)
