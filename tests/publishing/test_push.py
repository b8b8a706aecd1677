"""What is pushed, and what must not be. That a push arrives is shown against a real Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from medhub.errors import PublishError
from medhub.publishing import files_to_push, find_faults, push


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub believe that it may use the network, at an address where nobody answers."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def test_a_model_folders_files_are_pushed_and_nothing_else(trained: Any) -> None:
    folder = trained.folder
    (folder / "assets").mkdir()
    for name in ("training.json", "LICENSE", "LICENSE.md", "assets/example.png"):
        (folder / name).touch()
    for name in ("patients.csv", "notes.txt", "assets/data.npz", "model.py", ".env", "config.json.tmp"):
        (folder / name).touch()
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "model.safetensors").touch()
    assert files_to_push(folder) == [
        ".eval_results/beats.yaml", "LICENSE", "LICENSE.md", "README.md", "assets/example.png", "config.json",
        "evaluation.json", "model.safetensors", "processor.json", "training.json",
    ]  # fmt: skip
    assert find_faults(folder) == []


@pytest.mark.parametrize("name", ["pytorch_model.bin", "checkpoint/optimizer.pt", "forest.PKL", "a/b/c.joblib"])
def test_a_pickle_anywhere_in_the_folder_is_refused(trained: Any, name: str) -> None:
    path = trained.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(PublishError, match=f"{name} may be a pickle"):
        push(trained.folder, "org/name")


def test_a_link_out_of_the_folder_is_refused(trained: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.touch()
    (trained.folder / "assets").mkdir()
    (trained.folder / "assets" / "scan.png").symlink_to(secret)
    with pytest.raises(PublishError, match=r"assets/scan\.png is a link that leads out"):
        push(trained.folder, "org/name")


def test_a_missing_file_is_named(trained: Any) -> None:
    (trained.folder / "processor.json").unlink()
    with pytest.raises(PublishError, match=r"processor\.json is missing"):
        push(trained.folder, "org/name")
    (fault,) = find_faults(trained.folder / "elsewhere")
    assert fault.startswith("there is no such folder")


def test_a_folder_that_cannot_be_loaded_is_refused(trained: Any) -> None:
    path = trained.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "channel": 3}))
    with pytest.raises(PublishError, match=r"cannot be loaded: .*did you mean 'channels'"):
        push(trained.folder, "org/name")


def test_an_incomplete_card_is_refused_with_all_that_it_lacks(trained: Any) -> None:
    path = trained.folder / "README.md"
    path.write_text(path.read_text().replace("## Limits", "## Praise").replace("license:", "licence:"))
    with pytest.raises(PublishError) as refusal:
        push(trained.folder, "org/name")
    assert "'Limits'" in str(refusal.value)
    assert "'license'" in str(refusal.value)
    assert "correct README.md" in str(refusal.value)


def test_offline_says_what_to_unset(trained: Any) -> None:
    with pytest.raises(PublishError, match="HF_HUB_OFFLINE is set"):
        push(trained.folder, "org/name")


def test_without_a_token_it_says_how_to_log_in(
    trained: Any, online: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(PublishError, match="hf auth login"):
        push(trained.folder, "org/name")


def test_a_hub_that_does_not_answer_is_named(trained: Any, online: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    with pytest.raises(PublishError, match=r"http://127\.0\.0\.1:9 did not take 'org/name'"):
        push(trained.folder, "org/name")


def test_a_name_that_is_no_repository_is_refused(trained: Any, online: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    with pytest.raises(PublishError, match="does not accept 'a/b/c'"):
        push(trained.folder, "a/b/c")
