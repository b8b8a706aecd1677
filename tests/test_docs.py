"""What the documents say is true: doctests pass, and generated tables are those of the code."""

from __future__ import annotations

import doctest
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import medhub
import medhub.plugins

ROOT = Path(__file__).resolve().parents[1]


def _modules() -> list[str]:
    names = ["medhub"]
    for package in (medhub, medhub.plugins):
        names += [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    # templates are not modules of MedHub; importing __main__ runs the command; Alembic runs env and nobody else can
    others = ("medhub.template", "medhub.cli.__main__", "medhub.server.migrations.env")
    return sorted(name for name in set(names) if not name.startswith(others))


@pytest.mark.parametrize("name", _modules())
def test_doctests(name: str) -> None:
    results = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0, f"{results.failed} doctests of {name} fail"


def test_generated_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
