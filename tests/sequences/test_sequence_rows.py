"""The rows of the genomics tasks, and tables of sequences in CSV."""

from __future__ import annotations

import gzip

import pytest
from datasets import List, Value

from medhub.errors import InputError
from medhub.sequences.rows import make_rows, read_csv


def test_rows_keep_the_split_where_there_is_one():
    record = {"input": "ACGT", "labels": [0, 1, -100, 1], "group": "a", "place": "line 2"}
    rows = make_rows([record], labels=List(Value("int16")))
    assert rows.column_names == ["input", "labels", "group"]
    assert rows[0] == {name: record[name] for name in rows.column_names}
    assert make_rows([{**record, "split": "test"}], labels=List(Value("int16")))["split"][:] == ["test"]


@pytest.mark.parametrize("name", ["genes.csv", "genes.csv.gz"])
def test_a_table_is_read_with_its_places(tmp_path, name):
    path = tmp_path / name
    text = "\ufeffSequence , label,note\r\nACGT,x,\r\n\r\nGGCC,y,late\r\n".encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    lines = read_csv(path, needs=("sequence", "label"))
    assert [line.values["sequence"] for line in lines] == ["ACGT", "GGCC"]
    assert lines[1].place == f"{name}, line 4"
    assert lines[1].values["note"] == "late"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'sequence'"),
        ("sequnce,label\nACGT,x\n", "did you mean 'sequnce'"),
        ("sequence,label\n", "has a header only"),
        ("sequence,label\nACGT\n", "line 2 has another number of fields"),
        ("sequence,label\nACGT,x,y\n", "line 2 has another number of fields"),
        ("sequence,label\nACGT,x\n,y\n", "line 3 has no 'sequence'"),
    ],
)
def test_a_table_with_faults_is_refused(tmp_path, text, said):
    path = tmp_path / "genes.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_csv(path, needs=("sequence", "label"))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv cannot be read"):
        read_csv(tmp_path / "absent.csv", needs=("sequence",))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"sequence\n" + b"ACGT\n" * 900)[:-9])
    with pytest.raises(InputError, match=r"cut\.csv\.gz cannot be read"):
        read_csv(tmp_path / "cut.csv.gz", needs=("sequence",))
