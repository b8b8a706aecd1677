"""What a series says as a whole, in numbers that do not depend on how long it is."""

from __future__ import annotations

import torch
from torch import Tensor

BENDS = (-0.67, 0.0, 0.67)
"""Where the answer to a value may bend: at the quartiles of what is spread like a normal distribution."""
BENT = ("last", "mean", "least", "most")
STRAIGHT = ("change", "count", "known", "since")
"""The last value less the first, how often and whether a variable was seen at all, how long ago it was seen last."""
STATISTICS = (*BENT, *(f"{name} above {bend}" for bend in BENDS for name in BENT), *STRAIGHT)
"""What is said of each variable."""


def carry_forward(values: Tensor, seen: Tensor) -> Tensor:
    """Return each variable's last value at or before each step (batch, steps, variables), 0 where there was none."""
    steps = torch.arange(1, values.shape[1] + 1, device=values.device)[:, None]
    latest = (steps * (seen > 0)).cummax(dim=1).values  # its step, counted from 1
    return values.gather(1, (latest - 1).clamp(min=0)) * (latest > 0)


def bend(numbers: Tensor) -> Tensor:
    """Return numbers (batch, n), and beside them how far each is above each of BENDS (batch, n * (1 + bends))."""
    return torch.cat([numbers, *(torch.relu(numbers - at) for at in BENDS)], dim=-1)


def summarise(*, values: Tensor, filled: Tensor, seen: Tensor, elapsed: Tensor, lengths: Tensor) -> Tensor:
    """Return the STATISTICS of each variable (batch, statistics * variables), 0 for one that was not seen.

    They are continuous in `seen`, which an explanation lets grow from 0 to 1.
    """
    present = seen > 0
    counts = seen.sum(1)
    known = counts.clamp(max=1)
    end = (torch.arange(len(lengths), device=lengths.device), lengths - 1)
    first = values.gather(1, present.float().argmax(dim=1, keepdim=True))[:, 0]
    infinite = torch.full_like(values, torch.inf)
    extremes = torch.where(present, values, infinite).amin(1), torch.where(present, values, -infinite).amax(1)
    levels = torch.cat(
        [
            filled[end],
            (values * seen).sum(1) / counts.clamp(min=1),
            *(torch.where(known > 0, extreme, 0.0) for extreme in extremes),
        ],
        dim=-1,
    )
    statistics = [
        bend(levels) * known.repeat(1, (1 + len(BENDS)) * len(BENT)),
        (filled[end] - first) * known,
        counts.log1p(),
        known,
        torch.where(present[end], 0.0, elapsed[end]).log1p() * known,
    ]
    return torch.cat(statistics, dim=-1)
