"""Demos: models that visitors try, each in a worker process that can be stopped, limited and lost without harm.

A worker (medhub.demo.worker) gets a private folder with the files that a model is made of, and nothing else of the Hub:
no code from the repository, no secret, no network address. What visitors give stays in that folder, and goes with it.
The server itself imports no model, no plugin and no Gradio.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from medhub.server import contents
from medhub.server.errors import Refusal
from medhub.server.storage.git import Entry
from medhub.server.tables import Repo

if TYPE_CHECKING:
    from medhub.server.hub import Hub

UPLOAD = 256 << 20
"""Bytes of the largest file that a visitor may give."""
DISK = 4 << 30
"""Bytes of files that one worker may hold, all visitors' together."""
START = 180.0
"""Seconds in which a worker has to be ready."""
LONGEST = 4 * 3600.0
"""Seconds after which a worker is stopped, whoever uses it: one that hangs is not kept for ever."""
BUSY = 60.0
"""Seconds after a request in which a demo counts as in use, and does not make room for another."""
PAUSE = 60.0
"""Seconds before a demo that failed is tried again."""
STEP = 0.5
"""Seconds between two looks at a worker."""
WORKER = (sys.executable, "-P", "-m", "medhub.demo.worker")
"""The command of a worker; -P keeps the folder that it starts in from being one to import from."""
FOLDER = "demos"
"""Where the workers' private folders are, in the Hub's data folder."""
SOCKET, MODELS = "socket", "models"
LONGEST_SOCKET = 107
"""Bytes of a Unix socket's address, in Linux."""
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS")
"""What a worker gets of the Hub's own environment."""


class DemoUnavailable(Refusal):
    """A demo that cannot be had now; `seconds` says when to come back."""

    status = 503

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message, headers={"Retry-After": str(max(1, ceil(seconds)))})


@dataclass(eq=False)
class Demo:
    """One worker, from the moment that somebody asks for it. `asking` counts the requests under way."""

    repo_id: str
    name: str
    commit: str
    folder: Path
    started: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)
    asking: int = 0
    ready: bool = False
    stopped: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """Where the worker listens."""
        return str(self.folder / SOCKET)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A `with` block in which the demo answers somebody, and is not idle."""
        self.asking += 1
        try:
            yield
        finally:
            self.asking -= 1
            self.used = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last request ended; 0 while there is one, and until the worker is ready."""
        return 0.0 if self.asking or not self.ready else time.monotonic() - self.used


@dataclass(frozen=True)
class Failure:
    """Why a demo is not there, and until when it is not tried again."""

    commit: str
    sentence: str
    until: float


