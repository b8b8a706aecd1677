"""Time to train and events a second: MedHub's LSTM beside PyHealth's own, on the same cohort.

    MEDHUB_MIRROR=... python benchmarks/ehr.py --pyhealth /path/of/another/environment/bin/python
    MEDHUB_MIRROR=... python benchmarks/ehr.py --pyhealth ... --rows 2000 --epochs 1  # a try

PyHealth 2 wants Python 3.12 and pins of its own: an environment with `pip install pyhealth`. The cohort is diabetes130:
readmission within 30 days of a discharge. Both see the same rows in the same parts, the same codes in them (the 256 of
most patients) as far back as they go, and train with the same width of the recurrent layer, batch size and epochs, in
float32 on the CPU with one thread. All else is each one's own: features, optimizer, learning rate, regularisation. Only
training and validation rows are used; either keeps the epoch that validates best, so its AUROC is a little too good.

- MedHub: `medhub.training` as `medhub train` has it, one network of the width of the others; and as it is by default,
  twelve narrow ones that answer together. A moment is a step (four a stay) of values, gaps and times.
- PyHealth: `create_sample_dataset` in memory, `RNN` with LSTM cells, `Trainer`, with their defaults. A stay is a step,
  the sum of its codes' embeddings: the "nested_sequence" of visits. It has no values beside codes, so one with a value
  becomes up to ten, by tenths of the training rows' values; sex, race and age band are codes of the last stay.

Each has a process of its own, and they take turns: an epoch of training and its validation each, the others waiting.
Medians over the epochs are shown, of the ratios too. Events are those that both read, counted once in each row that has
them. "rows to tensors" is all between an Arrow table of rows and the first batch: variables, scales, vocabulary,
features. "in all" adds to it every epoch's training and validation. Memory is the process's peak, "before" what it held
with its libraries and the rows; MedHub's is with mapped files, which the system may drop. "busy" is the share of an
epoch's time in which the process had a processor: where it is well under 100 %, the machine was not idle.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and torch start their threads
os.environ["HF_HUB_OFFLINE"] = "1"

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from datasets import Dataset, disable_progress_bars
from ehr_peers import Turns
from turns import Times

import medhub
from medhub.data import Splits, load_data, prepare
from medhub.evaluation import code_version, predict_scores
from medhub.recipe import Recipe, make_config, make_settings
from medhub.training.interrupt import Interrupt
from medhub.training.run import Run

TASK, DATA, ARCHITECTURE = "ehr/prediction", "diabetes130", "lstm"
LONG = 24.0 * 366
"""Hours, longer than any history here: either contestant reads the whole of it."""
PARTS = {"train": 1.0, "validation": 1 / 8}
"""Those that are used, and how many rows of each for every training row of a try."""
MEDHUB, ENSEMBLE, PYHEALTH = "MedHub, one network", "MedHub's default, twelve", "PyHealth"
COLUMNS = ("contestant", "parameters", "rows to tensors, s", "training, s an epoch", "events/s", "times as quick",
           "inference, events/s", "times as quick", "in all, s", "busy", "peak memory, MB", "of it before", "best "
           "validation AUROC", "of epoch")  # fmt: skip


class Contestant:
    """A process that works only when it is its turn, and what it has answered: ready, prepared, and epoch by epoch."""

    def __init__(self, name: str, command: Sequence[str], stack: ExitStack, **order: Any) -> None:
        """Start the process, which ends with the stack, and give it its first turn: to read the rows of its order."""
        self.name, self.command = name, command
        environment = {**os.environ, "TQDM_DISABLE": "1"}  # an advantage to who has progress bars
        self.process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        )
        self.ready = self.take_turn(**order)
        self.prepared: dict[str, Any] = {}
        self.epochs: list[dict[str, Any]] = []

    @property
    def seconds(self) -> float:
        """The time from the rows to the end of the last epoch, its validation included."""
        return self.prepared["seconds"] + sum(epoch["train"] + epoch["infer"] for epoch in self.epochs)

    @property
    def best(self) -> dict[str, Any]:
        """The epoch that validated best."""
        return max(self.epochs, key=lambda epoch: epoch["auroc"])

    def take_turn(self, **message: Any) -> dict[str, Any]:
        """Hand over the turn and return what came of it; raises SystemExit where the process has failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} failed; its error stands above: {shlex.join(self.command)}")
        return json.loads(answer)


