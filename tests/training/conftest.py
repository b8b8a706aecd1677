"""The toy task, shared with the processes that the tests start: tests/ is no package that could be imported from."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The module training_toy."""
    sys.path.insert(0, str(Path(__file__).parent))
    return importlib.import_module("training_toy")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As in the processes that the tests start, for sums depend on the number of threads."""
    torch.set_num_threads(1)
