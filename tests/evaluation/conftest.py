"""The template's task, example/rhythm, with its synthetic data: two classes, groups of patients, two baselines."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from medhub.data import Splits, load_data
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.registry import Task, discovery


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    """The task, registered for the length of a test."""
    monkeypatch.setattr(discovery, "_registered", {})
    # imported anew, because what registered it in an earlier test is forgotten
    importlib.reload(importlib.import_module("medhub.template.plugin"))
    return discovery.get("example/rhythm")


@pytest.fixture
def splits(task: Task) -> Splits:
    return load_data(task.module("data").synthetic(size=100), seed=0)


@pytest.fixture
def network(task: Task, splits: Splits, cache: Path) -> tuple[MedModel, Processor]:
    """An untrained network with its processor."""
    config = task.config_class.tiny(id2label=dict(enumerate(splits.label_names)))
    processor = task.processor_class.fit(splits.train, config)
    torch.manual_seed(0)
    return task.model_class(config), processor