def run_medhub() -> None:
    """Prepare, and train an epoch a turn, as `medhub train` does."""
    turns = Turns()
    order = turns.wait()
    task, recipe = medhub.get(TASK), Recipe(**order["recipe"])
    rows = [Dataset(pq.read_table(Path(order["folder"]) / f"{part}.parquet")) for part in PARTS]
    turns.say(versions=f"MedHub {medhub.__version__}, torch {torch.__version__}")

    turns.wait()
    started = time.perf_counter()
    config = make_config(task, recipe, label_names=tuple(order["label_names"]))
    processor = task.processor_class.fit(rows[0], config)
    training, validation = (prepare(part, processor, cache=False) for part in rows)
    turns.say(seconds=time.perf_counter() - started, codes=processor.scaler.codes)

    torch.manual_seed(recipe.seed)
    model = task.model_class(config)
    settings = make_settings(task, recipe, architecture=ARCHITECTURE)
    run = Run(
        model, training, validation, processor, settings=settings, folder=Path(order["folder"]) / str(os.getpid()),
        metric=task.metric("auroc"), progress=None,
    )  # fmt: skip
    interrupt = Interrupt()
    while not run.finished:
        turns.wait()
        started = time.perf_counter()
        run.train_epoch(interrupt)
        trained = time.perf_counter()
        predict_scores(run.validated, validation, processor, batch_size=settings.batch_size)
        inferred = time.perf_counter()
        run.end_epoch(interrupt)  # which validates once more, and keeps the weights if they are the best
        turns.say(
            train=trained - started, infer=inferred - trained, auroc=run.position.history[-1]["metric"],
            parameters=sum(parameter.numel() for parameter in model.parameters()),
        )  # fmt: skip
    run.close()


def write_rows(folder: Path, most: int | None) -> Splits:
    """Write the training and the validation rows, at most so many of the former, and return what they are parts of."""
    splits = load_data(medhub.get(TASK).source(DATA))
    for part, share in PARTS.items():
        rows = getattr(splits, part)
        if most is not None:
            rows = rows.select(range(min(round(most * share), len(rows))))
        rows.to_parquet(folder / f"{part}.parquet")
    return splits


def count_events(path: Path, codes: Sequence[str]) -> int:
    """Count the events of some codes in the rows of a file."""
    inputs = pq.read_table(path, columns=["input"])["input"]
    found = pc.list_flatten(pc.struct_field(inputs, "code"))
    return pc.sum(pc.is_in(found, pa.array(codes, found.type))).as_py()


def compete(
    pyhealth: str, *, folder: Path, label_names: Sequence[str], settings: Mapping[str, int]
) -> list[Contestant]:
    """Let the contestants take turns in preparing and then in every epoch; return them with their answers."""
    width, training = settings["hidden_size"], {"epochs": settings["epochs"], "batch_size": settings["batch_size"]}
    recipes = {
        name: asdict(
            Recipe(task=TASK, architecture=ARCHITECTURE, config={"window_hours": LONG, **config},
                   settings={**training, "cpu": True})
        )
        for name, config in ((MEDHUB, {"members": 1, "hidden_size": width}), (ENSEMBLE, {}))
    }  # fmt: skip
    ours = [sys.executable, __file__, "--alone", "--pyhealth", pyhealth]
    theirs = [pyhealth, "-E", str(Path(__file__).with_name("ehr_peers.py"))]  # without the PYTHONPATH of this Python
    with ExitStack() as stack:
        contestants = [
            *(
                Contestant(name, ours, stack, folder=str(folder), label_names=label_names, recipe=recipe)
                for name, recipe in recipes.items()
            ),
            Contestant(PYHEALTH, theirs, stack, folder=str(folder), **settings),
        ]
        for contestant in contestants:  # PyHealth, the last, is told the codes that were chosen
            contestant.prepared = contestant.take_turn(codes=contestants[0].prepared.get("codes"))
        for _ in range(settings["epochs"]):
            for contestant in contestants:
                contestant.epochs.append(contestant.take_turn())
    return contestants


