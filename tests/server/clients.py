"""Running unmodified clients in processes of their own, with nothing of this machine's settings or tokens."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path


def client_environment(url: str, home: Path, token: str | None, **more: str) -> dict[str, str]:
    """Return an environment with the Hub's client settings (docs/hub.md) and a home folder for caches and settings."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "DISABLE_SAFETENSORS_CONVERSION": "1",
        "OMP_NUM_THREADS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONWARNINGS": "default",
    } | ({"HF_TOKEN": token} if token else {}) | more  # fmt: skip


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    cwd: Path,
    *,
    fails: bool = False,
    timeout: float = 300,
) -> str:
    """Run a command; return what it printed, both streams. Asserts that it succeeds, or that it `fails`."""
    done = subprocess.run(
        [str(part) for part in command], env=dict(environment), cwd=cwd, timeout=timeout, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, f"{command[:4]} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def run_python(code: str, environment: Mapping[str, str], cwd: Path, *, python: str = "") -> str:
    """Run Python code in a fresh interpreter, this one unless another is named."""
    return run([python or sys.executable, "-c", textwrap.dedent(code)], environment, cwd)
