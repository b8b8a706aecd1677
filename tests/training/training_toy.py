"""Two tiny tasks for the tests of training, and a command that trains one in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.data import Features, prepare
from medhub.metrics import METRICS
from medhub.modeling import MedConfig, MedModel, classification_loss
from medhub.processing import Processor
from medhub.training import Outcome, Settings, train
from medhub.training.checkpoint import Checkpoint

AUROC = METRICS["auroc"]


class PointConfig(MedConfig):
    model_type = "test_point"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("dense",)

    architecture: str = "dense"
    width: int = 16
    dropout: float = 0.0
    normalise: bool = False


class PointModel(MedModel):
    """Two layers over four numbers, with the parts that are hard to resume: dropout and running statistics."""

    config_class = PointConfig

    def __init__(self, config: PointConfig) -> None:
        super().__init__(config)
        self.hidden = nn.Linear(4, config.width)
        self.norm = nn.BatchNorm1d(config.width) if config.normalise else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, config.num_labels)
        self.post_init()

    def forward(
        self, values: Tensor, labels: Tensor | None = None, sample_weight: Tensor | None = None
    ) -> SequenceClassifierOutput:
        logits = self.head(self.dropout(self.norm(self.hidden(values)).relu()))
        loss = None if labels is None else classification_loss(logits, labels, sample_weight=sample_weight)
        return SequenceClassifierOutput(loss=loss, logits=logits)


class GameConfig(MedConfig):
    model_type = "test_game"


class GameModel(MedModel):
    """A generative adversarial network (Goodfellow et al. 2014) that learns where one number lies."""

    config_class = GameConfig

    def __init__(self, config: GameConfig) -> None:
        super().__init__(config)
        self.generator = nn.Linear(1, 1)
        self.discriminator = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
        self.post_init()

    def players(self) -> dict[str, list[nn.Parameter]]:
        return {name: [*getattr(self, name).parameters()] for name in ("discriminator", "generator")}

    def forward(
        self, values: Tensor, labels: Tensor | None = None, player: str | None = None
    ) -> SequenceClassifierOutput:
        made = self.generator(torch.randn(len(values), 1, device=values.device))
        real, fake = self.discriminator(values[:, :1]), self.discriminator(made)
        loss = None
        if labels is not None:
            judged = fake if player == "generator" else torch.cat([real, -fake])
            loss = nn.functional.softplus(-judged).mean()
        return SequenceClassifierOutput(loss=loss, logits=torch.cat([real, -real], dim=1))


class ImageModel(MedModel):
    """One convolution over pictures."""

    config_class = PointConfig

    def __init__(self, config: PointConfig) -> None:
        super().__init__(config)
        self.convolution = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, config.num_labels)
        self.post_init()

    def forward(self, values: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
        logits = self.head(self.convolution(values).relu().mean(dim=(2, 3)))
        loss = None if labels is None else classification_loss(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


@dataclass(kw_only=True)
class PointProcessor(Processor):
    """Four numbers as they are."""

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> PointProcessor:
        return cls()

    def read(self, raw: Any) -> np.ndarray:
        return np.asarray(raw, dtype=np.float32)

    def features(self, sample: np.ndarray) -> dict[str, np.ndarray]:
        return {"values": sample}

    def describe(self, sample: np.ndarray) -> str:
        return "a point"

    def explain(self, model: MedModel, sample: Any, label: str) -> Any:
        raise NotImplementedError


@cache
def points(size: int, *, seed: int = 0) -> Features:
    """Rows that a line separates, a few of them on the wrong side."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(size, 4)).astype(np.float32)
    labels = (values.sum(axis=1) + 0.5 * generator.normal(size=size) > 0).astype(int)
    return features_of(values, labels)


def features_of(values: np.ndarray, labels: np.ndarray) -> Features:
    groups = [str(row) for row in range(len(values))]
    rows = Dataset.from_dict({"input": values.tolist(), "labels": labels.tolist(), "group": groups})
    return prepare(rows, PointProcessor(), cache=False)


def make_model(kind: str) -> MedModel:
    """The same weights every time."""
    torch.manual_seed(7)
    if kind == "game":
        return GameModel(GameConfig())
    return PointModel(PointConfig(dropout=0.3, normalise=True) if kind == "noisy" else PointConfig())


def run(settings: Settings, folder: Path, *, kind: str = "noisy", size: int = 96, **more: Any) -> Outcome:
    """Train a model on points; `more` are arguments of `train`."""
    arguments = {"processor": PointProcessor(), "metric": AUROC, **more}
    return train(make_model(kind), points(size), points(64, seed=1), settings=settings, folder=folder, **arguments)


def stopping(after: int, *, by: type[BaseException] | None = None) -> Processor:
    """A processor that presses Ctrl-C, or raises, when it makes its n-th batch of a training."""

    class Stopping(PointProcessor):
        made = 0

        def collate(self, columns: Any, generator: torch.Generator | None = None) -> dict[str, Tensor]:
            if generator is not None:
                Stopping.made += 1
                if Stopping.made == after:
                    if by is not None:
                        raise by
                    signal.raise_signal(signal.SIGINT)
            return super().collate(columns, generator)

    Stopping.__name__ = PointProcessor.__name__  # as its hash has it
    return Stopping()


class Announcer:
    """Says on standard output that an epoch is over."""

    def step(self, *, step: int, total: int, epoch: int, loss: float) -> None:
        pass

    def epoch(self, record: dict[str, Any]) -> None:
        print(f"epoch {record['epoch']}", flush=True)


def main() -> None:
    """Do the trainings of the JSON list on the command line, one after the other.

    Each is a dict of `folder`, `settings` and arguments of `run`; `out` saves the weights as <out>/rank<n>.safetensors,
    `stop_after` breaks off at that batch, and `largest_file` limits the size of files in bytes.
    """
    torch.set_num_threads(1)
    for job in json.loads(sys.argv[1]):
        out, stop, largest = (job.pop(name, None) for name in ("out", "stop_after", "largest_file"))
        settings, folder = Settings.from_dict(job.pop("settings")), Path(job.pop("folder"))
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        if stop is not None:
            with suppress(ZeroDivisionError):
                run(settings, folder, processor=stopping(stop, by=ZeroDivisionError), **job)
            step = Checkpoint.read(folder).facts["position"]["step"]
            os.write(sys.stdout.fileno(), f"checkpoint of step {step}\n".encode())
            continue
        outcome = run(settings, folder, progress=Announcer(), **job)
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            save_file(outcome.model.state_dict(), Path(out) / f"rank{outcome.rank}.safetensors")
        # one write, so that the lines of several processes do not mix
        os.write(
            sys.stdout.fileno(), f"rank {outcome.rank} of {outcome.processes}, seed {torch.initial_seed()}\n".encode()
        )
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
