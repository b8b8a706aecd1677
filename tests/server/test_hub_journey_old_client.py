"""Older clients, in environments of their own: 1.33, for which Xet is a must, and 0.36, which negotiates LFS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.index
@pytest.mark.parametrize(("version", "script"), [("1.33.0", "main_client.py"), ("0.36.2", "older_client.py")])
def test_an_older_client(served, tmp_path: Path, version: str, script: str) -> None:
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", f"huggingface_hub=={version}"], check=True)
    out = served.script(script, tmp_path / "home", python=str(place / "bin" / "python"), REPO="alice/older")
    assert "journey done" in out
