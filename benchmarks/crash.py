"""Kills a Hub at random moments under load, starts it again, and looks whether anything is missing.

    python benchmarks/crash.py --rounds 100

A real `medhub serve` on a scratch folder, and a process for each kind of load, all in one repository: uploads through
Xet and through LFS, commits (huggingface_hub as it is), pushes (git with git-lfs), and discussions (the database).
In each round the Hub is killed with SIGKILL, started again, and checked with `medhub hub fsck`; every change that a
client was told had succeeded is fetched and compared. Rounds go on until each kind was under way in that many kills; at
the end every client has to succeed once more. The first fault ends the run with 1, and its folder is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

REPO = "admin/crash"
BRANCH = "pushed"
KINDS = {"xet": "upload", "lfs": "upload", "commit": "commit", "push": "push", "discussion": "database write"}
"""The clients, and what each counts as."""


class Server:
    """`medhub serve` as a process, always at one port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._process: subprocess.Popen[str] | None = None
        self._port = "0"
        self.url = ""

    def start(self) -> float:
        """Start it and wait for its first answer; return the seconds that took."""
        begin = time.perf_counter()
        command = [*MEDHUB, "serve", "--data", str(self.data), "--port", self._port]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = self._process.stdout.readline().split()[-1]
        self._port = self.url.rpartition(":")[2]
        urllib.request.urlopen(f"{self.url}/api/agent-harnesses", timeout=60).close()
        return time.perf_counter() - begin

    def kill(self) -> None:
        """Kill it, as a power cut would but for what the kernel has."""
        assert self._process
        self._process.kill()
        self._process.communicate()


class Client:
    """A process that changes the repository without end, and says when a change begins and when it has succeeded."""

    def __init__(self, kind: str, *, url: str, token: str, folder: Path) -> None:
        self.kind = kind
        self.under_way = False
        self.told: list[dict[str, Any]] = []
        folder.mkdir()
        environment = {
            **os.environ, "HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_XET": "1" if kind == "lfs" else "0", "GIT_TERMINAL_PROMPT": "0",
        }  # fmt: skip
        command = [sys.executable, __file__, "--client", kind, "--folder", str(folder)]
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True,
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            found = json.loads(line)
            if found:
                self.told.append(found)
            self.under_way = not found

    def signal(self, number: int) -> None:
        """Send a signal to the process and to those it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    @property
    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None


def main() -> None:
    """Run the rounds, or one client's part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--client", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        return run_client(given.client, given.folder)
    folder = Path(tempfile.mkdtemp(prefix="medhub-crash-"))
    faults = crash(folder, rounds=given.rounds, seed=given.seed)
    if faults:
        sys.exit("\n".join([*faults, f"kept: {folder}"]))
    shutil.rmtree(folder)


