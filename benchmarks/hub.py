"""What the Hub costs: transfers beside nginx, latency at 10 and at 10,000 repositories, commits, start-up and memory.

    python benchmarks/hub.py [transfer latency commit start memory]

The unmodified client (huggingface_hub, through Xet and through LFS) against `medhub serve`; nginx (DAV for PUT, static
for GET, from Debian's package) moves the same bytes with a plain HTTP client and is the ceiling of this machine. Each
figure is the median of REPEATS, everything in one run, on loopback; client and server share the cores. Clients run in
processes of their own with a fresh home, so that no cache helps; their start is not counted.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from sqlalchemy import select

from medhub.server import accounts
from medhub.server.hub import open_hub
from medhub.server.settings import Settings
from medhub.server.tables import Account

REPEATS = 3
LARGE, SMALL_FILES, SMALL = 500_000_000, 2_000, 4_000
MEMORY_FILE = 5_000_000_000

CLIENT = """
import json, os, sys, time
from huggingface_hub import HfApi, snapshot_download, hf_hub_download
from huggingface_hub import logging
api, repo, folder = HfApi(), sys.argv[2], sys.argv[3]
api.whoami()
begin = time.perf_counter()
if sys.argv[1] == "up":
    api.upload_folder(repo_id=repo, folder_path=folder)
elif sys.argv[1] == "file":
    hf_hub_download(repo, "0000.bin", cache_dir=folder)
else:
    snapshot_download(repo, cache_dir=folder)
print(json.dumps(time.perf_counter() - begin))
"""
PLAIN = """
import json, pathlib, sys, time
import httpx2
from concurrent.futures import ThreadPoolExecutor
how, url, folder = sys.argv[1:]
client = httpx2.Client(timeout=None, trust_env=False)
if how == "up":
    names = sorted(path.name for path in pathlib.Path(folder).iterdir())
else:
    names = client.get(url + "/.list").text.split()
def up(name):
    with open(f"{folder}/{name}", "rb") as file:
        client.put(f"{url}/{name}", content=file).raise_for_status()
def down(name):
    with client.stream("GET", f"{url}/{name}") as answer, open(f"{folder}/{name}", "wb") as file:
        answer.raise_for_status()
        for piece in answer.iter_bytes(1 << 20):
            file.write(piece)
