"""Labels that cannot be learnt from are refused before training, by name."""

from __future__ import annotations

import pytest

from medhub.data import check_labels, load_data, split_table
from medhub.errors import LabelError

NAN = float("nan")
WORDS = [f"w{i}" for i in range(6)]
SPLIT = ["train", "train", "train", "validation", "test", "test"]


@pytest.fixture
def check(make_table):
    def check(labels: list, label_names: tuple[str, ...] = ("no", "yes")) -> None:
        table = make_table(WORDS, labels=labels, split=SPLIT, label_names=label_names)
        check_labels(split_table(table, by="official"))

    return check


def test_good_labels_pass(check) -> None:
    check([0, 1, 0, 1, 0, 0])
    check([0.5, 1.7, -3.0, 1.0, 0.0, 0.0], ())  # a measured value
    check([0.5, 1.7, -3.0, 1.0, 0.0, 0.0], ("solubility",))
    check([[0, 1], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]])  # a label a position
    check([[0.1], [0.1, 0.2], [], [0.3], [0.4], [0.5]])
    check(["x"] * 6)


def test_missing_label_is_named_with_its_row(check) -> None:
    with pytest.raises(LabelError, match=r"row 1 of train \(group 'g1'\) has the label nan"):
        check([0.0, NAN, 1.0, 0.0, 1.0, 1.0])
    with pytest.raises(LabelError, match=r"row 0 of validation \(group 'g3'\)"):
        check([0, 1, 0, None, 1, 1])
    with pytest.raises(LabelError, match="row 1 of test"):
        check([0.0, 1.0, 0.0, 1.0, 1.0, float("inf")])


def test_one_class_only_is_named(check) -> None:
    with pytest.raises(LabelError, match="all 3 rows of train have the label 'yes'"):
        check([1, 1, 1, 0, 1, 0])


@pytest.mark.parametrize("label", [2, -1])
def test_class_without_a_name(check, label: int) -> None:
    with pytest.raises(LabelError, match=f"has the label {label}, but there are 2 classes numbered from 0: no, yes"):
        check([0, 1, label, 0, 1, 0])


def test_yes_or_no_labels_may_be_missing_in_part(check) -> None:
    check([[0, NAN], [1, NAN], [1, NAN], [NAN, 1], [0, 1.0], [0, 1]])


def test_yes_or_no_labels_that_are_all_useless(check) -> None:
    with pytest.raises(LabelError, match="'a' is always 1, 'b' is never known"):
        check([[1, NAN], [1, NAN], [NAN, NAN], [0, 1.0], [0, 0.0], [0, 1]], ("a", "b"))


def test_infinite_yes_or_no_label(check) -> None:
    with pytest.raises(LabelError, match=r"row 0 of test .* infinite label 'b'"):
        check([[1, 0], [0, 1], [1, 1], [0, 1.0], [0, float("inf")], [0, 1]], ("a", "b"))


def test_load_data_checks_labels(make_table) -> None:
    with pytest.raises(LabelError):
        load_data(make_table(WORDS, labels=[1] * 6))
