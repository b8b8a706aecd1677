"""Sets of drugs to choose from, and the user's table of drugs that interact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.errors import InputError, LabelError
from medhub.plugins.ehr.recommendation.choices import Choices, agreement
from medhub.plugins.ehr.recommendation.interactions import Interaction, among, pair_matrix, read_interactions

DRUGS = ("DRUG/glipizide", "DRUG/insulin", "DRUG/metformin", "DRUG/rosiglitazone")


def test_only_sets_of_ten_patients_and_single_drugs_can_be_chosen():
    rows = [[1, 1, 0]] * 10 + [[0, 1, 1]] * 12 + [[1, 0, 1]] * 9 + [[0, 0, 0]] * 10
    # the second set's twelve rows are of nine patients only
    patients = [f"p{n}" for n in range(10)] + [f"q{n % 9}" for n in range(12)] + [f"r{n}" for n in range(9)]
    patients += [f"s{n}" for n in range(10)]
    values = np.array(rows, np.float32)
    assert Choices.fit(values, patients, singles=True).lists() == [[], [0], [1], [2], [0, 1]]
    assert Choices.fit(values, patients, singles=False).lists() == [[], [0, 1]]
    with pytest.raises(LabelError, match="needs two"):
        Choices.fit(values[:10], patients[:10], singles=False)


def test_choices_survive_their_lists_and_the_nearest_one_is_that_of_the_greatest_agreement():
    choices = Choices.of([[], [0], [1, 2]], drugs=3)
    assert Choices.of(choices.lists(), drugs=3).lists() == [[], [0], [1, 2]]
    given_sets = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0]], np.float32)
    assert choices.nearest(given_sets).tolist() == [0, 1, 2, 2]
    empty = np.zeros((1, 3), np.float32)
    assert agreement(empty, empty)[0, 0] == 1


@given(st.lists(st.floats(0.01, 1), min_size=8, max_size=8))
@settings(max_examples=40)
def test_the_decided_set_has_the_greatest_expected_agreement(weights):
    lists = [[], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]
    choices = Choices.of(lists, drugs=3)
    distribution = np.array(weights) / sum(weights)

    def expected(chosen: set[int]) -> float:
        overlaps = [len(chosen & {*other}) / len(chosen | {*other}) if chosen or other else 1.0 for other in lists]
        return float(np.dot(distribution, overlaps))

    decided = {*np.flatnonzero(choices.decide(distribution[None])[0]).tolist()}
    assert expected(decided) == pytest.approx(max(expected({*numbers}) for numbers in lists), abs=1e-6)
    of_first = sum(p for p, numbers in zip(distribution, lists, strict=True) if 0 in numbers)
    assert choices.marginals(distribution[None])[0, 0] == pytest.approx(of_first)


def write(folder: Path, text: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_interactions_is_read_in_either_order_and_without_drugs_that_the_data_lacks(tmp_path):
    path = write(tmp_path, "drug_a, drug_b, note\nDRUG/rosiglitazone, DRUG/insulin, heart failure\n"
                 "DRUG/insulin,DRUG/rosiglitazone,heart failure\nDRUG/warfarin,DRUG/insulin,\n")  # fmt: skip
    (pair,) = read_interactions(path, DRUGS)
    assert pair == Interaction(drugs=("DRUG/insulin", "DRUG/rosiglitazone"), note="heart failure")
    assert str(pair) == "DRUG/insulin + DRUG/rosiglitazone: heart failure"
    matrix = pair_matrix([pair], DRUGS)
    assert matrix.sum() == 2
    assert matrix[1, 3] == matrix[3, 1] == 1
    assert among([pair], DRUGS) == (pair,)
    assert among([pair], DRUGS[:3]) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\nx,y\n", "no column 'drug_a'"),
        ("", "no column 'drug_a'"),
        ("drug_a,drug_b\nDRUG/insulin,DRUG/insulin\n", "line 2: 'DRUG/insulin' is paired with itself"),
        ("drug_a,drug_b\nDRUG/insulin,\n", "line 2 names one drug only"),
        ("drug_a,drug_b\nDRUG/insuline,DRUG/metformin\n", "did you mean 'DRUG/insulin'"),
        ("drug_a,drug_b\nx,y\n", "none of its 1 pairs"),
        ("drug_a,drug_b,note\nDRUG/insulin,DRUG/metformin,a\nDRUG/metformin,DRUG/insulin,b\n", "line 3.*another note"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_interactions(write(tmp_path, text), DRUGS)


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv cannot be read"):
        read_interactions(tmp_path / "absent.csv", DRUGS)
