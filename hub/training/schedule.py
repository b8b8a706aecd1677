"""The learning rate as a plain function of the step: nothing to save, and nothing to restore."""

from __future__ import annotations

import math

from medhub.training.settings import Settings


def learning_rate(step: int, *, total: int, settings: Settings) -> float:
    """Return the learning rate of step `step` (from 0) of `total`.

    It rises linearly over the first `warmup` fraction of the steps, reaches the full rate, and falls to zero at step
    `total`: along half a cosine (Loshchilov and Hutter 2017), along a line, or, for "constant", not at all.
    """
    warmup = round(settings.warmup * total)
    if step < warmup:
        return settings.learning_rate * (step + 1) / (warmup + 1)
    remaining = (total - step) / max(1, total - warmup)
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 - math.cos(math.pi * remaining))
    if settings.schedule == "linear":
        return settings.learning_rate * remaining
    return settings.learning_rate
