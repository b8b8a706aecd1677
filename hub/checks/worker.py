"""One of the processes of the rule `two-processes`: python -m medhub.checks.worker PACKAGE TASK FOLDER PATH.

Trains each network of a task for one epoch of synthetic data, and writes its rank and its weights' hashes to FOLDER.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib import import_module
from pathlib import Path

import torch
from accelerate import Accelerator

import medhub
from medhub.checks.subject import Network, Subject
from medhub.data import Batches
from medhub.training import Settings
from medhub.training.launch import start_accelerator
from medhub.training.step import Stepper

SETTINGS = Settings(batch_size=8, cpu=True)


def main(package: str, id: str, folder: str, path: str) -> None:
    """Train, and write the record of this process; an error goes there too, for the one who started it."""
    sys.path += [place for place in path.split(os.pathsep) if place not in sys.path]
    record_file = Path(folder) / f"{os.environ['RANK']}.json"
    try:
        import_module(package)  # registers the task where no entry point does
        subject = Subject(medhub.get(id))
        record: dict = {"weights": {}}
        for name in subject.architectures:
            network = subject.network(name)
            accelerator = start_accelerator(SETTINGS, several_players=len(network.model().players()) > 1)
            record |= {"rank": accelerator.process_index, "processes": accelerator.num_processes}
            record["weights"] |= train(network, accelerator)
    except Exception as error:
        record_file.write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}), encoding="utf-8")
        raise
    record_file.write_text(json.dumps(record), encoding="utf-8")


def train(network: Network, accelerator: Accelerator) -> dict[str, str]:
    """Train a network for an epoch on this process's share, and return its weights' hashes by name.

    Buffers are left out: statistics such as BatchNorm's are each process's own until they are saved by the first.
    """
    model = network.model().train()
    torch.manual_seed(accelerator.process_index)  # as in training, where every process has dropout of its own
    batches = Batches(
        network.features, network.processor.collate, batch_size=SETTINGS.batch_size, shuffle=True,
        rank=accelerator.process_index, world_size=accelerator.num_processes,
    )  # fmt: skip
    stepper = Stepper(model, accelerator, settings=SETTINGS)
    for batch in batches.epoch(0):
        stepper.step([batch], learning_rate=1e-3)
    return {
        f"{network.config.architecture}: {name}": hashlib.sha256(parameter.detach().numpy().tobytes()).hexdigest()
        for name, parameter in model.named_parameters()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
