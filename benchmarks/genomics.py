"""What the genomics networks cost, beside the tools that one would use instead: one table.

    MEDHUB_MIRROR=... python benchmarks/genomics.py
    MEDHUB_MIRROR=... python benchmarks/genomics.py --only alignment --rounds 9

Real proteins of flip-ss3, the published defaults of our networks with untrained weights, float32. The contestants take
turns: each round times every one once, and the medians over the rounds are shown, of the times against MedHub's too.
Only the first round, which warms up, does not count.

- alignment, one thread: 64 pairs of 300 residues, from strings to alignments. Ours also part by part: what reads the
  sequences and scores columns, the dynamic programme's sums over all alignments (forward-backward), and the decoding
  for greatest expected accuracy. parasail and Biopython find the best global alignment, with BLOSUM62 and gaps 11/1.
- training: the network that labels positions, forward and backward, on some batches of an epoch of 1,600 proteins,
  made beforehand, from the smallest to the largest; times are a residue's, for not all see the same ones. Ours are
  bucketed by length and padded; others come in random order, or go through `pack_padded_sequence` and PyTorch's own
  bidirectional layers, with the same weights.
- inference: from strings to a label and a probability a residue, beside transformers' pipeline with as large an ESM-2.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before NumPy and torch start their threads
os.environ["HF_HUB_OFFLINE"] = "1"

import argparse
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from genomics_peers import PackedEncoder, biopython_aligner, parasail_aligner, token_classifier
from torch import Tensor
from turns import Times, take_turns

import medhub
from medhub.data import Batches, load_data, prepare
from medhub.data.batching import BUCKET_BATCHES
from medhub.modeling import MedModel
from medhub.plugins.genomics.alignment.dynamic_programme import align
from medhub.plugins.genomics.alignment.model import most_expected
from medhub.predictor import Predictor
from medhub.recipe import Recipe, make_config
from medhub.sequences.alphabets import PROTEIN

PAIRS, LENGTH = 64, 300
BATCH = 32
MEDHUB = "MedHub"

Batch = dict[str, Tensor]
Lines = Iterator[str]


def make_predictor(task_id: str, rows: Dataset, *, label_names: tuple[str, ...], **changes: Any) -> Predictor:
    """Return a task's published network, untrained, with its processor."""
    task = medhub.get(task_id)
    config = make_config(task, Recipe(task=task_id, **changes), label_names=label_names)
    processor = task.processor_class.fit(rows, config)
    torch.manual_seed(0)
    return Predictor(task, task.model_class(config), processor, device="cpu")


def measure_alignment(proteins: Dataset, *, rounds: int) -> Lines:
    """Align pairs of proteins' first residues; yield the lines of the table."""
    usable = [sequence[:LENGTH] for sequence in proteins["input"] if len(sequence) >= LENGTH]
    usable = [sequence for sequence in usable if set(sequence) <= set(PROTEIN.letters)][: 2 * PAIRS]
    pairs = list(zip(usable[::2], usable[1::2], strict=True))
    inputs = [{"first": first, "second": second} for first, second in pairs]
    predictor = make_predictor("genomics/alignment", proteins, label_names=("aligned",))
    model: Any = predictor.model
    processor = predictor.processor
    batch = processor.collate(processor.stack([processor.features(processor.read(pair)) for pair in inputs]))
    with torch.inference_mode():
        match, first, second = model.scores(**batch)
        columns = align(match, first, second, batch["lengths"]).columns
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = take_turns(
        {
            MEDHUB: lambda: predictor.predict(inputs, batch_size=PAIRS),
            "of it the reader": torch.inference_mode()(lambda: model.scores(**batch)),
            "of it forward-backward": torch.inference_mode()(lambda: align(match, first, second, batch["lengths"])),
            "of it decoding": torch.inference_mode()(lambda: most_expected(columns, batch["lengths"])),
            "parasail": parasail_aligner(pairs),
            "Biopython": biopython_aligner(pairs),
        },
        rounds,
    )
    torch.set_num_threads(threads)
    yield from lines(f"alignment, {len(pairs)} pairs of {LENGTH}, one thread", "pairs", len(pairs), times)


