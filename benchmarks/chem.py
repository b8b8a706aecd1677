"""Tox21 beside chemprop on the same molecules: how well, how long to train, and how quickly to screen. Two tables.

    MEDHUB_MIRROR=... python benchmarks/chem.py --chemprop ../chemprop/bin/python
    MEDHUB_MIRROR=... python benchmarks/chem.py --chemprop ../chemprop/bin/python --rows 300 --epochs 3   # a trial

chemprop (Heid et al. 2024) stands in an environment of its own, made with `python -m venv` and `pip install chemprop`,
and is run by its commands with its own settings and 50 epochs; ours are run with the settings of `medhub train`. All
get the same train, validation and test molecules, keep the weights that validate best, and have both cores, no GPU.

- training: from a file of SMILES to the weights, features included, once a split; the AUROC is the mean of the twelve
  assays over the test molecules. Of chemprop's time the start is left out: what its prediction of one molecule takes.
- screening: from SMILES to twelve probabilities, in turns, the median over the rounds; the start left out likewise.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before NumPy and torch start their threads
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from numpy.typing import NDArray
from turns import Times, take_turns

import medhub
from medhub.data import load_data, prepare
from medhub.evaluation import predict_scores
from medhub.predictor import Predictor
from medhub.recipe import Recipe, make_config, make_settings
from medhub.training import train

TASK = medhub.get("chem/toxicity")
AUROC = TASK.metric("auroc")
PARTS = {"train": "train", "validation": "val", "test": "test"}
"""What chemprop calls the parts."""
CHEMPROP = "chemprop"
CHEMPROP_EPOCHS = 50  # its default; more validated no better

Parts = dict[str, Dataset]


class Chemprop:
    """chemprop's commands in a folder of their own."""

    def __init__(self, python: str, folder: Path, *, labels: Sequence[str]) -> None:
        self.python = python
        self.folder = folder
        self.labels = labels

    def train(self, parts: Parts, *, epochs: int) -> float:
        """Train on the rows of the parts and return the seconds that it took, start included."""
        frames = [self._frame(rows).assign(split=PARTS[part]) for part, rows in parts.items()]
        pd.concat(frames).to_csv(self.folder / "train.csv", index=False)
        return self._run(
            "train", "--data-path", "train.csv", "--task-type", "classification", "--smiles-columns", "smiles",
            "--target-columns", *self.labels, "--splits-column", "split", "--epochs", str(epochs),
            "--output-dir", "model", "--pytorch-seed", "0",
        )  # fmt: skip

    def predict(self, molecules: Sequence[str]) -> float:
        """Predict molecules, to be read with `scores`, and return the seconds that it took, start included."""
        pd.DataFrame({"smiles": molecules}).to_csv(self.folder / "asked.csv", index=False)
        return self._run(
            "predict", "--test-path", "asked.csv", "--smiles-columns", "smiles",
            "--model-paths", "model/model_0/best.pt", "--preds-path", "answered.csv",
        )  # fmt: skip

    def scores(self) -> NDArray:
        """Return the probabilities of the molecules predicted last, (molecules, labels)."""
        return pd.read_csv(self.folder / "answered.csv")[[*self.labels]].to_numpy(dtype=float)

    def _frame(self, rows: Dataset) -> pd.DataFrame:
        labels = pd.DataFrame(np.array(rows["labels"][:]), columns=[*self.labels])
        return labels.assign(smiles=rows["input"][:])

    def _run(self, *words: str) -> float:
        command = [self.python, "-c", "from chemprop.cli.main import main; main()", *words, "--accelerator", "cpu"]
        before = time.perf_counter()
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"chemprop {words[0]} failed: {done.stderr[-2000:]}")
        return time.perf_counter() - before


def train_ours(
    parts: Parts, *, architecture: str, labels: tuple[str, ...], epochs: int | None
) -> tuple[Predictor, float]:
    """Train one of our networks and return it with the seconds that it took, features included."""
    recipe = Recipe(task=TASK.id, architecture=architecture, settings={"epochs": epochs} if epochs else {})
    before = time.perf_counter()
    config = make_config(TASK, recipe, label_names=labels)
    processor = TASK.processor_class.fit(parts["train"], config)
    torch.manual_seed(recipe.seed)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            TASK.model_class(config), prepare(parts["train"], processor, cache=False),
            prepare(parts["validation"], processor, cache=False), processor,
            settings=make_settings(TASK, recipe, architecture=architecture), folder=Path(folder), metric=AUROC,
        )  # fmt: skip
    return Predictor(TASK, outcome.model, processor, device="cpu"), time.perf_counter() - before


