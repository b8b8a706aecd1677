"""What results say of themselves: in words, and as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medhub.errors import InputError
from medhub.results import ClassPrediction, MultiLabelPrediction

PROBABILITIES = {"benign": 0.6, "malignant": 0.3, "normal": 0.1}


@pytest.mark.parametrize(
    ("possible", "abstained", "said"),
    [
        (None, False, ""),
        (("benign",), False, "The model decides: it rules out everything but benign."),
        (("benign", "malignant"), True, "The model does not decide: it cannot rule out benign and malignant."),
        (tuple(PROBABILITIES), True, "The model does not decide: it cannot rule out benign, malignant and normal."),
        ((), True, "The model does not decide: no class fits this input as it fits those that the model was tried on."),
    ],
)
def test_a_class_is_told_with_what_cannot_be_ruled_out(
    possible: tuple[str, ...] | None, abstained: bool, said: str
) -> None:
    result = ClassPrediction(input="scan", label="benign", probabilities=PROBABILITIES, possible=possible)
    assert result.certainty() == said
    assert result.abstained is abstained
    assert result.to_dict()["abstained"] is abstained
    assert ("not certain" in result.title()) is abstained


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        (None, ""),
        ({"a": "yes", "b": "no", "c": "no"}, "The model decides on every label: yes to a."),
        ({"a": "no", "b": "no", "c": "no"}, "The model decides on every label: no to all."),
        ({"a": "yes"}, "The model decides: yes."),
        ({"a": "yes", "b": "uncertain", "c": "no"}, "The model does not decide on b."),
        ({"a": "uncertain", "b": "uncertain", "c": "uncertain"}, "The model does not decide on a, b and c."),
    ],
)
def test_labels_are_told_with_those_that_stay_open(decisions: dict[str, str] | None, said: str) -> None:
    result = MultiLabelPrediction(input="CCO", probabilities={"a": 0.9, "b": 0.5, "c": 0.1}, decisions=decisions)
    assert result.certainty() == said


def test_every_download_can_be_written(tmp_path: Path) -> None:
    result = ClassPrediction(input="scan", label="benign", probabilities=PROBABILITIES)
    written = [result.save(tmp_path / f"result{kind}") for kind in result.downloads()]
    assert [path.suffix for path in written] == [".json", ".png"]
    assert json.loads(written[0].read_text())["probabilities"] == PROBABILITIES
    with pytest.raises(InputError, match=r"cannot be written as result\.jsn; did you mean '\.json'"):
        result.save(tmp_path / "result.jsn")