class Demos:
    """The workers of one Hub process, at most one a repository; for any number of threads."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._demos: dict[str, Demo] = {}
        self._failures: dict[str, Failure] = {}
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self._turn = threading.Lock()
        self.memory = hub.settings.demo_memory << 20
        self.idle_seconds = 60.0 * hub.settings.demo_minutes

    def offers(self, repo: Repo) -> bool:
        """Return whether there is a demo of this repository: of MedHub's models, where demos are on and installed."""
        library = repo.facts.get("library_name") or repo.card.get("library_name")
        return repo.kind == "model" and library == "medhub" and self._hub.settings.demos > 0 and _installed()

    def open(self, repo: Repo, commit: str) -> Demo:
        """Return the demo of a repository at the head of its branch main, `commit`; start it where it does not run.

        It may not be ready yet. Raises DemoUnavailable where it failed a moment ago, and where as many run as may.
        """
        with self._turn:
            demo = self._demos.get(repo.id)
            if demo and demo.commit == commit:
                demo.used = time.monotonic()
                return demo
            failure = self._failures.pop(repo.id, None)
            if failure and failure.commit == commit and failure.until > time.monotonic():
                self._failures[repo.id] = failure
                raise DemoUnavailable(failure.sentence, seconds=failure.until - time.monotonic())
            if demo:
                self._stop(demo)
            self._make_room()
            return self._start(repo, commit)

    def running(self, repo_id: str) -> Demo | None:
        """Return a repository's demo where it is ready."""
        demo = self._demos.get(repo_id)
        return demo if demo and demo.ready else None

    def close(self) -> None:
        """Stop all workers, and return when nothing of them is left."""
        with self._turn:
            self._closed = True
            for demo in [*self._demos.values()]:
                self._stop(demo)
            threads = [*self._threads]
        for thread in threads:
            thread.join()

    def _start(self, repo: Repo, commit: str) -> Demo:
        if self._closed:
            raise DemoUnavailable("the Hub is closing; come back when it is there again", seconds=PAUSE)
        folder = _private_folder(self._hub.settings.data / FOLDER)
        demo = self._demos[repo.id] = Demo(repo.id, repo.full_name, commit, folder)
        thread = threading.Thread(target=self._tend, args=[demo], name=f"demo {repo.full_name}", daemon=True)
        self._threads.add(thread)
        thread.start()
        return demo

    def _make_room(self) -> None:
        """Stop the demo that is idle for longest where there is no place. Raises DemoUnavailable where all are busy."""
        if len(self._demos) < self._hub.settings.demos:
            return
        longest = max(self._demos.values(), key=lambda demo: demo.idle)
        if longest.idle < BUSY:
            raise DemoUnavailable(
                f"{len(self._demos)} demos are in use, as many as this Hub runs at once; this one can start when "
                "another is left alone for a minute",
                seconds=BUSY - longest.idle,
            )
        self._stop(longest)

    def _stop(self, demo: Demo) -> None:
        """Stop a demo's worker now; its thread clears away what is left. The caller has the turn."""
        demo.stopped, demo.ready = True, False
        if self._demos.get(demo.repo_id) is demo:
            del self._demos[demo.repo_id]
        if demo.process:
            _kill(demo.process)

    def _tend(self, demo: Demo) -> None:
        """Run a demo from beginning to end, in a thread of its own."""
        sentence = ""
        try:
            sentence = self._run(demo)
        except DemoUnavailable as error:
            sentence = str(error)
        except (KeyError, OSError) as error:
            sentence = f"The Hub could not prepare the demo ({type(error).__name__}); its operator can look with fsck."
        finally:
            with self._turn:
                wanted = not demo.stopped
                self._stop(demo)
                if sentence and wanted:
                    self._failures[demo.repo_id] = Failure(demo.commit, sentence, time.monotonic() + PAUSE)
                self._threads.discard(threading.current_thread())
            if demo.process:
                demo.process.wait()
                for stream in (demo.process.stdin, demo.process.stdout):
                    assert stream
                    stream.close()
            shutil.rmtree(demo.folder, ignore_errors=True)

    def _run(self, demo: Demo) -> str:
        """Start a demo's worker and watch it until it ends or has to; return what to tell visitors, if anything."""
        # the worker finds the model by its name, which is all that its page and its results say of where it came from
        model = demo.folder / MODELS / demo.name
        write_model(self._hub, demo.repo_id, demo.commit, model, most=self.memory)
        with self._turn:
            if demo.stopped:
                return ""
            demo.process = self._spawn(demo)
        process = demo.process
        assert process.stdout
        while process.poll() is None:
            if demo.ready:
                time.sleep(STEP)
            elif select.select([process.stdout], [], [], STEP)[0]:
                if not os.read(process.stdout.fileno(), 100):
                    break
                demo.used = time.monotonic()
                demo.ready = not demo.stopped
            if (reason := self._reason_to_stop(demo, process)) is not None:
                return reason
        code = process.wait()
        if demo.ready:
            # no word of its log: that may quote what somebody gave
            return f"The demo ended unexpectedly ({_ending(code)}). Nothing else was touched."
        return f"The model could not be loaded: {_last_line(demo.folder / 'log') or _ending(code)}"

    def _spawn(self, demo: Demo) -> subprocess.Popen[bytes]:
        if len(os.fsencode(demo.socket)) > LONGEST_SOCKET:
            raise DemoUnavailable(
                f"The Hub's data folder has too long a path for a socket in it, {demo.socket}; its operator can move "
                "the folder",
                seconds=PAUSE,
            )
        line = [
            *WORKER, demo.name, "--socket", demo.socket, "--memory", str(self.memory), "--upload", str(UPLOAD),
        ]  # fmt: skip
        with open(demo.folder / "log", "wb") as log:
            return subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=demo.folder / MODELS,
                env=_environment(demo.folder), start_new_session=True,
            )  # fmt: skip

    def _reason_to_stop(self, demo: Demo, process: subprocess.Popen[bytes]) -> str | None:
        """Return why a worker has to stop: a sentence for visitors, or "" where there is nothing to tell; else None."""
        age = time.monotonic() - demo.started
        if demo.stopped or demo.idle > self.idle_seconds or age > LONGEST or self._outdated(demo):
            return ""
        if not demo.ready and age > START:
            return f"The model was not ready within {START:g} seconds."
        if _resident(process.pid) > self.memory:
            return f"The demo was stopped: it took more than {self.memory >> 20} MiB of memory."
        if _held(demo.folder) > DISK:
            return f"The demo was stopped: it held more than {DISK >> 30} GiB of files."
        return None

    def _outdated(self, demo: Demo) -> bool:
        """Return whether the repository was deleted, or its branch main moved on."""
        with self._hub.database.read() as session:
            repo = session.get(Repo, demo.repo_id)
        if repo is None or repo.deleted:
            return True
        return self._hub.git.open(demo.repo_id).head("refs/heads/main") != demo.commit


