"""A record's values as arrays: a series of steps for recurrent networks, and a summary for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

from .events import Record, Time
from .scaling import Scaler

HOUR = np.timedelta64(1, "h") / np.timedelta64(1, "us")
STATISTICS = ("last", "mean", "least", "most", "count")
"""What `summary` says of each variable."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Values of v variables at s steps of time, as GRU-D (Che et al. 2018, 10.1038/s41598-018-24271-9) takes them."""

    values: NDArray[np.float32]
    """(s, v) on the scaler's scale, 0 where missing: there it is the mean."""
    mask: NDArray[np.float32]
    """(s, v) 1 where there is a value."""
    elapsed: NDArray[np.float32]
    """(s, v) hours from the variable's last value in an earlier step to this step; before the first, from the start."""
    hours: NDArray[np.float32]
    """(s,) hours from the start to each step."""


def series(record: Record, scaler: Scaler, *, start: Time, end: Time, width: timedelta | None = None) -> Series:
    """Return a record's values from `start` on and before `end` as a series of steps.

    With a `width` every stretch of that length is a step, also one that holds nothing, and what falls into it is
    averaged; the last may be shorter. Without, every moment at which something was measured is a step, and there must
    be one. Static values are left out. Raises InputError where `end` is not after `start`.
    """
    if not start < end:
        raise InputError(f"the series from {start} to {end} holds no time; its end must be after its start")
    places, variables, values = scaler.scale(record)
    times = record.times[places]
    inside = (times >= start) & (times < end)  # NaT, of what is static, is never inside
    variables, values = variables[inside], values[inside]
    since = (times[inside] - start).astype("timedelta64[us]").astype(np.int64)
    if width is None:
        moments, steps = np.unique(since, return_inverse=True)
        if not len(moments):
            raise InputError("the window holds no value of any variable that the model knows; give a longer history")
    else:
        long = width // timedelta(microseconds=1)
        moments = np.arange(0, int((end - start) / np.timedelta64(1, "us")), long)
        steps = since // long
    shape = (len(moments), len(scaler.codes))
    cells = steps * shape[1] + variables
    counts = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(cells, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
    hours = moments / HOUR
    return Series(
        values=(sums / np.maximum(counts, 1)).astype(np.float32), mask=(counts > 0).astype(np.float32),
        elapsed=_elapsed(counts > 0, hours), hours=hours.astype(np.float32),
    )  # fmt: skip


def summary(record: Record, scaler: Scaler) -> NDArray[np.float32]:
    """Return for each variable the STATISTICS of its values in a record, (variables, 5), in the scaler's scale.

    Static values count as any other. What was never measured is NaN, and its count 0.
    """
    _, variables, values = scaler.scale(record)
    count = len(scaler.codes)
    numbers = np.bincount(variables, minlength=count)
    least, most, last = np.full(count, np.inf), np.full(count, -np.inf), np.full(count, np.nan)
    np.minimum.at(least, variables, values)
    np.maximum.at(most, variables, values)
    last[variables] = values  # of several the last is kept
    with np.errstate(invalid="ignore"):
        mean = np.bincount(variables, weights=values, minlength=count) / numbers
    table = np.stack([last, mean, least, most, numbers], axis=1)
    table[numbers == 0, :-1] = np.nan
    return table.astype(np.float32)


def summary_names(scaler: Scaler) -> list[str]:
    """Return the names of a flattened summary's numbers: "LOINC/2345-7, last"."""
    return [f"{code}, {statistic}" for code in scaler.codes for statistic in STATISTICS]


def _elapsed(seen: NDArray[np.bool_], hours: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the hours from the last earlier step with a value, (s, v)."""
    at = np.where(seen, hours[:, None], 0.0)
    latest = np.maximum.accumulate(at, axis=0)  # the start is hour 0
    before = np.concatenate([np.zeros((1, seen.shape[1])), latest[:-1]])
    return (hours[:, None] - before).astype(np.float32)
