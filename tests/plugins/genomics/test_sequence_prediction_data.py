"""The rows of genomics/prediction: public data, the user's own files, made-up proteins, and the baselines on them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from medhub.data import load_data, prepare
from medhub.errors import InputError, LabelError
from medhub.metrics import Metric
from medhub.plugins.genomics.prediction.baselines import frequencies, window_regression
from medhub.plugins.genomics.prediction.config import SequencePredictionConfig
from medhub.plugins.genomics.prediction.data import DATASETS, SHARED, own_files, synthetic
from medhub.plugins.genomics.prediction.metrics import METRICS
from medhub.plugins.genomics.prediction.model import IGNORED
from medhub.plugins.genomics.prediction.processing import SequencePredictionProcessor

PROTEINS = {"p1": "MKVLEEAR", "p2": "wqqpfe", "p3": "MKVLEEAR"}
LABELS = {"p1": "CCHHHHEC", "p2": "CEEEHC", "p3": "CCHHHHEC"}


def write_fasta(path, records) -> None:
    path.write_text("".join(f">{name}\n{text}\n" for name, text in records.items()))


@pytest.fixture
def folder(tmp_path):
    write_fasta(tmp_path / "sequences.fasta", PROTEINS)
    write_fasta(tmp_path / "labels.fasta", LABELS)
    return tmp_path


def test_a_folder_of_fasta_becomes_rows(folder):
    table = own_files(folder)
    assert table.label_names == ("C", "E", "H")
    assert table.rows["input"][:] == ["MKVLEEAR", "WQQPFE", "MKVLEEAR"]
    assert table.rows["labels"][1] == [0, 1, 1, 1, 2, 0]
    groups = table.rows["group"][:]
    assert groups[0] == groups[2] != groups[1]


def test_a_mask_takes_positions_out_and_labels_that_stand_only_there(folder):
    write_fasta(folder / "labels.fasta", {**LABELS, "p2": "?EEEHC"})
    write_fasta(folder / "mask.fasta", {"p1": "11111111", "p2": "011111", "p3": "00000000"})
    table = own_files(folder)
    assert table.label_names == ("C", "E", "H")
    assert table.rows["labels"][1] == [IGNORED, 1, 1, 1, 2, 0]
    assert set(table.rows["labels"][2]) == {IGNORED}


def test_a_csv_becomes_rows_with_its_groups_and_parts(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("sequence,labels,group,split\nACGTAC,..xx..,a,train\nGGCCAU,x.....,b,test\nACG,xxx,c,validation\n")
    table = own_files(path)
    assert table.label_names == (".", "x")
    assert table.rows["labels"][0] == [0, 0, 1, 1, 0, 0]
    splits = load_data(table)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1, 1, 1)
    assert splits.test["group"][:] == ["b"]


@pytest.mark.parametrize(
    ("file", "records", "said"),
    [
        ("labels.fasta", {**LABELS, "p2": "CEEE"}, "record 'p2': 4 letters of labels for a sequence of 6"),
        ("labels.fasta", {"p1": "CCHHHHEC", "p2": "CEEEHC", "p3x": "C"}, "no record 'p3'; did you mean 'p3x'"),
        ("labels.fasta", {**LABELS, "p4": "C"}, "a record 'p4', but there is no such sequence"),
        ("labels.fasta", {name: "C" * len(text) for name, text in LABELS.items()}, "1 different labels: 'C'"),
        ("mask.fasta", {"p1": "11111112", "p2": "111111", "p3": "11111111"}, "the mask holds '2'"),
        ("mask.fasta", {"p1": "1", "p2": "111111", "p3": "11111111"}, "1 letters of mask"),
        ("sequences.fasta", {**PROTEINS, "p2": "WQ-PFE"}, "'-' at position 3 is a gap"),
    ],
)
def test_faults_in_a_folder_are_refused_with_their_record(folder, file, records, said):
    write_fasta(folder / file, records)
    with pytest.raises((InputError, LabelError), match=said):
        own_files(folder)


def test_other_faults_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"needs one file sequences\.fasta, but has 0"):
        own_files(tmp_path)
    (tmp_path / "short.csv").write_text("sequence,labels\nMKVL,CCH\n")
    with pytest.raises(LabelError, match=r"short.csv, line 2: 3 letters of labels for a sequence of 4"):
        own_files(tmp_path / "short.csv")
    (tmp_path / "notes.txt").write_text("MKVL")
    with pytest.raises(InputError, match=r"notes\.txt is no file of sequences"):
        own_files(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("records", "letters", "labels"),
    [
        ({"a": "acguN", "b": "GGC"}, "ACGT", [1, 2, 3, IGNORED, IGNORED]),
        ({"a": "MRNDX", "b": "AR"}, "ARNDCQEGHILKMFPSTWYV", [1, 2, 3, IGNORED, IGNORED]),
    ],
)
def test_fasta_without_labels_gives_the_next_letters(tmp_path, records, letters, labels):
    write_fasta(tmp_path / "mine.fa", records)
    table = own_files(tmp_path / "mine.fa")
    assert table.label_names == tuple(letters)
    assert table.rows["labels"][0] == labels


def test_made_up_proteins_end_in_positions_that_are_not_scored():
    table = synthetic(size=5, seed=3)
    for sequence, labels in zip(table.rows["input"], table.rows["labels"], strict=True):
        assert len(sequence) == len(labels) >= 24
        assert labels[:2] == labels[-2:] == [IGNORED] * 2
        assert IGNORED not in labels[2:-2]


def scored(baseline, metric: Metric, *, objective: str = "labels") -> float:
    table = synthetic(size=64)
    splits = load_data(table)
    config = SequencePredictionConfig(id2label=dict(enumerate(table.label_names)))
    processor = SequencePredictionProcessor.fit(splits.train, config)
    processor.objective = objective
    found = baseline(splits.train, splits.test, labels=table.label_names, processor=processor, seed=0)
    truths = processor.truths(prepare(splits.test, processor, cache=False).take(np.arange(len(splits.test))))
    assert all(np.allclose(row.sum(1), 1, atol=1e-5) for row in found)
    return metric.compute(found, truths)


def test_baselines_learn_what_they_can_see():
    q3 = METRICS["q3"]
    blind, ahead, around = (
        scored(frequencies, q3), scored(window_regression, q3, objective="next"), scored(window_regression, q3)
    )  # fmt: skip
    assert blind < 0.5 < ahead < around


def test_cb513_is_apart_from_what_is_learnt(mirror, cache):
    splits = load_data(DATASETS["cb513"])
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (9712, 1080, 422)
    assert sum(splits.dropped.values()) == 10
    learnt = [*splits.train["input"], *splits.validation["input"]]
    known = {sequence[start : start + SHARED] for sequence in learnt for start in range(0, len(sequence), SHARED)}
    for sequence in splits.test["input"]:
        assert not any(sequence[start : start + SHARED] in known for start in range(len(sequence) - SHARED + 1))
    scored_labels = Counter(label for labels in splits.test["labels"] for label in labels)
    assert scored_labels[IGNORED] > 0
    assert set(scored_labels) == {IGNORED, 0, 1, 2}


def test_flip_is_read_as_its_authors_split_it(mirror, cache):
    splits = load_data(DATASETS["flip-ss3"])
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (9712, 1080, 364)
    labels = Counter(label for part in splits.dataset_dict().values() for row in part["labels"] for label in row)
    assert labels[IGNORED] == 186_876
    assert sum(labels.values()) == 2_845_094
