"""Tables: the columns every loader gives, and row keys that depend on content alone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from datasets import Dataset, Image
from PIL import Image as Picture

from medhub.data import Table, row_keys
from medhub.errors import DataError, InputError


def test_missing_column_is_named_with_the_nearest() -> None:
    rows = Dataset.from_dict({"input": ["a"], "label": [0], "group": ["g"]})
    with pytest.raises(DataError, match="no column 'labels'; did you mean 'label'"):
        Table(rows=rows, label_names=())


def test_no_rows_says_why() -> None:
    rows = Dataset.from_dict({"input": [], "labels": [], "group": []})
    with pytest.raises(DataError, match="no rows \\(7 unreadable\\)"):
        Table(rows=rows, label_names=(), dropped={"unreadable": 7})


def test_group_must_be_a_string_in_every_row(make_table) -> None:
    with pytest.raises(DataError, match="'group' must hold strings, not int64"):
        make_table(["a", "b"], group=[1, 2])
    with pytest.raises(DataError, match="'group' has an empty value in row 1"):
        make_table(["a", "b"], group=["x", None])


def test_unknown_part_of_an_official_split(make_table) -> None:
    with pytest.raises(DataError, match="holds 'valid'; did you mean 'validation'"):
        make_table(["a", "b"], split=["train", "valid"])


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Picture.new("L", (4, 4), shade).save(buffer, "PNG")
    return buffer.getvalue()


def test_picture_counts_by_its_encoded_bytes_wherever_it_stands(make_rows, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(1))
    # a broken picture has a key too, because nothing is decoded
    embedded = [{"bytes": png(1), "path": "elsewhere/b.png"}, {"bytes": b"broken", "path": None}]
    rows = make_rows(embedded, group=["g", "h"]).cast_column("input", Image())
    on_disk = make_rows([{"bytes": None, "path": str(path)}], group=["g"]).cast_column("input", Image())
    assert row_keys(rows)[0] == row_keys(on_disk)[0]
    assert row_keys(rows)[0] != row_keys(rows)[1]

    path.write_bytes(png(2))
    assert row_keys(rows)[0] != row_keys(on_disk)[0]


def test_other_fields_beside_a_path_count(make_rows, tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(b"volume")
    rows = make_rows(
        [{"path": str(path), "slice": 1}, {"path": str(path), "slice": 2}], labels=[0, 0], group=["g", "g"]
    )
    assert len(set(row_keys(rows))) == 2


def test_missing_file_is_named(make_rows, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.nii cannot be read: No such file"):
        row_keys(make_rows([{"path": str(tmp_path / "absent.nii")}]))


def test_row_keys_are_the_same_on_every_machine(make_rows) -> None:
    rows = make_rows(["CCO"], labels=[[1.0, float("nan")]], group=["c1"], age=[40])
    assert row_keys(rows) == ["ce97c029e6eb7badb6e79d83786d38c38b5a6e3ed2fb70f1df1dbe1fdc0f9801"]
    assert row_keys(rows.select([0, 0, 0]).select([2])) == row_keys(rows)
    assert row_keys(rows, columns=("input",)) != row_keys(rows)