def measure_training(
    architecture: str, proteins: Dataset, *, label_names: tuple[str, ...], batches: int, rounds: int
) -> Lines:
    """Go through some of an epoch's batches forward and backward; yield the lines of the table."""
    predictor = make_predictor("genomics/prediction", proteins, label_names=label_names, architecture=architecture)
    processor, padded = predictor.processor, predictor.model
    packed: Any = deepcopy(padded)
    packed.reader.encoder = PackedEncoder(packed.reader.encoder).eval()
    features = prepare(proteins, processor, cache=False)
    bucketed = some_of(Batches(features, processor.collate, batch_size=BATCH, shuffle=True).epoch(0), batches)
    order = np.random.default_rng(0).permutation(len(features)).reshape(-1, BATCH)
    shuffled = some_of((processor.collate(features.take(rows)) for rows in order), batches)
    with torch.inference_mode():  # they are the same network
        torch.testing.assert_close(packed(**bucketed[0]).logits, padded(**bucketed[0]).logits)
    contestants = {
        MEDHUB: (padded, bucketed),
        "padded, without buckets": (padded, shuffled),
        "packed, bucketed": (packed, bucketed),
        "packed, without buckets": (packed, shuffled),
    }
    times = take_turns({name: partial(train, *contestant) for name, contestant in contestants.items()}, rounds)
    seconds_a_residue = {
        name: [seconds / residues(seen) for seconds in times.seconds[name]] for name, (_, seen) in contestants.items()
    }
    padding = " and ".join(f"{share_of_padding(seen):.0%}" for seen in (bucketed, shuffled))
    what = f"training, {architecture}, {batches} batches of {BATCH} proteins, {padding} padding"
    yield from lines(what, "residues", 1, Times(seconds_a_residue))


def some_of(batches: Iterable[Batch], number: int) -> list[Batch]:
    """Return so many of an epoch's batches, evenly from the smallest to the largest, so that they stand for all."""
    ordered = sorted(batches, key=lambda batch: batch["input_ids"].numel())
    return [ordered[int((place + 0.5) * len(ordered) / number)] for place in range(number)]


def train(model: MedModel, batches: list[Batch]) -> None:
    """Find the gradients of every batch."""
    model.train()
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()


def residues(batches: list[Batch]) -> int:
    """Count the letters without the padding."""
    return sum(int(batch["lengths"].sum()) for batch in batches)


def share_of_padding(batches: list[Batch]) -> float:
    """Return which share of the batches' places holds no letter."""
    return 1 - residues(batches) / sum(batch["input_ids"].numel() for batch in batches)


def measure_inference(proteins: Dataset, *, label_names: tuple[str, ...], rounds: int) -> Lines:
    """Label every residue; yield the lines of the table."""
    predictor = make_predictor("genomics/prediction", proteins, label_names=label_names)
    processor, model = predictor.processor, predictor.model
    sequences = proteins["input"][:]
    classifier = token_classifier(PROTEIN.letters, label_names, parameters=count(model))
    columns = processor.stack([processor.features(processor.read(sequence)) for sequence in sequences])
    batch = processor.collate(columns)
    times = take_turns(
        {
            MEDHUB: lambda: predictor.predict(sequences, batch_size=len(sequences)),
            "of it the network": torch.inference_mode()(lambda: model(**batch)),
            "transformers' pipeline, all in one batch": lambda: classifier(sequences, batch_size=len(sequences)),
            "transformers' pipeline, one by one": lambda: classifier(sequences),
        },
        rounds,
    )
    sizes = f"{count(model) / 1e6:.2f} and {count(classifier.model) / 1e6:.2f} million parameters"
    yield from lines(f"inference, {len(sequences)} proteins, {sizes}", "residues", residues([batch]), times)


def count(model: torch.nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(parameter.numel() for parameter in model.parameters())


def lines(what: str, unit: str, amount: int, times: Times) -> Lines:
    """Yield a line of the table a contestant."""
    for name in times.seconds:
        rate, against = times.rate(name, amount), times.ratio(name, MEDHUB)
        yield f"| {what} | {name} | {rate:,.0f} {unit} | {against:.3g} |"
        what = ""


def main() -> None:
    """Run the contests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="contests whose name holds this", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=2, help="of 32 proteins, in training and inference")
    arguments = parser.parse_args()
    splits = load_data(medhub.get("genomics/prediction").source("flip-ss3"))
    proteins, names, rounds = splits.train.shuffle(seed=0), splits.label_names, arguments.rounds
    epoch = proteins.select(range(BATCH * BUCKET_BATCHES))
    few = proteins.select(range(BATCH * arguments.batches))
    training = partial(measure_training, proteins=epoch, label_names=names, batches=arguments.batches, rounds=rounds)
    contests = {
        "alignment": measure_alignment(proteins, rounds=rounds),
        "training lstm": training("lstm"),
        "training gru": training("gru"),
        "inference": measure_inference(few, label_names=names, rounds=rounds),
    }
    print("| what | contestant | a second | its time, MedHub's is 1 |\n|---|---|---|---|")
    for name, contest in contests.items():
        if arguments.only in name:
            for line in contest:
                print(line, flush=True)


if __name__ == "__main__":
    main()