begin = time.perf_counter()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(up if how == "up" else down, names))
print(json.dumps(time.perf_counter() - begin))
"""
NGINX = """
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log; user root;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {root}/tmp; client_body_buffer_size 1m;
    proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
    server {{ listen 127.0.0.1:{port}; location / {{ root {root}/files; dav_methods PUT; create_full_put_path on; }} }}
}}
"""


def main() -> None:
    """Run the parts that were asked for, all by default."""
    parts: dict[str, Callable[[Path], None]] = {
        "transfer": transfer, "latency": latency, "commit": commit, "start": start, "memory": memory,
    }  # fmt: skip
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as scratch:
            parts[name](Path(scratch))


def transfer(scratch: Path) -> None:
    """500 MB in one file, and 2,000 small files, up and down."""
    print(f"| {'what':<22} | {'nginx':>8} | {'Xet':>8} | {'LFS':>8} | Xet/nginx | LFS/nginx |")
    with serving(scratch / "hub") as (url, token, _), nginx(scratch / "nginx") as ceiling:
        for what, write in {"500 MB": write_large, "2,000 files": write_small}.items():
            times: dict[str, dict[str, list[float]]] = {
                way: {"nginx": [], "Xet": [], "LFS": []} for way in ("up", "down")
            }
            for seed in range(3 * REPEATS):
                name = ("nginx", "Xet", "LFS")[seed % 3]
                folder = Path(fresh(scratch))
                write(folder, seed)  # bytes of its own for each: the Hub keeps equal ones once
                if name == "nginx":
                    both = through_nginx(f"{ceiling}/{folder.name}", scratch / "nginx" / "files", folder)
                else:
                    both = through_hub(url, token, folder, xet=name == "Xet")
                for way, seconds in zip(("up", "down"), both, strict=True):
                    times[way][name].append(seconds)
                shutil.rmtree(folder)
            for way, found in times.items():
                middle = {name: statistics.median(values) for name, values in found.items()}
                columns = [f"{what + ' ' + way:<22}", *(f"{value:6.2f} s" for value in middle.values())]
                columns += [f"{middle[name] / middle['nginx']:8.1f}x" for name in ("Xet", "LFS")]
                print(f"| {' | '.join(columns)} |", flush=True)


def through_nginx(url: str, files: Path, folder: Path) -> tuple[float, float]:
    """Return the seconds of sending a folder by PUT and of fetching it by GET, eight at a time."""
    up = run(PLAIN, "up", url, str(folder))
    (files / folder.name / ".list").write_text("\n".join(path.name for path in folder.iterdir()))
    return up, run(PLAIN, "down", url, fresh(folder.parent))


def through_hub(url: str, token: str, folder: Path, *, xet: bool) -> tuple[float, float]:
    """Return the seconds of sending a folder to a new repository and of fetching it, by the unmodified client."""
    more = environment(url, token, folder.parent) | ({} if xet else {"HF_HUB_DISABLE_XET": "1"})
    post(url, token, "/api/repos/create", {"name": folder.name})
    up = run(CLIENT, "up", f"bench/{folder.name}", str(folder), **more)
    return up, run(
        CLIENT, "down", f"bench/{folder.name}", fresh(folder.parent), **(more | {"HF_HOME": fresh(folder.parent)})
    )


def write_large(folder: Path, seed: int) -> None:
    """Write one file of 500 MB."""
    write_noise(folder / "0000.bin", LARGE, seed)


def write_small(folder: Path, seed: int) -> None:
    """Write 2,000 files of text."""
    noise = random.Random(seed)
    for number in range(SMALL_FILES):
        (folder / f"{number:04}.txt").write_text(noise.randbytes(SMALL // 2).hex())


def latency(scratch: Path) -> None:
    """model_info, tree and list, one after the other, with 10 and with 10,000 repositories."""
    print(f"| {'call':<12} | {'10: p50':>8} | {'p99':>8} | {'10,000: p50':>11} | {'p99':>8} | ratio of p50 |")
    found: dict[str, list[tuple[float, float]]] = {}
    with serving(scratch / "hub") as (url, token, _):
        made = 0
        for count in (10, 10_000):
            fill(scratch / "hub", range(made, count))
            made = count
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
                for name, path in (
                    ("model_info", "/api/models/bench/model-0"),
                    ("tree", "/api/models/bench/model-0/tree/main?recursive=true"),
                    ("list", "/api/models?limit=20"),
                ):
                    found.setdefault(name, []).append(timed(lambda path=path: client.get(path).raise_for_status(), 300))
    for name, ((few, few99), (many, many99)) in found.items():
        print(
            f"| {name:<12} | {few:5.2f} ms | {few99:5.2f} ms "
            f"| {many:8.2f} ms | {many99:5.2f} ms | {many / few:11.2f}x |"
        )


def commit(scratch: Path) -> None:
    """A commit of one file on a tree of 20,000 files, over HTTP, beside the same on a tree of one."""
    with (
        serving(scratch / "hub") as (url, token, _),
        httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=300
        ) as client,
    ):
        for files in (1, 20_000):
            post(url, token, "/api/repos/create", {"name": f"tree-{files}"})
            for begin in range(0, files, 1000):
                lines = [
                    {
                        "key": "file",
                        "value": {"path": f"{n % 100}/{n}.txt", "content": "YQ==", "encoding": "base64"},
                    }
                    for n in range(begin, min(files, begin + 1000))
                ]
                push(client, f"bench/tree-{files}", lines)
            one = [{"key": "file", "value": {"path": "50/50.txt", "content": "", "encoding": "base64"}}]

            def change(files: int = files, one: list[dict] = one) -> None:
                one[0]["value"]["content"] = random.randbytes(6).hex()
                push(client, f"bench/tree-{files}", one)

            half, worst = timed(change, 100)
            print(f"| commit of one file on {files:>6} files | p50 {half:.2f} ms | p99 {worst:.2f} ms |")


def start(scratch: Path) -> None:
    """From `medhub serve` to the first answer: on an empty folder, and again."""
    for name in ("first start", "next start"):
        times = []
        for turn in range(REPEATS):
            begin = time.perf_counter()
            with serving(scratch / f"hub{turn}"):
                times.append(time.perf_counter() - begin)
        print(f"| {name} | {statistics.median(times):.2f} s |")


def memory(scratch: Path) -> None:
    """The server's greatest memory while a file of 5 GB passes, up and down, by each transport."""
    folder = scratch / "huge"
    folder.mkdir()
    write_noise(folder / "0000.bin", MEMORY_FILE, 0)
    for transport, off in (("Xet", ""), ("LFS", "1")):
        with serving(scratch / transport) as (url, token, process):
            more = environment(url, token, scratch) | ({"HF_HUB_DISABLE_XET": off} if off else {})
            idle = resident(process)
            post(url, token, "/api/repos/create", {"name": "huge"})
            up = run(CLIENT, "up", "bench/huge", str(folder), **more)
            after = resident(process)
            back = fresh(scratch)
            down = run(CLIENT, "file", "bench/huge", back, **(more | {"HF_HOME": fresh(scratch)}))
            subprocess.run(["rm", "-rf", back], check=True)
            print(
                f"| 5 GB by {transport} | up {up:.0f} s, down {down:.0f} s | memory idle {idle} MB, up {after} MB, "
                f"down {resident(process)} MB at most |"
            )


