"""The states of torch's random number generators, which dropout draws from, on every process."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import torch
from accelerate import Accelerator
from torch import Tensor


def random_states(accelerator: Accelerator) -> dict[str, Tensor]:
    """Return every process's states by device type, each of shape (processes, bytes); all must call this."""
    return {
        name: accelerator.gather(generator.get_rng_state()[None].to(accelerator.device))
        for name, generator in _generators(accelerator).items()
    }


def restore_random_states(accelerator: Accelerator, states: Mapping[str, Tensor]) -> None:
    """Give this process its part of what `random_states` returned."""
    for name, generator in _generators(accelerator).items():
        # a copy, for torch reads a view from the start of the memory that it is a view of
        generator.set_rng_state(states[name][accelerator.process_index].clone())


def _generators(accelerator: Accelerator) -> dict[str, ModuleType]:
    """Return torch's modules that hold a state, by device type."""
    device = accelerator.device
    return {"cpu": torch.random} | ({} if device.type == "cpu" else {device.type: torch.get_device_module(device)})
