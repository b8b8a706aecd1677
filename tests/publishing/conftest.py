"""A model folder as `medhub train` leaves it, of the template's task with an untrained network."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from medhub.data import Source, Splits, load_data, prepare
from medhub.evaluation import Calibration, Report, calibrate, evaluate
from medhub.predictor import Predictor
from medhub.publishing import write_card
from medhub.registry import Task, discovery
from medhub.training import Settings


@dataclass
class Trained:
    """A folder, and the records that its card is written from."""

    folder: Path
    task: Task
    splits: Splits
    report: Report
    calibration: Calibration

    def write(self, **changes: Any) -> str:
        """Write the card, with some of its records changed, and return its text."""
        records = {
            "task": self.task,
            "report": self.report,
            "data": self.splits.summary(),
            "settings": Settings(epochs=3).to_dict(),
            "outcome": {"seconds": 83.2, "best_epoch": 2, "steps": 120, "processes": 1},
            "train_command": "medhub train example/rhythm --data beats --seed 0",
            "calibration": self.calibration,
        }
        return write_card(self.folder, **{**records, **changes}).read_text(encoding="utf-8")


@pytest.fixture
def trained(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    monkeypatch.setattr(discovery, "_registered", {})
    # imported anew, because what registered it in an earlier test is forgotten
    importlib.reload(importlib.import_module("medhub.template.plugin"))
    task = discovery.get("example/rhythm")
    source = Source(
        name="beats", version="1.0", title="Beats of hearts", files=(), licence="CC-BY-NC-4.0", citation="Nobody, 2020",
        homepage="https://example.org/beats_1", group_by="patient", splits=("group",),
        load=lambda paths: task.module("data").synthetic(size=100),
    )  # fmt: skip
    monkeypatch.setitem(task.module("data").DATASETS, "beats", source)
    splits = load_data(source, seed=0)
    config = task.config_class.tiny(id2label=dict(enumerate(splits.label_names)))
    processor = task.processor_class.fit(splits.train, config)
    torch.manual_seed(0)
    model = task.model_class(config)
    calibration = calibrate(model, processor, prepare(splits.validation, processor))
    folder = Predictor(task, model, processor, device="cpu").save(tmp_path / "heart-rhythm")
    report = evaluate(task, model, processor, splits, bootstrap=50, command="medhub evaluate runs/heart-rhythm")
    made = Trained(folder, task, splits, report, calibration)
    made.write()
    return made
