"""PyHealth's LSTM as a contestant of `ehr.py`, in a process and a Python of its own, and how a contestant takes turns.

Nothing of MedHub is imported here: PyHealth 2 has an environment of its own.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DECILES = [tenth / 10 for tenth in range(1, 10)]
VISIT = "VISIT/"
CHUNK = 1000


class Turns:
    """A contestant's end of the contest: it waits for its turn, and says what came of it."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever a library prints is no answer
        self._began = _clocks()

    def wait(self) -> dict[str, Any]:
        """Return what comes with the turn; end the process where the contest is over."""
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        self._began = _clocks()
        return json.loads(line)

    def say(self, **answer: Any) -> None:
        """Answer, and tell the memory so far and in which share of the turn's time this process had a processor."""
        wall, busy = (now - then for now, then in zip(_clocks(), self._began, strict=True))
        self._answers.write(json.dumps({**answer, "peak": peak_megabytes(), "busy": busy / wall}) + "\n")
        self._answers.flush()


def peak_megabytes() -> float:
    """Return the most memory that this process has held; `getrusage` would begin with that of the process before."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def run_pyhealth() -> None:
    """Prepare, and train an epoch a turn, as PyHealth's examples do."""
    turns = Turns()
    import pyarrow.parquet as pq
    import pyhealth
    import torch
    from pyhealth.datasets import create_sample_dataset, get_dataloader
    from pyhealth.models import RNN
    from pyhealth.trainer import Trainer

    logging.getLogger("pyhealth").setLevel(logging.WARNING)
    order = turns.wait()
    train, validation = (pq.read_table(Path(order["folder"]) / f"{part}.parquet") for part in ("train", "validation"))
    turns.say(versions=f"PyHealth {pyhealth.__version__}, torch {torch.__version__}")

    codes = turns.wait()["codes"]
    started = time.perf_counter()
    tokens = Tokens(train, codes)
    schemas = {"input_schema": {"stays": "nested_sequence"}, "output_schema": {"label": "binary"}}
    training = create_sample_dataset([*samples(train, tokens)], **schemas)
    fitted = {"input_processors": training.input_processors, "output_processors": training.output_processors}
    validating = create_sample_dataset([*samples(validation, tokens)], **schemas, **fitted)
    turns.say(seconds=time.perf_counter() - started)

    torch.manual_seed(0)
    model = RNN(training, hidden_dim=order["hidden_size"], rnn_type="LSTM")
    trainer = Trainer(model, metrics=["roc_auc"], device="cpu", enable_logging=False)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    validate = trainer.evaluate

    def validate_and_wait(loader: Any) -> dict[str, float]:
        nonlocal started
        trained = time.perf_counter()
        scores = validate(loader)
        turns.say(
            train=trained - started, infer=time.perf_counter() - trained, auroc=float(scores["roc_auc"]),
            parameters=parameters,
        )  # fmt: skip
        turns.wait()
        started = time.perf_counter()
        return scores

    trainer.evaluate = validate_and_wait  # which is called at the end of every epoch
    batch_size = order["batch_size"]
    turns.wait()
    started = time.perf_counter()
    trainer.train(
        get_dataloader(training, batch_size, shuffle=True), get_dataloader(validating, batch_size),
        epochs=order["epochs"], monitor="roc_auc",
    )  # fmt: skip


class Tokens:
    """The token of an event: its code, and with it the tenth of the training rows' values that its value is in."""

    def __init__(self, rows: Any, codes: Sequence[str]) -> None:
        """Learn the tenths from an Arrow table of training rows; other codes than `codes` are not read."""
        import pandas as pd
        import pyarrow.compute as pc

        columns = {name: pc.list_flatten(pc.struct_field(rows["input"], name)) for name in ("code", "value")}
        values = pd.DataFrame({name: column.to_pandas() for name, column in columns.items()}).dropna()
        quantiles = values.groupby("code")["value"].quantile(DECILES)
        self._edges = {code: sorted({*own}) for code, own in quantiles.groupby(level=0)}
        self._words = {code: [f"{code} {place}" for place in range(len(DECILES) + 1)] for code in self._edges}
        self._codes = {code: code for code in codes}

    def find(self, code: str, value: float | None) -> str | None:
        """Return the token; None for an event of another code."""
        known = self._codes.get(code)
        if known is None or value is None:
            return known
        return self._words[known][bisect_right(self._edges[known], value)]


def samples(rows: Any, tokens: Tokens) -> Iterator[dict[str, Any]]:
    """Yield PyHealth's samples from an Arrow table of rows: the tokens of each stay; the last one has the patient's."""
    for batch in rows.to_batches(max_chunksize=CHUNK):
        for row in batch.to_pylist():
            stays = stays_of(row["input"], tokens)
            stays[-1] += [f"{name}/{row[name]}" for name in ("sex", "race", "age_band")]
            yield {"patient_id": row["group"], "stays": stays, "label": int(row["labels"][0])}


def stays_of(events: Mapping[str, Any], tokens: Tokens) -> list[list[str]]:
    """Return the tokens of each stay, in the order of time; what is static stands before the first and is left out."""
    stays: list[list[str]] = []
    for code, value in zip(events["code"], events["value"], strict=True):
        if code.startswith(VISIT):
            stays.append([])
        token = tokens.find(code, value)
        if token is not None and stays:
            stays[-1].append(token)
    return stays


if __name__ == "__main__":
    run_pyhealth()
