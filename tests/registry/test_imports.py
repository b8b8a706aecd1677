"""What importing medhub costs, under which names it can be imported, and what it exports."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import medhub

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "datasets", "sklearn", "gradio", "rdkit", "timm", "pydicom", "captum", "pandas")

# by the folders: asking pkgutil would import them all while pytest collects
PACKAGES = ["medhub", *(f"medhub.{path.parent.name}" for path in sorted((ROOT / "hub").glob("*/__init__.py")))]


def run(code: str, *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, in a folder that is no checkout."""
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "import medhub; medhub.tasks(); medhub.registry.zoo_index()",
        "import medhub; [medhub.get(id) for id in medhub.tasks()]",
        "import medhub.cli",
        "import medhub.scaffold",
    ],
)
def test_listing_imports_nothing_heavy(code: str, tmp_path: Path) -> None:
    done = run(f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert "medhub.registry" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_listing_imports_no_plugin(tmp_path: Path) -> None:
    code = "import medhub, sys; medhub.tasks(); print(*(name for name in sys.modules if 'plugins.' in name))"
    done = run(code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(("folder", "name"), [("hub", "medhub"), ("plugins", "medhub.plugins")])
def test_a_folder_cannot_be_imported_under_its_own_name(folder: str, name: str, tmp_path: Path) -> None:
    done = run(f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {folder}", folder=tmp_path)
    assert done.returncode == 1
    assert f"this folder is the package {name!r}, but it was imported as {folder!r}" in done.stderr
    assert "pip install" in done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_exports_is_there_and_listed(package: str) -> None:
    module = import_module(package)
    exported = getattr(module, "__all__", None)
    if exported is None:
        pytest.skip(f"{package} exports nothing by name")
    assert [*exported] == [*dict.fromkeys(exported)]
    for name in exported:
        assert getattr(module, name) is not None
    classes_and_functions = {
        name for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("medhub") and callable(value)
    }  # fmt: skip
    assert classes_and_functions - {*exported} == set()


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(AttributeError, match="did you mean 'from_pretrained'"):
        _ = medhub.from_pretraned


def test_lazy_names_are_listed() -> None:
    assert {*medhub.__all__} <= {*dir(medhub)}
