"""Plugins made from the template, as modules that can be imported and are forgotten after the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import medhub
from medhub.registry import discovery
from medhub.scaffold import create_plugin

ID = "planted/fault"
PACKAGE = "medhub_planted_fault"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., medhub.Task]]:
    """Make a plugin of the template, change its folder as the test asks, and return its task."""
    monkeypatch.setattr(discovery, "_registered", dict(discovery._registered))

    def make(change: Callable[[Path], None] = lambda folder: None) -> medhub.Task:
        distribution = create_plugin(ID, tmp_path, distribution=True)
        change(distribution / PACKAGE)
        monkeypatch.syspath_prepend(distribution)
        import_module(PACKAGE)
        return medhub.get(ID)

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
