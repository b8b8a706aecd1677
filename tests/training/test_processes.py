"""Several processes are one training, not several trainings."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from medhub.errors import MedHubError
from medhub.training import Settings, launch
from medhub.training.launch import check_group, start_accelerator

SETTINGS = Settings(batch_size=8, learning_rate=1e-2, ema=0.9, epochs=2, cpu=True, checkpoint_minutes=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, torch.Tensor]]]:
    """Weights by rank of several trainings, done one after the other in the same two processes."""
    folder = tmp_path_factory.mktemp("processes")
    plain = replace(SETTINGS, accumulate=2).to_dict()
    jobs: list[dict[str, Any]] = [{"kind": "plain", "settings": plain, "folder": "plain", "out": "plain"}]
    for kind in ("noisy", "game"):
        job = {"kind": kind, "settings": SETTINGS.to_dict(), "size": 960}
        # 60 steps an epoch, a checkpoint after 50 of them
        jobs += [
            {**job, "folder": kind, "out": kind},
            {**job, "folder": f"{kind}-cut", "stop_after": 56},
            {**job, "folder": f"{kind}-cut", "out": f"{kind}-resumed"},
        ]
    for job in jobs:
        job.update({name: str(folder / name / job[name]) for name in ("folder", "out") if name in job})
    script = str(Path(__file__).with_name("train_toy.py"))
    output = launch([script, json.dumps(jobs)], processes=2, timeout=300)
    # each process draws noise of its own
    assert set(re.findall(r"rank .*", output)) == {"rank 0 of 2, seed 0", "rank 1 of 2, seed 1"}
    assert output.count("checkpoint of step 50\n") == 4  # two trainings, two processes
    return {
        out.name: [load_file(out / f"rank{rank}.safetensors") for rank in range(2)]
        for out in (folder / "out").iterdir()
    }


@pytest.mark.multiprocess
def test_two_processes_end_with_equal_weights(trained: dict[str, list[dict[str, torch.Tensor]]]) -> None:
    assert sorted(trained) == ["game", "game-resumed", "noisy", "noisy-resumed", "plain"]
    for first, second in trained.values():
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.multiprocess
def test_two_processes_do_what_one_does_with_twice_the_batch(
    toy: ModuleType, tmp_path: Path, trained: dict[str, list[dict[str, torch.Tensor]]]
) -> None:
    one = toy.run(replace(SETTINGS, batch_size=32), tmp_path, kind="plain").model.state_dict()
    for name, tensor in one.items():
        torch.testing.assert_close(trained["plain"][0][name], tensor, atol=1e-6, rtol=0.0)


@pytest.mark.multiprocess
@pytest.mark.parametrize("kind", ["noisy", "game"])
def test_two_processes_resume_bit_for_bit(trained: dict[str, list[dict[str, torch.Tensor]]], kind: str) -> None:
    """With noise of its own in each process, running statistics or two players."""
    whole, resumed = trained[kind][0], trained[f"{kind}-resumed"][0]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_launcher_that_started_one_process_of_two_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """`accelerate launch --cpu --num_processes 2` sets these, and starts one process."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(MedHubError, match="--multi_gpu"):
        start_accelerator(Settings())


def test_processes_that_are_no_group_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = start_accelerator(Settings(cpu=True))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MedHubError, match="started 2 processes, but this one finds itself in a group of 1"):
        check_group(accelerator)


def test_failing_processes_are_an_error_with_their_last_words(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('out of luck')")
    with pytest.raises(MedHubError, match="out of luck"):
        launch([str(script)], processes=2, timeout=60)
