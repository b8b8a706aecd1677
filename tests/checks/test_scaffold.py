"""`medhub new`: what it writes runs, and it overwrites nothing."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import medhub
import medhub.plugins
from medhub.errors import DuplicateTask, MedHubError, RegistryError
from medhub.registry import discovery
from medhub.scaffold import TEMPLATE, create_plugin

PLUGINS = Path(medhub.plugins.__file__ or "")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout's plugins folder with its table, and nothing else."""
    (tmp_path / "plugins").mkdir()
    shutil.copy(PLUGINS, tmp_path / "plugins" / "__init__.py")
    return tmp_path


def table(checkout: Path) -> dict[str, str]:
    """Read the table in plugins/__init__.py without running it."""
    tree = ast.parse((checkout / "plugins" / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and "PLUGINS" in ast.unparse(node).partition("=")[0]
    ]  # fmt: skip
    return ast.literal_eval(values[0])  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_plugin_is_one_folder_and_one_line(checkout: Path) -> None:
    before = (checkout / "plugins" / "__init__.py").read_text(encoding="utf-8").splitlines()
    place = create_plugin("cardiology/beat_rate", checkout)
    assert place == checkout / "plugins" / "cardiology" / "beat_rate"
    assert {path.name for path in place.iterdir()} == {path.name for path in (TEMPLATE / "plugin").glob("*.*")}
    after = (checkout / "plugins" / "__init__.py").read_text(encoding="utf-8").splitlines()
    assert [line for line in after if line not in before] == ['    "cardiology/beat_rate": "cardiology.beat_rate",']
    assert table(checkout) == {**medhub.plugins.PLUGINS, "cardiology/beat_rate": "cardiology.beat_rate"}
    assert "class CardiologyBeatRateConfig(MedConfig)" in (place / "config.py").read_text(encoding="utf-8")


def test_no_name_of_the_template_is_left(tmp_path: Path) -> None:
    place = create_plugin("cardiology/rate", tmp_path, distribution=True)
    text = "\n".join(path.read_text(encoding="utf-8") for path in place.rglob("*.*") if path.is_file())
    for name in ("example/rhythm", "example-rhythm", "example_rhythm", "ExampleRhythm"):
        assert name not in text


def test_a_second_task_of_an_area_leaves_the_first(checkout: Path) -> None:
    first = contents(create_plugin("cardiology/rate", checkout))
    area = checkout / "plugins" / "cardiology" / "__init__.py"
    area.write_text('"""Cardiology: what its two tasks share."""\n')
    create_plugin("cardiology/pause", checkout)
    assert contents(checkout / "plugins" / "cardiology" / "rate") == first
    assert "two tasks" in area.read_text()
    assert [*table(checkout)][-2:] == ["cardiology/rate", "cardiology/pause"]


def test_a_plugin_in_a_checkout_is_registered(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_plugin("cardiology/rate", checkout)
    monkeypatch.setattr(discovery, "_registered", dict(discovery._registered))
    monkeypatch.setattr(medhub.plugins, "__path__", [*medhub.plugins.__path__, str(checkout / "plugins")])
    monkeypatch.setattr(medhub.plugins, "PLUGINS", table(checkout))
    discovery._candidates.cache_clear()
    try:
        task = medhub.get("cardiology/rate")
        assert task.config_class.tiny("cnn").model_type == "medhub_cardiology_rate"
        assert medhub.find("cardiology/rate").file == checkout / "plugins" / "cardiology" / "rate" / "__init__.py"
    finally:
        discovery._candidates.cache_clear()
        for name in [name for name in sys.modules if name.startswith("medhub.plugins.cardiology")]:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("Cardiology/Beat-Rate", "did you mean 'cardiology/beat_rate'"),
        ("cardiology", "give it an area and a task"),
        ("cardiology/rate/more", "not of the form area/task"),
        ("../evil/task", "not of the form area/task"),
        ("cardiology/class", "a word of Python's"),
        ("chem/toxicity", "exists already, at .*plugins/chem/toxicity/__init__.py"),
    ],
)
@pytest.mark.parametrize("distribution", [False, True])
def test_an_id_that_cannot_be_used_is_refused(id: str, message: str, distribution: bool, checkout: Path) -> None:
    before = contents(checkout)
    with pytest.raises((RegistryError, DuplicateTask), match=message):
        create_plugin(id, checkout, distribution=distribution)
    assert contents(checkout) == before


@pytest.mark.parametrize("distribution", [False, True])
def test_nothing_is_overwritten(checkout: Path, distribution: bool) -> None:
    place = create_plugin("cardiology/rate", checkout, distribution=distribution)
    (place / "README.md").write_text("mine")
    before = contents(checkout)
    with pytest.raises(RegistryError, match="exists already, and nothing is overwritten"):
        create_plugin("cardiology/rate", checkout, distribution=distribution)
    assert contents(checkout) == before


def test_a_folder_that_is_no_checkout_names_the_other_way(tmp_path: Path) -> None:
    with pytest.raises(MedHubError, match=r"no checkout of MedHub.*--distribution"):
        create_plugin("cardiology/rate", tmp_path)
    assert [*tmp_path.iterdir()] == []


INSTALLED = """
import json, medhub
from medhub.checks import RULES, run_checks

task = medhub.get("cardiology/rate")
place = medhub.find("cardiology/rate")
only = {rule.name for rule in RULES} - {"demo", "two-processes"}
broken = {outcome.name: outcome.message for outcome in run_checks(task, only=only) if not outcome.passed}
print(json.dumps([medhub.tasks(), task.package, place.distribution, place.version, str(place.file), broken]))
"""


def test_a_distribution_is_found_once_pip_has_installed_it(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="building a distribution offline needs setuptools >= 77")
    source = create_plugin("cardiology/rate", tmp_path, distribution=True)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(target), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tasks, package, distribution, version, file, broken = json.loads(done.stdout)
    assert broken == {}
    assert {"cardiology/rate", *medhub.tasks()} == {*tasks}
    assert (package, distribution, version) == ("medhub_cardiology_rate", "medhub-cardiology-rate", "0.1.0")
    assert Path(file) == target / "medhub_cardiology_rate" / "__init__.py"
    assert (target / "medhub_cardiology_rate" / "README.md").is_file()
