"""transformers: push_to_hub, from_pretrained, and MedHub's own Auto classes and loader on the same repository."""

from __future__ import annotations

from pathlib import Path


def test_transformers_push_and_load(served, tmp_path: Path) -> None:
    assert "journey done" in served.script("with_transformers.py", tmp_path / "home")


def test_medhub_push_and_load(served, tmp_path: Path) -> None:
    """A zoo model goes to the Hub with MedHub's push, and comes back through from_pretrained and Auto classes."""
    assert "journey done" in served.script("with_medhub.py", tmp_path / "home")


def test_what_trainer_leaves_behind_is_refused_with_the_cure(served, tmp_path: Path) -> None:
    """Trainer writes its settings as a pickle; the Hub says so before any byte travels."""
    out = served.script("with_a_pickle.py", tmp_path / "home")
    assert "training_args.bin" in out
    assert "delete it" in out
