"""What a training run tells whoever watches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Progress(Protocol):
    """Follows a training run; the command line draws it as a bar. Only the first of several processes is followed."""

    def step(self, *, step: int, total: int, epoch: int, loss: float) -> None:
        """Take note of where training is.

        Called about twice a second, for reading the loss waits for the GPU, and at the end of each epoch.
        `step` counts from 1 to `total` over all epochs, `epoch` from 1; `loss` is the mean of this epoch so far.
        """

    def epoch(self, record: dict[str, Any]) -> None:
        """Take note of a finished epoch: an entry of `Outcome.history`."""


class TensorBoard:
    """Writes the history's numbers to `folder`/tensorboard, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def epoch(self, record: dict[str, Any]) -> None:
        """Write an entry of `Outcome.history`."""
        for name in ("learning_rate", *(name for name in record if name.startswith("loss"))):
            self._writer.add_scalar(name, record[name], record["epoch"])
        self._writer.add_scalar(record["metric_name"], record["metric"], record["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
