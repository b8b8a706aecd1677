"""Where the rows come from: public data sets, the user's own files, and recordings made up for tests.

Every row has an `input` that the processor reads, its `labels`, and a `group`: whatever must not stand on two sides of
a split, which is the patient here.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from datasets import Dataset

from medhub.data import Source, Table
from medhub.errors import InputError, LabelError

# Change: declare your public data sets here, each with its files' sha256, licence and citation, and make one of them
# the task's default in __init__.py. Until then the task trains on synthetic().
DATASETS: dict[str, Source] = {}

LABELS = ("regular", "irregular")
COLUMNS = ("intervals", "label", "patient")


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make recordings of made-up patients, two each: breathing alone moves the regular ones, chance the irregular."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        patient = number // 2
        label = patient % len(LABELS)
        beats = np.arange(random.integers(24, 64))
        mean = random.uniform(650, 1000)
        breathing = 0.04 * mean * np.sin(2 * np.pi * beats / random.uniform(4, 6))
        chance = random.normal(0, mean * (0.18 if label else 0.01), len(beats))
        intervals = (mean + breathing + chance).clip(300, 2000).round()
        rows.append({"input": intervals.tolist(), "labels": label, "group": f"patient {patient}"})
    return Table(rows=Dataset.from_list(rows), label_names=LABELS)


def own_files(path: str | Path) -> Table:
    """Read a CSV with the columns intervals (milliseconds, spaces between them), label and patient.

    Raises InputError for a file that cannot be read or lacks a column, LabelError for a row without a label or patient.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            records = [*csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}; give a CSV with {', '.join(COLUMNS)}") from error
    if not records:
        raise InputError(f"{path} has no rows; give a CSV with the columns {', '.join(COLUMNS)}")
    if missing := [column for column in COLUMNS if column not in records[0]]:
        raise InputError(f"{path} lacks the column {missing[0]!r}; it has {', '.join(records[0])}")
    for number, record in enumerate(records, start=2):
        for column in ("label", "patient"):
            if not record[column]:
                raise LabelError(f"{path}, line {number}: the {column} is empty; fill it in or remove the row")
    names = tuple(sorted({record["label"] for record in records}))
    rows = [
        {"input": record["intervals"], "labels": names.index(record["label"]), "group": record["patient"]}
        for record in records
    ]
    return Table(rows=Dataset.from_list(rows), label_names=names)
