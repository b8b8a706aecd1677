"""Events a second and peak memory: a long CSV read, checked and made into arrays by MedHub, and by pandas.

    python benchmarks/events.py
    python benchmarks/events.py --events 1000000

The CSV (subject_id, time, code, value, unit) holds made-up intensive care stays of 48 hours with 20 variables, in the
order of time, so that patients are mixed. Either contestant makes of it, for every patient, the hourly mean and mask of
each variable, (48, 20), standardised; that both made the same is compared. Each runs in a process of its own, on the
threads that its library takes by itself; the median over the rounds is shown.

- MedHub: `write_events` to a temporary store, then record after record through `series`, which also makes the time
  since each variable was last seen. Events are checked on the way: order, copies, future, units.
- pandas: `read_csv` with the pyarrow engine, `groupby` by patient, hour and variable, and one array for all patients.
  Nothing is checked.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

HOURS, VARIABLES, PER_PATIENT = 48, 20, 500
START = np.datetime64("2020-01-01T00:00:00", "s")
CHUNK = 500_000
CODES = [f"LAB/{number:02}" for number in range(VARIABLES)]
MEAN, DEVIATION = 100.0, 15.0
CONTESTANTS = ("medhub", "pandas")
COLUMNS = ("events", "contestant", "events/s", "seconds", "peak memory, MB", "of it before reading", "times as quick",
           "share of pandas' memory")  # fmt: skip


def write_csv(path: Path, events: int) -> None:
    """Write made-up events, a chunk of time at a time."""
    random = np.random.default_rng(0)
    patients = max(events // PER_PATIENT, 1)
    with path.open("wb") as file:
        for first in range(0, events, CHUNK):
            count = min(CHUNK, events - first)
            seconds = np.sort(random.uniform(first, first + count, count)) / events * HOURS * 3600
            table = pa.table({
                "subject_id": random.integers(0, patients, count),
                "time": START + seconds.astype("timedelta64[s]"),
                "code": pa.array(CODES).take(pa.array(random.integers(0, VARIABLES, count))),
                "value": random.normal(MEAN, DEVIATION, count).round(2),
                "unit": pa.repeat("mg/dL", count),
            })  # fmt: skip
            pcsv.write_csv(table, file, pcsv.WriteOptions(include_header=first == 0, quoting_style="none"))


def run_medhub(path: Path) -> tuple[float, float]:
    """Return the sums over all patients' values and masks."""
    from medhub.plugins.ehr.features import series
    from medhub.plugins.ehr.readers import stream_events
    from medhub.plugins.ehr.scaling import Scaler
    from medhub.plugins.ehr.store import write_events

    same = {"means": MEAN, "deviations": DEVIATION, "lowest": -1e9, "highest": 1e9}
    scaler = Scaler(codes=tuple(CODES), units=("mg/dL",) * VARIABLES,
                    **{name: (value,) * VARIABLES for name, value in same.items()})  # fmt: skip
    start = START.astype("datetime64[us]")
    end = start + np.timedelta64(HOURS, "h")
    values = masks = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for record in write_events(stream_events(path), Path(folder) / "store"):
            steps = series(record, scaler, start=start, end=end, width=timedelta(hours=1))
            values, masks = values + float(steps.values.sum(dtype=float)), masks + float(steps.mask.sum())
    return values, masks


def run_pandas(path: Path) -> tuple[float, float]:
    """Return the sums over all patients' values and masks."""
    import pandas as pd

    frame = pd.read_csv(path, engine="pyarrow", parse_dates=["time"])
    frame["hour"] = (frame["time"] - pd.Timestamp(START)) // pd.Timedelta(hours=1)
    frame["variable"] = frame["code"].map({code: number for number, code in enumerate(CODES)})
    cells = frame.groupby(["subject_id", "hour", "variable"])["value"].mean().reset_index()
    patients, place = np.unique(cells["subject_id"], return_inverse=True)
    values = np.zeros((len(patients), HOURS, VARIABLES), np.float32)
    masks = np.zeros_like(values)
    where = (place, cells["hour"], cells["variable"])
    values[where], masks[where] = (cells["value"] - MEAN) / DEVIATION, 1
    return float(values.sum(dtype=float)), float(masks.sum(dtype=float))


def run_alone(contestant: str, path: Path) -> None:
    """Run one contestant in this process and print its figures as JSON."""
    import_module({"medhub": "medhub.plugins.ehr.store", "pandas": "pandas"}[contestant])  # which is not timed
    before, started = peak_megabytes(), time.perf_counter()
    sums = {"medhub": run_medhub, "pandas": run_pandas}[contestant](path)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak": peak_megabytes(), "before": before, "sums": sums}))


def peak_megabytes() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def compete(events: int, rounds: int) -> list[str]:
    """Run both contestants by turns and return their lines of the table."""
    found: dict[str, list[dict]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        write_csv(path, events)
        for _ in range(rounds):
            for name in CONTESTANTS:
                command = [sys.executable, __file__, "--alone", name, "--path", str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout))
    ours, theirs = (found[name][0]["sums"] for name in CONTESTANTS)
    if not np.allclose(ours, theirs, rtol=1e-4, atol=1.0):
        raise SystemExit(f"the arrays differ: {ours} and {theirs}")
    median = {name: {key: statistics.median(run[key] for run in runs) for key in ("seconds", "peak", "before")}
              for name, runs in found.items()}  # fmt: skip
    return [
        f"| {events:,} | {name} | {events / one['seconds']:,.0f} | {one['seconds']:.1f} | {one['peak']:.0f} | "
        f"{one['before']:.0f} | {median['pandas']['seconds'] / one['seconds']:.2f} | "
        f"{one['peak'] / median['pandas']['peak']:.2f} |"
        for name, one in median.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        run_alone(arguments.alone, arguments.path)
        return
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for events in arguments.events:
        print("\n".join(compete(events, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
