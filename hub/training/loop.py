"""The training loop: epochs of steps, a validation after each, and a checkpoint to go on from at any time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from medhub.data import Features
from medhub.metrics import Metric
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.training.interrupt import held_interrupts
from medhub.training.progress import Progress
from medhub.training.run import Run
from medhub.training.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training run came to."""

    model: MedModel
    """The model given to `train`, with the weights of the best epoch, in evaluation mode."""
    history: list[dict[str, Any]]
    """A record an epoch: epoch, step, loss, metric_name, metric, best, learning_rate, seconds."""
    best_epoch: int
    """Counted from 1."""
    best_value: float
    """The validation metric of the best epoch."""
    steps: int
    seconds: float
    """Time over all sessions of a run that was resumed."""
    rank: int
    """Number of this process among `processes`; only process 0 should write files."""
    processes: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "model"}


def train(
    model: MedModel,
    train: Features,
    validation: Features,
    processor: Processor,
    *,
    settings: Settings,
    folder: Path,
    metric: Metric,
    progress: Progress | None = None,
    resume: bool = True,
) -> Outcome:
    """Train a model and return it with the weights that validate best.

    A checkpoint is kept in `folder`, and a run that was killed goes on from there when `train` is called again with
    the same arguments; on a CPU it ends with the same bits as if nothing had happened. After Ctrl-C the step under way
    is finished and saved, then KeyboardInterrupt is raised. Under `accelerate launch` every process calls this, and
    all return the same weights; `folder` must then be one that all can read.

    Raises CheckpointError when a checkpoint cannot be written or is of another run, and MedHubError when the loss is
    no longer a number.
    """
    run = Run(model, train, validation, processor, settings=settings, folder=folder, metric=metric, progress=progress)
    try:
        if resume:
            run.restore()
        else:
            run.discard()
        with held_interrupts(alone=run.processes == 1) as interrupt:
            while not run.finished:
                run.train_epoch(interrupt)
                run.end_epoch(interrupt)
        run.restore_best()
    finally:
        run.close()
    position = run.position
    return Outcome(
        model=model, history=position.history, best_epoch=position.best_epoch, best_value=position.best_value,
        steps=position.step, seconds=position.seconds, rank=run.rank, processes=run.processes,
    )  # fmt: skip
