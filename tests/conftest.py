"""What all tests share: seeded examples, no network but where a test asks for it, the mirror of real data if any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# the same examples every time, however busy the machine is
settings.register_profile("seeded", derandomize=True, deadline=None)
settings.load_profile("seeded")

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture
def mirror() -> Path:
    """Folder of real data sets that MEDHUB_MIRROR names; without it the test is skipped."""
    folder = os.environ.get("MEDHUB_MIRROR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MEDHUB_MIRROR names no folder of real data")
    return Path(folder)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, so that a test neither sees nor leaves anything in the user's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MEDHUB_CACHE", str(folder))
    return folder
