"""Spaces: what `medhub space` writes is a repository of its own on the Hub, and runs by itself."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_space_is_pushed_linked_and_runs(served, tmp_path: Path) -> None:
    for extra in ("gradio", "rdkit"):
        pytest.importorskip(extra, reason="the extras 'demo' and 'chem' are not installed")
    assert "journey done" in served.script("with_a_space.py", tmp_path / "home")
