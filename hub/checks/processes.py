"""The rule about several processes: this side starts them and compares; `worker` is what each of them runs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from medhub.checks.subject import Subject
from medhub.errors import CheckFailed, MedHubError
from medhub.training import launch

PROCESSES = 2
LONGEST = 300
"""Seconds after which processes that wait for each other are given up."""


def check_two_processes(subject: Subject) -> None:
    """Two training processes are ranks 0 and 1 of 2, and end with equal weights."""
    task = subject.task
    with tempfile.TemporaryDirectory() as folder:
        # a plugin under test need not be installed: the workers look where this process looks
        arguments = ["-m", "medhub.checks.worker", task.package, task.id, folder, os.pathsep.join(sys.path)]
        try:
            launch(arguments, processes=PROCESSES, timeout=LONGEST)
        except MedHubError as error:
            reasons = [record["error"] for record in _records(folder) if "error" in record] or [str(error)]
            raise CheckFailed(
                f"training in two processes fails: {reasons[0]}; every weight must take part in every loss, and no "
                "process may wait for what another does not do"
            ) from error
        records = _records(folder)
    if (found := [(record["rank"], record["processes"]) for record in records]) != [(0, PROCESSES), (1, PROCESSES)]:
        raise CheckFailed(
            f"the processes are (rank, of) {found}, not (0, 2) and (1, 2); start no Accelerator in the plugin"
        )
    first, second = (record["weights"] for record in records)
    for name, sha256 in first.items():
        if second[name] != sha256:
            raise CheckFailed(
                f"{name} differs between two processes after training; change weights through their gradients alone, "
                "and let forward depend on nothing but its arguments"
            )


def _records(folder: str) -> list[dict[str, Any]]:
    """Return what each worker wrote, in the order of their ranks."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]