@contextmanager
def serving(data: Path) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """`medhub serve` as its own process, with a user `bench`; gives its URL, the user's token and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "medhub.cli", "serve", "--data", str(data), "--port", "0"],
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout
        url = next(word for line in process.stdout for word in line.split() if word.startswith("http"))
        while True:
            try:
                httpx.get(f"{url}/api/agent-harnesses", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.01)
        yield url, person(data), process
    finally:
        process.terminate()
        process.wait()


def person(data: Path) -> str:
    """Return a token of the user `bench`."""
    hub = open_hub(Settings(data=data))
    with hub.database.write() as session:
        known = session.execute(select(Account).where(Account.lower == "bench")).scalar()
        user = known or accounts.create_account(session, "bench")
        token = accounts.create_token(session, user, "bench", role="write")[1]
    hub.database.close()
    return token


def fill(data: Path, numbers: range) -> None:
    """Make repositories `bench/model-N` with a card and a config, by the Hub's own functions."""
    from medhub.server.access import Principal
    from medhub.server.commits import commit as land
    from medhub.server.repositories import create
    from medhub.server.storage.git import Put

    hub = open_hub(Settings(data=data))
    with hub.database.read() as session:
        user = accounts.get_account(session, "bench")
    principal = Principal(id=user.id, name=user.name, token_role="write")
    for number in numbers:
        repo = create(hub, principal, kind="model", namespace="bench", name=f"model-{number}")
        card = f"---\nlicense: mit\ntags: [tag-{number % 50}]\n---\n# Model {number}\n".encode()
        land(hub, principal, repo, "main", [Put("README.md", card), Put("config.json", b"{}")], summary="card")
    hub.database.close()


@contextmanager
def nginx(root: Path) -> Iterator[str]:
    """nginx with DAV and static files on a free port; gives its URL."""
    (root / "files").mkdir(parents=True)
    port = random.randrange(20_000, 30_000)
    (root / "nginx.conf").write_text(NGINX.format(root=root, port=port))
    process = subprocess.Popen(["nginx", "-c", str(root / "nginx.conf"), "-p", str(root)])
    try:
        for _ in range(100):
            time.sleep(0.02)
            try:
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.HTTPError:
                continue
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def run(code: str, *words: str, **more: str) -> float:
    """Run a client in a process of its own; return the seconds it says it took."""
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=base | more, text=True, stdout=subprocess.PIPE, check=True
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def environment(url: str, token: str, scratch: Path) -> dict[str, str]:
    """Return a client's environment, with a home that nobody used before."""
    return {
        "HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HOME": fresh(scratch), "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }  # fmt: skip


def write_noise(path: Path, size: int, seed: int) -> None:
    """Write `size` random bytes, a multiple of 50 MB."""
    noise = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(size // 50_000_000):
            file.write(noise.randbytes(50_000_000))


def fresh(scratch: Path) -> str:
    """Return an empty folder."""
    return tempfile.mkdtemp(dir=scratch)


def post(url: str, token: str, path: str, body: object) -> None:
    """Call the API once."""
    headers = {"Authorization": f"Bearer {token}"}
    httpx.post(url + path, json=body, headers=headers, trust_env=False, timeout=60).raise_for_status()


def push(client: httpx.Client, repo: str, lines: list[dict]) -> None:
    """Make one commit of these operations."""
    body = "\n".join(json.dumps(line) for line in [{"key": "header", "value": {"summary": "bench"}}, *lines])
    answer = client.post(
        f"/api/models/{repo}/commit/main", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    answer.raise_for_status()


def timed(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of a call, in milliseconds, after ten calls that do not count."""
    for _ in range(10):
        call()
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        found.append((time.perf_counter() - begin) * 1000)
    return statistics.median(found), statistics.quantiles(found, n=100)[98]


def resident(process: subprocess.Popen[str]) -> int:
    """Return the greatest memory a process has held so far, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1000


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    main()
