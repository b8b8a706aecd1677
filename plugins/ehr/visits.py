"""A record as a sequence of visits."""

from __future__ import annotations

import numpy as np

from .events import BIRTH, VISIT, Record


def visits(record: Record) -> list[Record]:
    """Return the timed events of a record, but the birth, visit by visit, each as a record without static events.

    A visit begins with an event whose code starts with VISIT and lasts until the next begins; visits that begin at one
    moment are one, and events before the first are one of their own. A record that names no visit has one for each
    day on which there is an event.
    """
    timed = record.timed_part
    timed = timed.select(timed.codes != BIRTH)
    starts = timed.under(VISIT).times
    marks = (
        np.searchsorted(np.unique(starts), timed.times, side="right") if len(starts) else timed.times.astype("M8[D]")
    )
    edges = np.flatnonzero(marks[1:] != marks[:-1]) + 1
    return [timed.select(rows) for rows in np.split(np.arange(len(timed)), edges) if len(rows)]
