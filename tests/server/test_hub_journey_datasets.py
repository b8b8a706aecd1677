"""datasets: push_to_hub, load_dataset, streaming, and a second push that replaces the first."""

from __future__ import annotations

from pathlib import Path


def test_datasets(served, tmp_path: Path) -> None:
    assert "journey done" in served.script("with_datasets.py", tmp_path / "home")


def test_a_private_data_set_is_not_there_for_others(served, tmp_path: Path) -> None:
    served.script("private_data_set.py", tmp_path / "a", ROLE="owner")
    assert "not there" in served.script("private_data_set.py", tmp_path / "b", "bob", ROLE="stranger")
    assert "not there" in served.script("private_data_set.py", tmp_path / "c", None, ROLE="stranger")
