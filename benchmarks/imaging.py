"""Images a second: MedHub beside the same network in a plain PyTorch loop, and beside timm, MONAI and torchvision.

    MEDHUB_MIRROR=... python benchmarks/imaging.py
    MEDHUB_MIRROR=... python benchmarks/imaging.py --only unet3d --rounds 7 --rows 96

Same images, network, batch, AdamW and memory format, in float32; two threads. The contestants take turns: each round
times one epoch of training and one of inference of every one, and the medians over the rounds are shown, of the ratios
too. Only the first round, which warms up, does not count.

- MedHub: `medhub.training` on prepared features, augmented by the plugin; `predict_scores`, to the answer's scores.
- plain loop: the tutorial's zero_grad, forward, backward, step on MedHub's own batches, made and augmented beforehand,
  so that no data pipeline could be quicker; at inference the forward pass alone.
- peer: its own reading, transforms, loader, loss and loop, in `imaging_peers.py`.

"data" is the share of MedHub's time in which a batch is made. "memory" is what the process holds after the third
epoch of training, and how much more that is than after the first.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before NumPy and torch start their threads
os.environ["HF_HUB_OFFLINE"] = "1"

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from imaging_peers import Epoch, Subject, monai_pipeline, timm_pipeline, torchvision_pipeline
from torch import Tensor
from turns import take_turns

import medhub
from medhub.data import Batches, Features, load_data, prepare
from medhub.evaluation import predict_scores
from medhub.predictor import Predictor
from medhub.processing import Processor
from medhub.recipe import Recipe, make_config, make_settings
from medhub.training import Settings
from medhub.training.interrupt import Interrupt
from medhub.training.run import Run

NEVER = 1e9
"""Minutes until a checkpoint."""
SINGLE_CASES = 5


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A network on a data set, and the peer that trains the same."""

    task: str
    data: str
    architecture: str
    peer: str
    pipeline: Callable[[Subject], tuple[Epoch, Epoch]]
    batch: int
    start: str | None = None
    """The published model that all start from: an untrained detector finds objects everywhere, and sorts them out."""
    config: Mapping[str, Any] = field(default_factory=dict)


CONTESTS = (
    Contest(task="imaging/classification", data="busi", architecture="resnet18", peer="timm", pipeline=timm_pipeline,
            batch=16, config={"image_size": 128}),
    Contest(task="imaging/detection", data="cbc", architecture="ssd", peer="torchvision", pipeline=torchvision_pipeline,
            batch=8, start="blood-cells-ssd"),
    Contest(task="imaging/segmentation", data="hippocampus", architecture="unet3d", peer="MONAI",
            pipeline=monai_pipeline, batch=4),
)  # fmt: skip

COLUMNS = ("network, data", "phase", "batch", "MedHub, images/s", "plain loop", "times as quick", "peer",
           "times as quick", "data", "memory")  # fmt: skip


class MedHub:
    """Our training and inference, an epoch at a time."""

    def __init__(self, run: Run, features: Features) -> None:
        self.run, self.features = run, features

    def train(self) -> None:
        """Take the steps of an epoch, as `medhub train` does."""
        position = self.run.position
        position.epoch, position.batch = position.epoch + 1, 0
        self.run.train_epoch(Interrupt())

    def make_training_batches(self) -> None:
        """Make the batches of an epoch and let them go."""
        for _ in self.run.batches.epoch(self.run.position.epoch):
            pass

    def infer(self) -> None:
        """Score every row, as `medhub evaluate` does."""
        predict_scores(self.run.model, self.features, self.run.processor, batch_size=self.run.settings.batch_size)

    def make_inference_batches(self) -> None:
        """Make the batches of an inference and let them go."""
        for _ in inference_batches(self.features, self.run.processor, self.run.settings.batch_size):
            pass


def plain_loop(subject: Subject, features: Features, processor: Processor) -> tuple[Epoch, Epoch]:
    """Train and infer as PyTorch's tutorial does, on batches that lie in memory."""
    model, settings = subject.model, subject.settings
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-arg]
    training = Batches(features, processor.collate, batch_size=settings.batch_size, shuffle=True).epoch(0)
    training_batches = [placed(batch, settings) for batch in training]
    batches = [placed(batch, settings) for batch in inference_batches(features, processor, settings.batch_size)]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )

    def train() -> None:
        model.train()
        for batch in training_batches:
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        model.eval()
        for batch in batches:
            model(**batch)

    return train, infer


