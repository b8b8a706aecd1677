"""huggingface_hub 0.36.2, which negotiates LFS and speaks the protocol's older words, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the older client."""
    place = tmp_path_factory.mktemp("old")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", "huggingface_hub==0.36.2"], check=True)
    return str(place / "bin" / "python")


@pytest.mark.index
def test_the_older_client(served, tmp_path: Path, old_python: str) -> None:
    assert "journey done" in served.script("older_client.py", tmp_path / "home", python=old_python)
