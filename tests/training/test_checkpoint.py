"""A run that is killed, interrupted or out of disk goes on as if nothing had happened."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from medhub.errors import CheckpointError
from medhub.training import Outcome, Settings, checkpoint
from medhub.training.checkpoint import CHECKPOINT_FILE, Checkpoint

SETTINGS = Settings(epochs=4, batch_size=8, accumulate=2, ema=0.9, learning_rate=1e-2)


def assert_equal(one: Outcome, other: Outcome) -> None:
    """Compare weights bit for bit, and the histories but for the times."""
    for (name, left), right in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(left, right), name
    histories = [[{**record, "seconds": None} for record in outcome.history] for outcome in (one, other)]
    assert histories[0] == histories[1]
    assert (one.best_epoch, one.best_value, one.steps) == (other.best_epoch, other.best_value, other.steps)


# batch 13 begins epoch 2; 12 is the last of epoch 1, and 48 of all
@pytest.mark.parametrize("after", [1, 5, 12, 13, 30, 48])
def test_ctrl_c_leaves_a_checkpoint_from_which_the_run_ends_bit_for_bit(
    toy: ModuleType, tmp_path: Path, after: int
) -> None:
    whole = toy.run(SETTINGS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        toy.run(SETTINGS, tmp_path / "cut", processor=toy.stopping(after))
    position = Checkpoint.read(tmp_path / "cut").facts["position"]
    assert position["step"] == -(-after // 2)
    assert_equal(toy.run(SETTINGS, tmp_path / "cut"), whole)


def test_adversarial_training_resumes_bit_for_bit(toy: ModuleType, tmp_path: Path) -> None:
    whole = toy.run(SETTINGS, tmp_path / "whole", kind="game")
    with pytest.raises(KeyboardInterrupt):
        toy.run(SETTINGS, tmp_path / "cut", kind="game", processor=toy.stopping(20))
    assert_equal(toy.run(SETTINGS, tmp_path / "cut", kind="game"), whole)


def test_error_between_checkpoints_goes_back_to_the_last_one(toy: ModuleType, tmp_path: Path) -> None:
    settings = Settings.from_dict({**SETTINGS.to_dict(), "checkpoint_minutes": 0.0})
    whole = toy.run(SETTINGS, tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        toy.run(settings, tmp_path / "cut", processor=toy.stopping(17, by=ZeroDivisionError))
    assert Checkpoint.read(tmp_path / "cut").facts["position"]["step"] == 8
    assert_equal(toy.run(SETTINGS, tmp_path / "cut"), whole)


def test_finished_run_is_not_trained_again(toy: ModuleType, tmp_path: Path) -> None:
    whole = toy.run(SETTINGS, tmp_path)
    again = toy.run(SETTINGS, tmp_path, processor=toy.stopping(1, by=ZeroDivisionError))
    assert_equal(again, whole)
    anew = toy.run(SETTINGS, tmp_path, resume=False)
    assert_equal(anew, whole)
    with pytest.raises(ZeroDivisionError):
        toy.run(SETTINGS, tmp_path, resume=False, processor=toy.stopping(1, by=ZeroDivisionError))
    assert not (tmp_path / CHECKPOINT_FILE).exists()


def toy_command(**job: Any) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("train_toy.py")), json.dumps([job])]


def test_kill_9_and_resume_equals_the_uninterrupted_run_bit_for_bit(toy: ModuleType, tmp_path: Path) -> None:
    whole = toy.run(SETTINGS, tmp_path / "whole", size=960)
    every_step = {**SETTINGS.to_dict(), "checkpoint_minutes": 0.0}
    command = toy_command(folder=str(tmp_path / "killed"), settings=every_step, size=960)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "epoch 1\n":
                time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    position = Checkpoint.read(tmp_path / "killed").facts["position"]
    assert 60 <= position["step"] < whole.steps == 240
    assert_equal(toy.run(SETTINGS, tmp_path / "killed", size=960), whole)


def test_checkpoint_is_one_safetensors_file(toy: ModuleType, tmp_path: Path) -> None:
    toy.run(SETTINGS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]
    with safe_open(tmp_path / CHECKPOINT_FILE, framework="pt") as file:
        names = set(file.keys())
    assert {
        "model.hidden.weight", "average.hidden.weight", "best.hidden.weight", "optimizer.model.0.exp_avg",
        "optimizer.model.0.step", "loss.model", "rng.cpu", "best.norm.running_var",
    } <= names  # fmt: skip


@pytest.mark.parametrize("failing", ["save_file", "fsync", "replace"])
def test_full_disk_keeps_the_former_checkpoint(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        toy.run(SETTINGS, tmp_path, processor=toy.stopping(6))
    before = (tmp_path / CHECKPOINT_FILE).read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(checkpoint if failing == "save_file" else checkpoint.os, failing, full)
        with pytest.raises(
            CheckpointError, match=r"No space left on device; .* still holds the former one\. Free some"
        ):
            toy.run(SETTINGS, tmp_path)
    assert (tmp_path / CHECKPOINT_FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def test_file_size_limit_keeps_the_former_checkpoint(toy: ModuleType, tmp_path: Path) -> None:
    """The same with a limit that the operating system enforces."""
    whole = toy.run(SETTINGS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        toy.run(SETTINGS, tmp_path / "cut", processor=toy.stopping(6))
    before = (tmp_path / "cut" / CHECKPOINT_FILE).read_bytes()
    command = toy_command(folder=str(tmp_path / "cut"), settings=SETTINGS.to_dict(), largest_file=len(before) // 2)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "CheckpointError: the checkpoint could not be written" in done.stderr
    assert (tmp_path / "cut" / CHECKPOINT_FILE).read_bytes() == before
    assert [path.name for path in (tmp_path / "cut").iterdir()] == [CHECKPOINT_FILE]
    assert_equal(toy.run(SETTINGS, tmp_path / "cut"), whole)


@pytest.fixture
def begun(toy: ModuleType, tmp_path: Path) -> Path:
    """A folder with a checkpoint."""
    toy.run(SETTINGS, tmp_path)
    return tmp_path


def test_checkpoint_of_other_settings_is_refused(toy: ModuleType, begun: Path) -> None:
    other = Settings.from_dict({**SETTINGS.to_dict(), "learning_rate": 0.5, "epochs": 9})
    with pytest.raises(
        CheckpointError, match=r"settings\.epochs was 4 and is now 9; settings\.learning_rate was 0\.01"
    ):
        toy.run(other, begun)


def test_checkpoint_of_other_data_network_or_metric_is_refused(toy: ModuleType, begun: Path) -> None:
    with pytest.raises(CheckpointError, match="training data was"):
        toy.run(SETTINGS, begun, size=64)
    with pytest.raises(CheckpointError, match=r"config\.dropout was 0\.3 and is now 0\.0"):
        toy.run(SETTINGS, begun, kind="plain")
    with pytest.raises(CheckpointError, match="metric was 'auroc' and is now 'f1'"):
        toy.run(SETTINGS, begun, metric=toy.METRICS["f1"])


def test_settings_without_influence_may_change(toy: ModuleType, begun: Path) -> None:
    other = Settings.from_dict({**SETTINGS.to_dict(), "checkpoint_minutes": 1.0})
    assert toy.run(other, begun).steps == 24


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "other", "cut"])
def test_broken_file_is_refused(toy: ModuleType, begun: Path, content: bytes | None) -> None:
    path = begun / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(CheckpointError, match="is not a training checkpoint"):
        toy.run(SETTINGS, begun)


def test_shared_weights_are_kept_once(toy: ModuleType, tmp_path: Path) -> None:
    """Two layers with one weight, which safetensors refuses to write under two names."""
    outcomes = []
    for name in ("whole", "cut"):
        model = toy.make_model("noisy")
        model.second = nn.Linear(4, 16)
        model.second.weight = model.hidden.weight
        arguments = [model, toy.points(96), toy.points(64, seed=1)]
        settings = {"settings": SETTINGS, "folder": tmp_path / name, "metric": toy.AUROC}
        outcomes.append(toy.train(*arguments, toy.PointProcessor(), **settings))
    assert_equal(*outcomes)
    assert outcomes[0].model.second.weight is outcomes[0].model.hidden.weight
