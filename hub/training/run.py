"""A training run between two of its steps: what a checkpoint holds, and the ways to move it on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast, broadcast_object_list, send_to_device
from torch import Tensor

from medhub.data import Batches, Features
from medhub.errors import MedHubError
from medhub.evaluation import predict_scores
from medhub.metrics import Metric
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.training.average import MovingAverage, tensors_of
from medhub.training.balance import class_weights, sample_weights
from medhub.training.checkpoint import Checkpoint, identify, named
from medhub.training.interrupt import Interrupt
from medhub.training.launch import start_accelerator
from medhub.training.progress import Progress, TensorBoard
from medhub.training.randomness import random_states, restore_random_states
from medhub.training.schedule import learning_rate
from medhub.training.settings import Settings
from medhub.training.step import Batch, Stepper

READING_SECONDS = 0.5
"""Least time between two readings of the loss, each of which waits for the GPU."""
AGREEMENT_STEPS = 50
"""Several processes agree so often whether it is time for a checkpoint, which all of them must take part in."""


@dataclass
class Position:
    """Where a run stands: the part of its state that is JSON."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches of the present epoch used."""
    step: int = 0
    """Steps taken in all."""
    seconds: float = 0.0
    best_epoch: int = 0
    best_value: float = math.nan
    history: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """The state of a training run; see `medhub.training.train` for the arguments."""

    def __init__(
        self,
        model: MedModel,
        train: Features,
        validation: Features,
        processor: Processor,
        *,
        settings: Settings,
        folder: Path,
        metric: Metric,
        progress: Progress | None,
    ) -> None:
        self.model, self.validation, self.processor = model, validation, processor
        self.settings, self.folder, self.metric = settings, Path(folder), metric
        self.accelerator = start_accelerator(settings, several_players=len(model.players()) > 1)
        self.rank, self.processes = self.accelerator.process_index, self.accelerator.num_processes
        self.device = self.accelerator.device
        torch.manual_seed(settings.seed + self.rank)  # each process needs dropout of its own
        model.to(self.device)
        if settings.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-arg]
        self.stepper = Stepper(model, self.accelerator, settings=settings)
        # only now, for Accelerate may have moved the weights to other memory
        self.average = MovingAverage(model, decay=settings.ema) if settings.ema else None
        self.class_weights = class_weights(train, model).to(self.device) if settings.balance == "balanced" else None
        self.batches = Batches(
            train, processor.collate, batch_size=settings.batch_size, seed=settings.seed, shuffle=True,
            rank=self.rank, world_size=self.processes,
        )  # fmt: skip
        self.total = settings.epochs * math.ceil(len(self.batches) / settings.accumulate)
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self.identity = {
            **identify(model, processor, settings),
            "training data": train.sha256,
            "validation data": validation.sha256,
            "metric": metric.name,
            "device": self.device.type,
            "processes": self.processes,
        }
        self.progress = progress if self.rank == 0 else None
        self.tensorboard = TensorBoard(self.folder) if settings.tensorboard and self.rank == 0 else None
        self._last_time = self._last_reading = self._last_checkpoint = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or too many of them without a better metric."""
        position, patience = self.position, self.settings.patience
        tired = 0 < patience <= position.epoch - position.best_epoch
        return tired or position.epoch >= self.settings.epochs

    @property
    def validated(self) -> MedModel:
        """The model whose weights are validated, kept and returned."""
        return self.model if self.average is None else self.average.model

    # -- steps --

    def train_epoch(self, interrupt: Interrupt) -> None:
        """Take the steps of the present epoch that are left."""
        self.model.train()
        position, settings, step = self.position, self.settings, self.stepper.step
        batches = map(self._place, self.batches.epoch(position.epoch, start_step=position.batch))
        while group := [*islice(batches, settings.accumulate)]:
            step(group, learning_rate=learning_rate(position.step, total=self.total, settings=settings))
            if self.average is not None:
                self.average.update(position.step)
            position.batch += len(group)
            position.step += 1
            if time.monotonic() - self._last_reading >= READING_SECONDS:
                self._tell(self._losses())
            if interrupt.requested or self._checkpoint_due():
                self.save()
                interrupt.heed()

    def _place(self, batch: Batch) -> Batch:
        """Bring a batch to the device, in the memory format and with the weights that the settings ask for."""
        if self.device.type != "cpu":
            batch = send_to_device(batch, self.device, non_blocking=True)
        if self.settings.channels_last:
            batch = {
                name: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
                for name, tensor in batch.items()
            }
        if self.class_weights is not None:
            batch["sample_weight"] = sample_weights(batch["labels"], self.class_weights)
        return batch

    def _tell(self, losses: Mapping[str, float]) -> None:
        self._last_reading = time.monotonic()
        if self.progress is not None:
            step, epoch = self.position.step, self.position.epoch + 1
            self.progress.step(step=step, total=self.total, epoch=epoch, loss=sum(losses.values()))

    def _losses(self, *, of_all_processes: bool = False) -> dict[str, float]:
        """Return each player's mean loss in this epoch so far; raise MedHubError where one is not finite."""
        sums = torch.stack([player.loss_sum for player in self.stepper.players])
        if of_all_processes:
            sums = self.accelerator.reduce(sums, "mean")
        losses = (sums / self.position.batch).tolist()
        if not all(map(math.isfinite, losses)):
            raise self._diverged(f"the loss is {sum(losses)}")
        return {player.name: loss for player, loss in zip(self.stepper.players, losses, strict=True)}

    def _diverged(self, what: str) -> MedHubError:
        settings, position = self.settings, self.position
        return MedHubError(
            f"training diverged: {what} by step {position.step} (epoch {position.epoch + 1}). Lower the learning rate "
            f"({settings.learning_rate:g}), clip gradients (clip={settings.clip:g}) or raise the precision "
            f"({settings.precision!r}); if it happens in the first steps, look for NaN in the features"
        )

    # -- the end of an epoch --

    def end_epoch(self, interrupt: Interrupt) -> None:
        """Validate, keep the weights when they are the best so far, and write the record."""
        position = self.position
        losses = self._losses(of_all_processes=True)
        if not all(weights.isfinite().all() for weights in self.model.parameters()):
            raise self._diverged("weights are not finite")
        self._tell(losses)
        value = self._validate()
        position.epoch += 1
        position.batch = 0
        if better := self._is_better(value):
            position.best_epoch, position.best_value = position.epoch, value
            self.best = {name: tensor.clone() for name, tensor in tensors_of(self.validated).items()}
        for player in self.stepper.players:
            player.loss_sum.zero_()
        self._record(losses, value, better=better)
        if interrupt.requested or self.finished or self._checkpoint_due():
            self.save()
            interrupt.heed()

    def _record(self, losses: Mapping[str, float], value: float, *, better: bool) -> None:
        position = self.position
        self._count_seconds()
        record = {
            "epoch": position.epoch,
            "step": position.step,
            "loss": sum(losses.values()),
            **({f"loss_{name}": loss for name, loss in losses.items()} if len(losses) > 1 else {}),
            "metric_name": self.metric.name,
            "metric": value,
            "best": better,
            "learning_rate": learning_rate(position.step - 1, total=self.total, settings=self.settings),
            "seconds": position.seconds,
        }
        position.history.append(record)
        for watcher in (self.progress, self.tensorboard):
            if watcher is not None:
                watcher.epoch(record)

    def _validate(self) -> float:
        """Return the validation metric, the same on every process, so that all stop at the same epoch."""
        value = math.nan
        if self.rank == 0:
            scores, targets = predict_scores(
                self.validated, self.validation, self.processor, batch_size=self.settings.batch_size
            )
            value = float(self.metric.compute(scores, targets))
        return broadcast_object_list([value])[0]

    def _is_better(self, value: float) -> bool:
        best = self.position.best_value
        if math.isnan(best):  # the metric has had no value yet: the latest weights have learnt most
            return True
        return value > best if self.metric.higher_is_better else value < best

    # -- checkpoints --

    def save(self) -> None:
        """Write a checkpoint; every process must take part."""
        if self.position.batch:
            self._losses()  # weights that went with a NaN are not worth keeping
        self._count_seconds()
        tensors = {
            **named("model", tensors_of(self.model)),
            **named("best", self.best),
            **named("rng", random_states(self.accelerator)),
        }
        if self.average is not None:
            tensors |= named("average", tensors_of(self.average.model))
        for player in self.stepper.players:
            tensors |= named(f"optimizer.{player.name}", player.optimizer_tensors())
            tensors[f"loss.{player.name}"] = player.loss_sum
        facts = {"position": asdict(self.position), "scaler": self.stepper.scaler.state_dict()}
        if self.rank == 0:
            Checkpoint(tensors, facts, self.identity).write(self.folder)
        self._last_checkpoint = time.monotonic()

    def restore(self) -> None:
        """Go on from the folder's checkpoint, if there is one; raise CheckpointError when it is of another run."""
        checkpoint = Checkpoint.read(self.folder)
        if checkpoint is None:
            return
        checkpoint.refuse_others(self.identity, place=self.folder)
        _copy(checkpoint.part("model"), tensors_of(self.model))
        if self.average is not None:
            _copy(checkpoint.part("average"), tensors_of(self.average.model))
        for player in self.stepper.players:
            player.restore_optimizer(checkpoint.part(f"optimizer.{player.name}"))
            player.loss_sum.copy_(checkpoint.tensors[f"loss.{player.name}"])
        self.best = {name: tensor.to(self.device) for name, tensor in checkpoint.part("best").items()}
        self.stepper.scaler.load_state_dict(checkpoint.facts["scaler"])
        self.position = Position(**checkpoint.facts["position"])
        restore_random_states(self.accelerator, checkpoint.part("rng"))

    def discard(self) -> None:
        """Delete the folder's checkpoint, if there is one."""
        if self.rank == 0:
            Checkpoint.delete(self.folder)

    def restore_best(self) -> None:
        """Give the model the best epoch's weights, the same on every process."""
        _copy(self.best, tensors_of(self.model))
        self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-arg]
        for tensor in tensors_of(self.model).values():
            if tensor.is_floating_point():
                broadcast(tensor)  # each process keeps running statistics of its own batches
        self.model.eval()

    def close(self) -> None:
        """Leave the model without traces of the training, and close the files."""
        self.stepper.release()
        if self.tensorboard is not None:
            self.tensorboard.close()

    def _checkpoint_due(self) -> bool:
        due = time.monotonic() - self._last_checkpoint >= 60 * self.settings.checkpoint_minutes
        if self.processes == 1:
            return due
        if self.position.batch and self.position.step % AGREEMENT_STEPS:
            return False
        return broadcast_object_list([due])[0]

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.position.seconds += now - self._last_time
        self._last_time = now


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