def lines(contestants: Sequence[Contestant], events: Mapping[str, int]) -> list[str]:
    """Return the table, and in words what it says of one network against PyHealth's."""
    times = {
        phase: Times({one.name: [epoch[phase] for epoch in one.epochs] for one in contestants})
        for phase in ("train", "infer")
    }
    found = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for one in contestants:
        cells = [
            one.name, f"{one.best['parameters']:,}", f"{one.prepared['seconds']:.1f}",
            f"{1 / times['train'].rate(one.name, 1):.1f}", f"{times['train'].rate(one.name, events['train']):,.0f}",
            f"{times['train'].ratio(PYHEALTH, one.name):.2f}",
            f"{times['infer'].rate(one.name, events['validation']):,.0f}",
            f"{times['infer'].ratio(PYHEALTH, one.name):.2f}", f"{one.seconds:.0f}",
            f"{median(epoch['busy'] for epoch in one.epochs):.0%}", f"{one.epochs[-1]['peak']:.0f}",
            f"{one.ready['peak']:.0f}", f"{one.best['auroc']:.3f}",
            str(one.epochs.index(one.best) + 1),
        ]  # fmt: skip
        found.append(f"| {' | '.join(cells)} |")
    ours, theirs = contestants[0], contestants[-1]
    train, infer = (times[phase].ratio(theirs.name, ours.name) for phase in times)
    whole = ours.seconds / theirs.seconds
    said = (
        f"One network of MedHub trains on {train:.2f} times as many events a second as PyHealth's and answers "
        f"{infer:.2f} times as many; from the rows to the last epoch it takes {whole:.2f} times as long, "
        f"and validates best with an AUROC of {ours.best['auroc']:.3f} against {theirs.best['auroc']:.3f}."
    )
    return [*found, "", said]


def main() -> None:
    """Hold the contest and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyhealth", required=True, metavar="PYTHON", help="of the environment that has PyHealth")
    parser.add_argument("--hidden-size", type=int, default=128, help="PyHealth's default")
    parser.add_argument("--batch-size", type=int, default=64, help="MedHub's default; PyHealth has none")
    parser.add_argument("--epochs", type=int, default=5, help="PyHealth's default")
    parser.add_argument("--rows", type=int, help="so many training rows, and an eighth to validate on, for a try")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        run_medhub()
        return
    disable_progress_bars()
    settings = {name: getattr(arguments, name) for name in ("hidden_size", "batch_size", "epochs")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits = write_rows(folder, arguments.rows)
        contestants = compete(arguments.pyhealth, folder=folder, label_names=splits.label_names, settings=settings)
        files = {part: folder / f"{part}.parquet" for part in PARTS}
        rows = {part: pq.read_metadata(file).num_rows for part, file in files.items()}
        events = {part: count_events(file, contestants[0].prepared["codes"]) for part, file in files.items()}
    threads = os.environ["OMP_NUM_THREADS"]
    print(f"    {shlex.join(['python', *sys.argv])}\n\n{DATA}, data sha256 {splits.data_sha256[:16]}, split sha256 "
          f"{splits.split_sha256[:16]}, seed 0, commit {code_version()}, OMP_NUM_THREADS={threads}")  # fmt: skip
    print("; ".join(f"{part}: {rows[part]:,} rows, {events[part]:,} events" for part in PARTS), end="; ")
    print(", ".join(one.ready["versions"] for one in contestants[1:]), end="\n\n")
    print(*lines(contestants, events), sep="\n")


if __name__ == "__main__":
    main()
