"""A registry that a test may change, and distributions that announce plugins to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medhub.registry import discovery

Install = Callable[..., Path]

PLUGIN = """
import medhub

medhub.register(
    medhub.Task(
        id={id!r}, package=__name__, summary="a task made for a test", modality="text", config="C", model="M",
        processor="P", auto_class="AutoModel", metrics=("accuracy",), dataset="synthetic", extra="",
    )
)
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test registers or announces is forgotten afterwards."""
    modules = {*sys.modules}
    monkeypatch.setattr(discovery, "_registered", dict(discovery._registered))
    discovery._candidates.cache_clear()
    yield
    discovery._candidates.cache_clear()
    for name in {*sys.modules} - modules:
        if name.startswith("stranger"):
            del sys.modules[name]


@pytest.fixture
def install(registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package on the path as pip would: its files, and metadata with the entry point that announces its task."""

    def install(id: str, package: str, *, source: str | None = None, distribution: str | None = None) -> Path:
        distribution = distribution or package.replace("_", "-")
        folder = tmp_path / distribution
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(PLUGIN.format(id=id) if source is None else source)
        metadata = folder / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n")
        (metadata / "entry_points.txt").write_text(f"[{discovery.ENTRY_POINT_GROUP}]\n{id} = {package}\n")
        monkeypatch.syspath_prepend(folder)
        discovery._candidates.cache_clear()
        return folder / package / "__init__.py"

    return install