def compare(
    parts: Parts, chemprop: Chemprop, *, split: str, architectures: Sequence[str], labels: tuple[str, ...],
    epochs: int | None,
) -> Iterator[tuple[str, Predictor | None]]:  # fmt: skip
    """Train everything on one split; yield a line of the table and our model of each, chemprop first."""
    test = parts["test"]
    targets = np.array(test["labels"][:])
    theirs = chemprop.train(parts, epochs=epochs or CHEMPROP_EPOCHS) - chemprop.predict(test["input"][:1])
    chemprop.predict(test["input"][:])
    yield _line(split, CHEMPROP, AUROC.compute(chemprop.scores(), targets), theirs, 1.0), None
    for architecture in architectures:
        predictor, seconds = train_ours(parts, architecture=architecture, labels=labels, epochs=epochs)
        found, _ = predict_scores(predictor.model, prepare(test, predictor.processor, cache=False), predictor.processor)
        auroc = AUROC.compute(found, targets)
        yield _line(split, architecture, auroc, seconds, seconds / theirs), predictor


def _line(split: str, name: str, auroc: float, seconds: float, ratio: float) -> str:
    return f"| {split} | {name} | {auroc:.3f} | {seconds:,.0f} s | {ratio:.2f} |"


def screen(
    molecules: Sequence[str], chemprop: Chemprop, predictors: dict[str, Predictor], *, rounds: int
) -> Iterator[str]:
    """Yield a line of the table a model: molecules a second, and the time against chemprop's."""
    names = (*predictors, CHEMPROP, "start")
    times = take_turns(
        {
            **{name: lambda model=model: model.predict([*molecules]) for name, model in predictors.items()},
            CHEMPROP: lambda: chemprop.predict(molecules),
            "start": lambda: chemprop.predict(molecules[:1]),
        },
        rounds,
    )  # fmt: skip
    seconds = {name: times.seconds[name] for name in names}
    seconds[CHEMPROP] = [whole - start for whole, start in zip(seconds[CHEMPROP], seconds.pop("start"), strict=True)]
    times = Times(seconds)
    for name in seconds:
        yield f"| {name} | {times.rate(name, len(molecules)):,.0f} | {times.ratio(name, CHEMPROP):.2f} |"


def main() -> None:
    """Run the comparison on both splits, then screen with the models of the last, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chemprop", required=True, metavar="PYTHON", help="the interpreter of its environment")
    parser.add_argument("--networks", nargs="+", default=["dnn", "mpnn"])
    parser.add_argument("--rows", type=int, help="of each part, for a trial")
    parser.add_argument("--epochs", type=int, help="of all, above 2, for a trial")
    parser.add_argument("--molecules", type=int, default=6000, help="to screen")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| split | model | test AUROC | training | its time, chemprop's is 1 |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for split in ("random", "group"):
            splits = load_data(TASK.source("tox21"), split=split)
            parts = {
                part: rows.select(range(len(rows))[: arguments.rows]) for part, rows in splits.dataset_dict().items()
            }
            place = Path(folder) / split
            place.mkdir()
            chemprop = Chemprop(str(Path(arguments.chemprop).absolute()), place, labels=splits.label_names)
            predictors = {}
            for line, predictor in compare(
                parts, chemprop, split=split, architectures=arguments.networks, labels=splits.label_names,
                epochs=arguments.epochs,
            ):  # fmt: skip
                print(line, flush=True)
                if predictor is not None:
                    predictors[predictor.model.config.architecture] = predictor
        molecules = splits.train["input"][: arguments.molecules]
        print(f"\n| screening {len(molecules)} molecules | a second | its time, chemprop's is 1 |\n|---|---|---|")
        for line in screen(molecules, chemprop, predictors, rounds=arguments.rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