def crash(folder: Path, *, rounds: int, seed: int) -> list[str]:
    """Kill and check until each kind was under way in `rounds` kills; print the counts and return the first faults."""
    moments = random.Random(seed)
    server = Server(folder / "hub")
    server.start()
    token = medhub("token", "create", "admin", "--role", "write", data=server.data).strip()
    environment = {"HF_ENDPOINT": server.url, "HF_TOKEN": token, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home")}
    os.environ.update(environment, HF_HUB_DISABLE_PROGRESS_BARS="1")
    from huggingface_hub import HfApi

    HfApi().create_repo(REPO)
    clients = [Client(kind, url=server.url, token=token, folder=folder / kind) for kind in KINDS]
    killed: Counter[str] = Counter()
    told: Counter[str] = Counter()
    starts = []
    faults: list[str] = []
    try:
        while not faults and min(killed[kind] for kind in KINDS) < rounds:
            wait_for_all(clients)
            time.sleep(moments.uniform(0, 1.5))
            server.kill()
            killed.update(client.kind for client in clients if client.under_way)
            for client in clients:
                client.signal(signal.SIGSTOP)
            starts.append(server.start())
            claims = [claim for client in clients for claim in take(client.told)]
            told.update(claim["kind"] for claim in claims)
            faults = [*check_storage(server.data), *check_claims(claims, folder / "checks")]
            for client in clients:
                client.signal(signal.SIGCONT)
        faults = faults or [*check_storage(server.data, "--deep"), *wait_for_success(clients)]
    finally:
        for client in clients:
            client.signal(signal.SIGKILL)
        server.kill()
    for kind, counts_as in KINDS.items():
        print(f"{kind:12} {counts_as:16} under way in {killed[kind]:4} kills, {told[kind]:6} acknowledged")
    recovered = medhub("audit", data=server.data).count('"repo.recover"')
    print(f"{len(starts)} kills, {recovered} starts that found a commit the database had not seen yet")
    print(f"start after a kill: median {statistics.median(starts):.2f} s, longest {max(starts):.2f} s")
    print("nothing is missing" if not faults else f"{len(faults)} faults")
    return faults


def wait_for_all(clients: list[Client]) -> None:
    """Wait until each client has begun a change since the last start, so that a kill can hit it."""
    limit = time.monotonic() + 60
    while not all(client.under_way for client in clients):
        if dead := [client.kind for client in clients if not client.running]:
            sys.exit(f"the client {dead[0]} has ended; its log says why")
        if time.monotonic() > limit:
            return
        time.sleep(0.01)


def wait_for_success(clients: list[Client]) -> list[str]:
    """Return which clients do not succeed again within a minute."""
    limit = time.monotonic() + 60
    while not all(client.told for client in clients) and time.monotonic() < limit:
        time.sleep(0.01)
    return [f"{client.kind}: the client does not succeed any more" for client in clients if not client.told]


def take(items: list[Any]) -> Iterator[Any]:
    """Take what a list holds, which another thread goes on to fill."""
    while items:
        yield items.pop(0)


def check_storage(data: Path, *options: str) -> list[str]:
    """Return what `medhub hub fsck` finds."""
    command = [*MEDHUB, "hub", "fsck", *options, "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else (done.stdout or done.stderr).splitlines()


def check_claims(claims: list[dict[str, Any]], folder: Path) -> list[str]:
    """Return which acknowledged changes are missing or changed, as an unmodified client sees them."""
    from huggingface_hub import HfApi

    hub = HfApi()
    faults = []
    commits = {
        branch: {commit.commit_id for commit in hub.list_repo_commits(REPO, revision=branch)}
        for branch in {claim["branch"] for claim in claims if "branch" in claim}
    }
    for claim in claims:
        if "branch" in claim and claim["commit"] not in commits[claim["branch"]]:
            faults.append(f"{claim['kind']}: {claim['branch']} has lost the commit {claim['commit']}")
        elif "branch" in claim:
            path = hub.hf_hub_download(REPO, claim["path"], revision=claim["commit"], local_dir=folder)
            if digest(Path(path).read_bytes()) != claim["sha256"]:
                faults.append(f"{claim['kind']}: {claim['path']} at {claim['commit']} has other bytes")
        else:
            events = {event.id for event in hub.get_discussion_details(REPO, claim["discussion"]).events}
            if claim["comment"] not in events:
                faults.append(f"{claim['kind']}: a comment in discussion {claim['discussion']} is lost")
    shutil.rmtree(folder, ignore_errors=True)
    return faults


def run_client(kind: str, folder: Path) -> None:
    """Make one change after the other; print {} when it begins, and what it was once the Hub said that it is done."""
    change = {"xet": upload, "lfs": upload, "commit": commit, "push": push, "discussion": discuss}[kind](folder)
    while True:
        print(json.dumps({}), flush=True)
        try:
            print(json.dumps({"kind": kind, **change()}), flush=True)
        except Exception as error:  # the Hub is killed under us: whatever the client makes of that
            print(f"{type(error).__name__}: {str(error)[:300]}", file=sys.stderr, flush=True)
            time.sleep(0.05)


def upload(folder: Path) -> Callable[[], dict[str, Any]]:
    """Return a change that uploads a large file, half of whose bytes were sent before."""
    from huggingface_hub import HfApi

    hub, known, names = HfApi(), random.randbytes(300_000), unique(folder.name)

    def change() -> dict[str, Any]:
        path, data = f"{next(names)}.bin", known + random.randbytes(300_000)
        done = hub.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=REPO)
        return {"branch": "main", "commit": done.oid, "path": path, "sha256": digest(data)}

    return change


def commit(folder: Path) -> Callable[[], dict[str, Any]]:
    """Return a change that commits a small file, and deletes the one before."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    hub, names, last = HfApi(), unique(folder.name), [""]

    def change() -> dict[str, Any]:
        path, data = f"texts/{next(names)}.txt", random.randbytes(100).hex().encode()
        operations: list[Any] = [CommitOperationAdd(path, data)]
        if last[0]:
            operations.append(CommitOperationDelete(last[0]))
        last[0] = ""  # whether a commit that fails deleted it, nobody knows
        done = hub.create_commit(REPO, operations, commit_message="a small file")
        last[0] = path
        return {"branch": "main", "commit": done.oid, "path": path, "sha256": digest(data)}

    return change


def push(folder: Path) -> Callable[[], dict[str, Any]]:
    """Return a change that commits a large and a small file with git, and pushes them."""
    place = os.environ["HF_ENDPOINT"].replace("://", f"://admin:{os.environ['HF_TOKEN']}@")
    work, names = folder / "work", unique("push")

    def git(*words: str) -> str:
        setup = ("-c", "user.name=Alice", "-c", "user.email=alice@hospital.example")
        return subprocess.run(
            ["git", *setup, *words], cwd=work, check=True, capture_output=True, text=True
        ).stdout.strip()  # fmt: skip

    work.mkdir()
    git("clone", f"{place}/{REPO}", ".")
    git("lfs", "install", "--local")
    git("checkout", "-b", BRANCH)

    def change() -> dict[str, Any]:
        name, data = next(names), random.randbytes(200_000)
        (work / f"{name}.bin").write_bytes(data)
        (work / f"{name}.txt").write_text(name)
        git("add", ".")
        git("commit", "-m", name)
        git("push", "origin", BRANCH)
        return {"branch": BRANCH, "commit": git("rev-parse", "HEAD"), "path": f"{name}.bin", "sha256": digest(data)}

    return change


def discuss(folder: Path) -> Callable[[], dict[str, Any]]:
    """Return a change that opens a discussion and writes a comment in it."""
    from huggingface_hub import HfApi

    hub, names = HfApi(), unique(folder.name)

    def change() -> dict[str, Any]:
        opened = hub.create_discussion(REPO, title=next(names), description="as asked")
        comment = hub.comment_discussion(REPO, opened.num, "a comment")
        return {"discussion": opened.num, "comment": comment.id}

    return change


def unique(prefix: str) -> Iterator[str]:
    """Yield names."""
    number = 0
    while True:
        number += 1
        yield f"{prefix}-{number:06d}"


def digest(data: bytes) -> str:
    """Return the sha256."""
    return hashlib.sha256(data).hexdigest()


MEDHUB = [sys.executable, "-m", "medhub.cli"]


def medhub(*words: str, data: Path) -> str:
    """Run `medhub hub ...` on the data folder; return what it prints."""
    command = [*MEDHUB, "hub", *words, "--data", str(data)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
