"""What the training loop costs: MedHub's beside a plain PyTorch loop and transformers.Trainer, in CPU time a step.

    python benchmarks/training_loop.py

Same network (64-64-2), data, batch of 32, AdamW and number of steps; one thread; the three take turns, and the median
over the turns is shown. The plain loop is the tutorial's: DataLoader, zero_grad, forward, backward, step.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and torch start their threads
os.environ["HF_HUB_OFFLINE"] = "1"

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.trainer_callback import PrinterCallback

from medhub.data import Features, prepare
from medhub.metrics import METRICS
from medhub.modeling import MedConfig, MedModel, classification_loss
from medhub.processing import Processor
from medhub.training import Settings, train

ROWS, INPUTS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 8192, 64, 32, 1e-3, 0.01
EPOCHS, REPEATS = 4, 9
STEPS = EPOCHS * ROWS // BATCH


class DenseConfig(MedConfig):
    """64-64-2."""

    model_type = "bench_dense"


class DenseModel(MedModel):
    """Two linear layers."""

    config_class = DenseConfig

    def __init__(self, config: DenseConfig) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(nn.Linear(INPUTS, 64), nn.ReLU(), nn.Linear(64, 2))
        self.post_init()

    def forward(self, values: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
        """Return logits of shape (batch, 2)."""
        logits = self.layers(values)
        return SequenceClassifierOutput(
            loss=None if labels is None else classification_loss(logits, labels), logits=logits
        )


@dataclass(kw_only=True)
class DenseProcessor(Processor):
    """Numbers as they are."""

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> DenseProcessor:
        """Learn nothing."""
        return cls()

    def read(self, raw: Any) -> np.ndarray:
        """Return the row."""
        return np.asarray(raw, dtype=np.float32)

    def features(self, sample: np.ndarray) -> dict[str, np.ndarray]:
        """Return the row."""
        return {"values": sample}

    def describe(self, sample: np.ndarray) -> str:
        """Name no row."""
        return ""

    def explain(self, model: MedModel, sample: Any, label: str) -> Any:
        """Explain nothing."""
        raise NotImplementedError


def make_model() -> DenseModel:
    """Return the same network every time."""
    torch.manual_seed(0)
    return DenseModel(DenseConfig())


def plain_loop(data: TensorDataset) -> None:
    """Train as PyTorch's tutorial does."""
    model = make_model().train()
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    for _ in range(EPOCHS):
        for values, labels in loader:
            optimizer.zero_grad()
            loss = model(values=values, labels=labels).loss
            loss.backward()
            optimizer.step()


def medhub_loop(train_rows: Features, validation_rows: Features) -> None:
    """Train with medhub.training, which also schedules, validates every epoch, and writes a checkpoint at the end."""
    settings = Settings(
        epochs=EPOCHS, batch_size=BATCH, learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, clip=0.0, cpu=True
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            make_model(), train_rows, validation_rows, DenseProcessor(),
            settings=settings, folder=Path(folder), metric=METRICS["accuracy"],
        )  # fmt: skip


def trainer_loop(rows: list[dict[str, Tensor]]) -> None:
    """Train with transformers.Trainer, its reports, validations and checkpoints off."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY, optim="adamw_torch_fused", max_grad_norm=0.0, use_cpu=True, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(make_model(), arguments, train_dataset=rows)
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def prepared(values: np.ndarray, labels: np.ndarray) -> Features:
    """Return arrays as MedHub's loop reads them."""
    groups = [str(row) for row in range(len(values))]
    rows = Dataset.from_dict({"input": values.tolist(), "labels": labels.tolist(), "group": groups})
    return prepare(rows, DenseProcessor(), cache=False)


def main() -> None:
    """Time the three loops in turn and print the table."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    values = generator.normal(size=(ROWS, INPUTS)).astype(np.float32)
    labels = (values.sum(axis=1) > 0).astype(np.int64)
    data = TensorDataset(torch.from_numpy(values), torch.from_numpy(labels))
    loops: dict[str, Callable[[], None]] = {
        "plain PyTorch loop": partial(plain_loop, data),
        "medhub.training": partial(medhub_loop, prepared(values, labels), prepared(values[:64], labels[:64])),
        "transformers.Trainer": partial(trainer_loop, [{"values": value, "labels": label} for value, label in data]),
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(1 + REPEATS):
        for name, loop in loops.items():
            before = time.process_time()
            loop()
            if turn:  # the first turn only warms up
                milliseconds[name].append(1000 * (time.process_time() - before) / STEPS)
    plain = statistics.median(milliseconds["plain PyTorch loop"])
    print(f"CPU time of a training step, 64-64-2, batch {BATCH}, {STEPS} steps a run, median of {REPEATS}, one thread")
    print(f"{'loop':22}{'ms a step':>10}{'least':>8}{'most':>8}{'against plain':>15}")
    for name, values_of in milliseconds.items():
        median = statistics.median(values_of)
        print(f"{name:22}{median:10.3f}{min(values_of):8.3f}{max(values_of):8.3f}{median / plain - 1:+15.0%}")


if __name__ == "__main__":
    main()
