"""Processes and devices: where a run finds itself, and how to start one of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from medhub.errors import ConfigError, MedHubError
from medhub.training.settings import Settings


def start_accelerator(settings: Settings, *, several_players: bool = False) -> Accelerator:
    """Join the processes that the launcher started, and choose the device.

    Raises MedHubError when the processes are not one group (each would train alone and believe itself to be the only
    one), ConfigError when the device cannot do the settings' precision.
    """
    # without cpu=True, Accelerate makes no group of processes that have no accelerator
    cpu = settings.cpu or not torch.accelerator.is_available()
    if cpu and settings.precision == "fp16":
        raise ConfigError("precision 'fp16' needs a GPU, and this run is on a CPU; use 'bf16' or 'no'")
    # Accelerate keeps the first run's precision and device for the life of the process
    AcceleratorState._reset_state(reset_partial_state=True)
    # one player's loss reaches only some of an adversarial model's weights
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)] if several_players else []
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision=settings.precision,
        dynamo_backend="inductor" if settings.compile else "no",
        kwargs_handlers=handlers,
    )
    check_group(accelerator)
    return accelerator


def check_group(accelerator: Accelerator) -> None:
    """Raise MedHubError unless this process has joined as many others as the launcher speaks of."""
    found, asked = accelerator.num_processes, int(os.environ.get("WORLD_SIZE", "1"))
    if found != asked:
        raise MedHubError(
            f"the launcher started {asked} processes, but this one finds itself in a group of {found}; "
            "start them with `accelerate launch --multi_gpu --num_processes N` or `torchrun --nproc-per-node N`"
        )
    # `accelerate launch --cpu --num_processes 2` sets an address for two processes to meet, and starts one
    if found == 1 and os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_ADDR" in os.environ:
        raise MedHubError(
            "`accelerate launch --cpu` starts a single process whatever --num_processes says; on CPUs use "
            "`accelerate launch --multi_gpu --num_processes N` (it needs no GPU) or `torchrun --nproc-per-node N`"
        )


def launch(arguments: Sequence[str], *, processes: int, timeout: float) -> str:
    """Run `python arguments...` in several processes of this machine and return what they print.

    `arguments` is what follows `accelerate launch`: a script with its arguments, or "-m", a module, and its arguments.
    Raises MedHubError, with the end of the error output, when a process fails or `timeout` seconds have passed.
    """
    command = [
        sys.executable, "-m", "accelerate.commands.launch",
        "--multi_gpu", "--num_processes", str(processes), "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
        *arguments,
    ]  # fmt: skip
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = launcher.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        launcher.terminate()  # and not kill: the launcher must end its processes
        output, errors = launcher.communicate()
    if launcher.returncode:
        raise MedHubError(
            f"{processes} processes of {' '.join(arguments)} ended with {launcher.returncode}:\n{errors[-4000:]}"
        )
    return output