def write_model(hub: Hub, repo_id: str, commit: str, folder: Path, *, most: int) -> None:
    """Write the files that a model is made of into a new folder: config, weights, processor, card; never code.

    Raises DemoUnavailable where they have more than `most` bytes, KeyError where the Hub lost one.
    """
    git = hub.git.open(repo_id)
    entries = [entry for entry in git.tree(commit) or () if entry.kind == "file" and _is_of_model(entry.path)]
    if (size := sum(entry.size for entry in entries)) > most:
        raise DemoUnavailable(
            f"The model's files have {size >> 20} MiB, and a demo on this Hub may take {most >> 20} MiB of memory.",
            seconds=PAUSE,
        )
    folder.mkdir(parents=True)
    for entry in entries:
        with open(folder / entry.path, "xb") as file:
            for piece in _pieces(hub, repo_id, entry):
                file.write(piece)


def sweep(hub: Hub) -> None:
    """Remove what workers left that were killed together with their Hub process; others may serve the same folder."""
    for path in (hub.settings.data / FOLDER).glob("*-*"):
        with suppress(ValueError):
            if not _alive(int(path.name.partition("-")[0])):
                shutil.rmtree(path, ignore_errors=True)


def _is_of_model(path: str) -> bool:
    return path in {"model.safetensors", "README.md"} or path.endswith(".json")


def _pieces(hub: Hub, repo_id: str, entry: Entry) -> Iterator[bytes]:
    if entry.lfs is None:
        return iter((hub.git.open(repo_id).read(entry.oid),))
    with hub.database.read() as session:
        content = contents.linked(session, repo_id, entry.lfs.sha256)
    if content is None:
        raise KeyError(entry.path)
    return contents.read(hub, content)


def _private_folder(root: Path) -> Path:
    """Return a new folder under `root` for one worker, readable for nobody else; it names this process, for `sweep`."""
    root.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root.resolve()))
    for name in ("home", "tmp", "gradio"):
        (folder / name).mkdir()
    return folder


def _environment(folder: Path) -> dict[str, str]:
    """Return a worker's environment: offline, nothing of the Hub's, and every place to write in the private folder."""
    home = str(folder / "home")
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "HOME": home,
        "HF_HOME": home,
        "TMPDIR": str(folder / "tmp"),
        # beside it: what lies in its own folder Gradio does not copy, and a temporary file goes after the answer
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@cache
def _installed() -> bool:
    return find_spec("gradio") is not None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker and what it started. It holds nothing that would have to be kept."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process has; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _held(folder: Path) -> int:
    """Return the bytes of the files in a folder, some of which may go meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_size
    return size


def _ending(code: int) -> str:
    if code < 0:
        return f"by signal {signal.Signals(-code).name}"
    return f"with status {code}"


def _last_line(log: Path) -> str:
    """Return the last line of a log, shortened; empty where there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:1000] for line in reversed(lines) if line.strip()), "")
