"""Where a training run stands, in one safetensors file that is replaced whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from medhub.errors import CheckpointError
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.training.settings import NEUTRAL, Settings

CHECKPOINT_FILE = "checkpoint.safetensors"
_FACTS = "medhub_training"


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs in order to go on as if it had never stopped.

    `tensors`: weights, averages, best weights, optimiser states and random number generators, by dotted names.
    `facts`: the counters and the history, as JSON. `identity`: what the run is of (settings, config, data), by name.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    identity: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the checkpoint in place of the folder's former one, which stays whole where that fails.

        Raises CheckpointError when the disk is full or the folder cannot be written.
        """
        path = folder / CHECKPOINT_FILE
        temporary = path.with_suffix(".tmp")
        header = {_FACTS: json.dumps({"facts": self.facts, "identity": self.identity})}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, temporary, header)
            _flush(temporary)
            os.replace(temporary, path)
            _flush(folder)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            former = f"{path} still holds the former one" if path.exists() else "there is no former one"
            raise CheckpointError(
                f"the checkpoint could not be written to {folder}: {error}; {former}. Free some space there (or choose "
                "another folder) and run the same command again, which goes on from the last checkpoint"
            ) from error

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the folder's checkpoint; None where there is none; raise CheckpointError for a file that is not one."""
        path = folder / CHECKPOINT_FILE
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads(file.metadata()[_FACTS])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls(tensors, header["facts"], header["identity"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path} is not a training checkpoint of MedHub ({error!r}); delete it and train anew"
            ) from error

    @staticmethod
    def delete(folder: Path) -> None:
        """Delete the folder's checkpoint, if there is one."""
        (folder / CHECKPOINT_FILE).unlink(missing_ok=True)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with "<prefix>.", by the rest of their names."""
        prefix += "."
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def refuse_others(self, identity: Mapping[str, Any], *, place: Path) -> None:
        """Raise CheckpointError unless the checkpoint is of a run with this identity; say what differs."""
        identity = json.loads(json.dumps(identity))  # tuples and number keys as they come back from the file
        differing = [
            f"{name} was {self.identity.get(name)!r} and is now {identity.get(name)!r}"
            for name in sorted({*identity, *self.identity})
            if self.identity.get(name) != identity.get(name)
        ]
        if differing:
            raise CheckpointError(
                f"the checkpoint in {place} is of another training run: {'; '.join(differing)}. Use what it was made "
                "with, or another folder, or start anew with resume=False"
            )


def identify(model: MedModel, processor: Processor, settings: Settings) -> dict[str, Any]:
    """Return what a run's weights depend on beside the data, by name."""
    config = model.config.to_diff_dict()
    del config["transformers_version"]
    return {
        **named("settings", {key: value for key, value in settings.to_dict().items() if key not in NEUTRAL}),
        **named("config", config),
        "model": type(model).__name__,
        "processor": processor.sha256,
    }


def named(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as part `prefix` of a checkpoint, which `Checkpoint.part` gives back."""
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _flush(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