def inference_batches(features: Features, processor: Processor, batch_size: int) -> Any:
    """Yield whole images without labels, those of like size together."""
    batches = Batches(features, processor.collate, batch_size=batch_size)
    for rows in batches.indices():
        columns = features.take(rows)
        yield processor.collate({name: column for name, column in columns.items() if name != "labels"})


def placed(batch: dict[str, Tensor], settings: Settings) -> dict[str, Tensor]:
    """Return a batch whose images have the settings' memory format."""
    if not settings.channels_last:
        return batch
    return {
        name: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        for name, tensor in batch.items()
    }


def megabytes_held() -> float:
    """Return the resident memory of this process."""
    return psutil.Process().memory_info().rss / 2**20


def compete(contest: Contest, *, rounds: int, rows: int, folder: Path) -> list[str]:
    """Run one contest and return its lines of the table."""
    task = medhub.get(contest.task)
    recipe = Recipe(
        task=contest.task, architecture=contest.architecture, config=contest.config,
        settings={"batch_size": contest.batch, "epochs": 10**6, "ema": 0.0, "clip": 0.0, "precision": "no", "cpu": True,
                  "checkpoint_minutes": NEVER},
    )  # fmt: skip
    splits = load_data(task.source(contest.data))
    chosen = splits.train.select(range(min(rows, len(splits.train)) // contest.batch * contest.batch))
    config = make_config(task, recipe, label_names=splits.label_names)
    processor = task.processor_class.fit(chosen, config)
    features = prepare(chosen, processor, cache=False)
    settings = make_settings(task, recipe, architecture=contest.architecture)

    def subject(name: str) -> Subject:
        torch.manual_seed(0)
        model = medhub.from_pretrained(contest.start).model if contest.start else task.model_class(config)
        place = folder / name
        place.mkdir()
        return Subject(rows=chosen, label_names=splits.label_names, model=model, settings=settings, folder=place)

    ours = subject("medhub")
    run = Run(
        ours.model, features, features, processor, settings=settings, folder=ours.folder,
        metric=task.metric(task.metrics[0]), progress=None,
    )  # fmt: skip
    medhub_loop = MedHub(run, features)
    held = []
    for _ in range(3):
        medhub_loop.train()
        held.append(megabytes_held())
    plain_train, plain_infer = plain_loop(subject("plain"), features, processor)
    peer_train, peer_infer = contest.pipeline(subject("peer"))
    times = take_turns(
        {"train": medhub_loop.train, "train plain": plain_train, "train peer": peer_train,
         "train data": medhub_loop.make_training_batches,
         "infer": medhub_loop.infer, "infer plain": plain_infer, "infer peer": peer_infer,
         "infer data": medhub_loop.make_inference_batches},
        rounds,
    )  # fmt: skip
    run.close()
    lines = [
        f"| {contest.architecture}, {contest.data} | {phase} | {contest.batch} | {times.rate(key, len(chosen)):.1f} | "
        f"{times.rate(f'{key} plain', len(chosen)):.1f} | {times.ratio(f'{key} plain', key):.2f} | "
        f"{contest.peer} {times.rate(f'{key} peer', len(chosen)):.1f} | {times.ratio(f'{key} peer', key):.2f} | "
        f"{times.ratio(f'{key} data', key):.0%} | "
        + (f"{held[2]:.0f} MB, {held[2] - held[0]:+.0f} |" if key == "train" else "|")
        for phase, key in (("training", "train"), ("inference", "infer"))
    ]  # fmt: skip
    if contest.architecture == "unet3d":
        lines.append(single_case(Predictor(task, ours.model, processor), ours.files()))
    return lines


def single_case(predictor: Predictor, files: list[str]) -> str:
    """Return a line with the time from a case's file to its result."""
    predictor.predict(files[0])  # warms up
    times = take_turns({file: lambda file=file: predictor.predict(file) for file in files[:SINGLE_CASES]}, rounds=1)
    seconds = [single for values in times.seconds.values() for single in values]
    return (
        f"| unet3d, hippocampus | one case, from file to result: {statistics.median(seconds):.2f} s (at most "
        f"{max(seconds):.2f} of {len(seconds)} cases) | 1 | {1 / statistics.median(seconds):.1f} | | | | | | |"
    )


def main() -> None:
    """Run the contests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="networks whose name holds this", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=48)
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for contest in CONTESTS:
        if arguments.only in contest.architecture:
            with tempfile.TemporaryDirectory() as folder:
                lines = compete(contest, rounds=arguments.rounds, rows=arguments.rows, folder=Path(folder))
            print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
