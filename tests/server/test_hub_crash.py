"""The Hub is killed under load and loses nothing: a few rounds of benchmarks/crash.py, which does a hundred."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks/crash.py"


def test_nothing_acknowledged_is_lost_when_the_hub_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "--rounds", "3"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("nothing is missing\n")
    for kind in ("xet", "lfs", "commit", "push", "discussion"):
        [line] = [line for line in done.stdout.splitlines() if line.startswith(kind)]
        killed, acknowledged = (int(word) for word in line.split() if word.isdigit())
        assert killed >= 3
        assert acknowledged
