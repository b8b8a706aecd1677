"""Batches of prepared features: shuffled, bucketed by length, shared out over processes, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from medhub.data.features import Features

    Collate = Callable[[Mapping[str, NDArray | Sequence[NDArray]], torch.Generator | None], dict[str, Tensor]]

BUCKET_BATCHES = 50
"""Rows are sorted by length inside windows of so many batches: little padding, and still well shuffled."""


class Batches:
    """The batches of one process. Every process has the same number of them, and they share each step's rows.

    With `shuffle` (training) every batch is full: the last one is filled with the epoch's first rows. Without it
    (evaluation) rows come in the order of their lengths, a process repeats none of its own, and `indices` tells which
    rows a step holds, so that scores can be put back into order. `collate` is the processor's.
    """

    def __init__(
        self,
        features: Features,
        collate: Collate,
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"batch_size {batch_size} must be at least 1 and rank {rank} below world_size {world_size}"
            )
        self.features = features
        self.collate = collate
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.step_rows = batch_size * world_size
        self._lengths = features.lengths

    def __len__(self) -> int:
        """Return the number of steps of an epoch, the same on every process."""
        return math.ceil(len(self.features) / self.step_rows)

    def epoch(self, number: int, *, start_step: int = 0) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of an epoch from `start_step` on, each as the keyword arguments of `forward`.

        In training `collate` gets a generator, seeded by (seed, epoch, step, rank), for augmentation; it is valid until
        the next batch.
        """
        import torch  # here, because finding and splitting data needs none of it

        steps = self.indices(number)
        if not self.shuffle:
            for rows in steps[start_step:]:
                yield self.collate(self.features.take(rows), None)
            return
        generator = torch.Generator()
        seeds = np.random.default_rng((self.seed, number, self.rank + 1)).integers(2**63, size=len(steps)).tolist()
        for rows, seed in zip(steps[start_step:], seeds[start_step:], strict=True):
            yield self.collate(self.features.take(rows), generator.manual_seed(seed))

    def indices(self, number: int = 0) -> list[NDArray[np.int64]]:
        """Return which rows each step of an epoch holds on this process."""
        order = self._order(number)
        return [
            np.ascontiguousarray(order[start : start + self.step_rows][self.rank :: self.world_size])
            for start in range(0, len(order), self.step_rows)
        ]

    def _order(self, number: int) -> NDArray[np.int64]:
        """Return the rows of an epoch over all processes, filled so that the processes have equally many."""
        rows = len(self.features)
        if not self.shuffle:
            order = np.arange(rows) if self._lengths is None else np.argsort(self._lengths, kind="stable")
            return np.resize(order, math.ceil(rows / self.world_size) * self.world_size)
        generator = np.random.default_rng((self.seed, number))
        order = np.resize(generator.permutation(rows), len(self) * self.step_rows)
        if self._lengths is None:
            return order
        window = BUCKET_BATCHES * self.step_rows
        for start in range(0, len(order), window):
            part = order[start : start + window]
            part[:] = part[np.argsort(self._lengths[part], kind="stable")]
        return generator.permutation(order.reshape(-1, self.step_rows)).reshape(-1)
