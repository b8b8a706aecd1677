"""The git binary, cut off from everything around it: no configuration, environment, hook or terminal but ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

CONFIGURATION = {
    "gc.auto": "0",
    "gc.autoDetach": "false",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "receive.fsckObjects": "true",
    "receive.denyDeleteCurrent": "true",
    "core.fsync": "all",
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    # Blobs above this are streamed, never held in memory or stored as deltas; other sizes bound what packs may map.
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "32m",
    "core.packedGitLimit": "256m",
    "pack.windowMemory": "64m",
    "pack.threads": "2",
}

PIECE = 1 << 16
"""Bytes that are read from git at once."""

LIMITED = ("sh", "-c", 'ulimit -v "$0"; ulimit -t "$1"; shift; exec "$@"', str(2 << 20), "600")
"""Runs a command with 2 GiB (in KiB) of address space and 600 seconds of processor time a process at most."""


def command(*arguments: str | Path, configuration: Mapping[str, str] | None = None) -> list[str]:
    """Return the command line that runs git with our configuration only."""
    settings = CONFIGURATION | dict(configuration or {})
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return ["git", *options, *map(str, arguments)]


def environment(protocol: str | None = None, **variables: str) -> dict[str, str]:
    """Return git's environment; `protocol` is a client's Git-Protocol header, of which the version is taken over."""
    versions = [part for part in (protocol or "").split(":") if part in ("version=1", "version=2")]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PROTOCOL": ":".join(versions),
        **variables,
    }


def run_git(folder: Path, *arguments: str, configuration: Mapping[str, str] | None = None) -> None:
    """Run git on the repository in `folder`. Raises CalledProcessError where it fails."""
    line = command("--git-dir", folder, *arguments, configuration=configuration)
    subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=True, env=environment())


def advertise(folder: Path, service: str, *, protocol: str | None) -> bytes:
    """Return the answer to GET info/refs?service=... (protocol, section 3.16)."""
    line = f"# service={service}\n"
    found = subprocess.run(
        command(service.removeprefix("git-"), "--stateless-rpc", "--http-backend-info-refs", folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        env=environment(protocol),
    )
    return f"{len(line) + 4:04x}{line}0000".encode() + found.stdout


def upload_pack(folder: Path, request: BinaryIO, *, protocol: str | None) -> Iterator[bytes]:
    """Yield git-upload-pack's answer to a client's request, which is a real file, read from its beginning."""
    request.seek(0)
    process = subprocess.Popen(
        command("upload-pack", "--strict", "--stateless-rpc", folder),
        stdin=request,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(protocol),
    )
    assert process.stdout is not None
    try:
        while piece := os.read(process.stdout.fileno(), PIECE):
            yield piece
    finally:
        # A client that went away must not leave git packing for nobody.
        process.kill()
        process.stdout.close()
        process.wait()
