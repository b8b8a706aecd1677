"""The plugin under test, and what several rules need of it, each made once."""

from __future__ import annotations

import ast
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medhub.data import Features, Table, prepare
from medhub.errors import CheckFailed
from medhub.modeling import MedConfig, MedModel
from medhub.processing import Processor
from medhub.registry import Task

SIZE = 64
"""Rows of synthetic data that the rules work on."""


class Subject:
    """A task whose plugin is checked."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._networks: dict[str, Network] = {}

    @cached_property
    def folder(self) -> Path:
        """The plugin's folder."""
        return Path(str(import_module(self.task.package).__file__)).parent

    @cached_property
    def sources(self) -> dict[Path, ast.Module]:
        """Syntax trees of the plugin's Python files, by path within the folder."""
        files = sorted(self.folder.rglob("*.py"))
        return {file.relative_to(self.folder): ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}

    @cached_property
    def table(self) -> Table:
        """Synthetic rows."""
        return self.task.module("data").synthetic(size=SIZE, seed=0)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Names of the plugin's networks."""
        names = self.task.config_class.ARCHITECTURES
        if not names:
            raise CheckFailed(f"{self.task.config}.ARCHITECTURES is empty; list the networks, so that each is checked")
        return names

    @cached_property
    def exemptions(self) -> dict[str, str]:
        """Reasons of the rules that the plugin may break, by outcome name: EXEMPTIONS in its checks.py, if any."""
        return dict(self.task.module("checks").EXEMPTIONS) if self.task.has_module("checks") else {}

    def network(self, architecture: str) -> Network:
        """Return one of the networks; the same object each time."""
        if architecture not in self._networks:
            self._networks[architecture] = Network(self.task, self.table, architecture)
        return self._networks[architecture]


class Network:
    """One of a task's networks at its smallest, and a processor fitted to the synthetic rows."""

    def __init__(self, task: Task, table: Table, architecture: str) -> None:
        self.task = task
        self.table = table
        self.config: MedConfig = task.config_class.tiny(architecture)
        self.config.id2label = dict(enumerate(table.label_names))
        self.config.label2id = {name: index for index, name in self.config.id2label.items()}
        self.processor: Processor = task.processor_class.fit(table.rows, self.config)

    @cached_property
    def features(self) -> Features:
        """The synthetic rows' numbers."""
        return prepare(self.table.rows, self.processor, cache=False)

    @cached_property
    def target_names(self) -> frozenset[str]:
        """Names of the batch's entries that are labels."""
        return frozenset(self.processor.targets(self.table.rows[0]))

    @cached_property
    def varied(self) -> list[int]:
        """Places of eight rows that hold each label about as often."""
        by_labels: dict[str, list[int]] = {}
        for place, labels in enumerate(self.table.rows["labels"]):
            by_labels.setdefault(repr(labels), []).append(place)
        turns = max(len(places) for places in by_labels.values())
        mixed = [places[turn] for turn in range(turns) for places in by_labels.values() if turn < len(places)]
        return mixed[:8]

    def model(self, *, seed: int = 0) -> MedModel:
        """Return an untrained model in evaluation mode."""
        torch.manual_seed(seed)
        return self.task.model_class(self.config).eval()

    def disturbed(self, *, seed: int = 0) -> MedModel:
        """Return an untrained model with every weight moved, as one that starts at zero hides what comes before it."""
        model = self.model(seed=seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model

    def batch(self, places: list[int], *, targets: bool = True) -> dict[str, Tensor]:
        """Return rows as a batch, with or without their labels."""
        columns = self.features.take(np.array(places))
        if not targets:
            columns = {name: column for name, column in columns.items() if name not in self.target_names}
        return self.processor.collate(columns)

    def scores(self, model: MedModel, places: list[int]) -> Any:
        """Return the scores that a model gives to rows, an array whose first axis is the row."""
        with torch.inference_mode():
            return self.processor.scores(model(**self.batch(places, targets=False)), self.config)
