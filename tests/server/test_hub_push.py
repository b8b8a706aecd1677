"""git clone and git push by the git binary over HTTP, and what a push may not bring."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medhub.server.errors import Forbidden
from medhub.server.storage.git import Author, GitRepository, GitStore, Push, Put, PutPointer

MAIN = "refs/heads/main"
UID = "0123456789abcdef01234567"
ANN = Author("Ann", "ann@hospital.example")
ABSENT = "0" * 40


class Server(ThreadingHTTPServer):
    """The three requests of git's protocol on one repository; `check` looks at each push."""

    daemon_threads = True

    def __init__(self, store: GitStore) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = store
        self.check: Callable[[Push], str | None] = lambda push: None
        self.url = f"http://127.0.0.1:{self.server_port}/repository"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        service = self.path.partition("service=")[2]
        self.answer(f"{service}-advertisement", self.repository.advertise(service, protocol=self.protocol))

    def do_POST(self) -> None:
        service = self.path.rpartition("/")[2]
        with tempfile.TemporaryFile() as request:
            request.write(self.body())
            if service == "git-upload-pack":
                answer = b"".join(self.repository.upload_pack(request, protocol=self.protocol))
            else:
                answer = self.repository.receive_pack(request, check=self.server.check, protocol=self.protocol)
        self.answer(f"{service}-result", answer)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            body = self.rfile.read(int(self.headers["Content-Length"]))
        else:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
        return zlib.decompress(body, 31) if self.headers.get("Content-Encoding") == "gzip" else body

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-{kind}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def repository(self) -> GitRepository:
        return self.server.store.open(UID)

    @property
    def protocol(self) -> str | None:
        return self.headers.get("Git-Protocol")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    store = GitStore(tmp_path / "repositories")
    store.create(UID, {"README.md": b"# Model\n"}, author=ANN, message="initial commit")
    return store


@pytest.fixture
def repository(store: GitStore) -> GitRepository:
    return store.open(UID)


@pytest.fixture
def server(store: GitStore) -> Iterator[Server]:
    with Server(store) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def clone(server: Server, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", server.url, "clone")
    return tmp_path / "clone"


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    who = {f"GIT_{role}_{what}": "ann@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    alone = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, env=os.environ | who | alone, timeout=60
    )
    assert bool(done.returncode) == fails, done.stderr.decode()
    return (done.stdout + done.stderr).decode().strip()


def commit(clone: Path, files: dict[str, bytes], message: str = "change") -> str:
    for name, data in files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes(data)
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", message)
    return git(clone, "rev-parse", "HEAD")


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_clone_push_and_fetch(repository: GitRepository, server: Server, tmp_path: Path, version: str) -> None:
    spoken = ("-c", f"protocol.version={version}")
    git(tmp_path, *spoken, "clone", "--quiet", server.url, "clone")
    clone = tmp_path / "clone"
    sha = commit(clone, {f"d/{n}.txt": b"%d" % n for n in range(300)})
    git(clone, *spoken, "push", "--quiet", "origin", "main")
    assert repository.head(MAIN) == sha
    new = repository.commit(MAIN, [Put("api.txt", b"by the API")], parent=sha, author=ANN, message="api")
    git(clone, *spoken, "pull", "--quiet")
    assert git(clone, "rev-parse", "HEAD") == new
    git(clone, "tag", "-a", "v1", "-m", "first")
    git(clone, *spoken, "push", "--quiet", "origin", "HEAD:refs/heads/side", "v1")
    assert (repository.branches()["side"], repository.tags()) == (new, {"v1": new})
    git(clone, *spoken, "push", "--quiet", "origin", ":side")
    assert "side" not in repository.branches()
    assert repository.fsck() == []


def test_the_check_sees_what_is_new_before_it_is_there(repository: GitRepository, server: Server, clone: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 7\n" % (b"a" * 64)
    old = repository.head(MAIN)
    commit(clone, {"a.txt": b"first", "d/w.bin": pointer})
    commit(clone, {"a.txt": b"second"})
    sha = commit(clone, {"deep/er/b.txt": b"b"})
    seen = {}

    def check(push: Push) -> str | None:
        seen["updates"] = [(update.ref, update.old, update.new) for update in push.updates]
        seen["blobs"] = {(entry.path, entry.size, push.repository.read(entry.oid)) for entry in push.new_blobs()}
        seen["pointers"] = [(entry.path, entry.lfs.sha256) for entry in push.new_pointers() if entry.lfs]
        seen["fast"] = push.is_fast_forward(MAIN)
        seen["unseen"] = repository.resolve(sha)
        return "not today\nand not\ttomorrow"

    server.check = check
    said = git(clone, "push", "origin", "main", fails=True)
    assert "remote: not today and not tomorrow" in said
    assert seen["updates"] == [(MAIN, old, sha)]
    texts = {("a.txt", 5, b"first"), ("a.txt", 6, b"second"), ("deep/er/b.txt", 1, b"b"), ("d/w.bin", 7, pointer)}
    assert seen["blobs"] == texts
    assert seen["pointers"] == [("d/w.bin", "a" * 64)]
    assert (seen["fast"], seen["unseen"]) == (True, None)
    assert (repository.head(MAIN), repository.resolve(sha)) == (old, None), "nothing stays of a refused push"
    assert not list((repository.folder / "objects").glob("tmp_*"))

    server.check = lambda push: None
    git(clone, "push", "--quiet", "origin", "main")
    assert list(repository.reachable_pointers()) == [("a" * 64, 7)]


def test_only_what_is_new_is_looked_at(repository: GitRepository, server: Server, clone: Path) -> None:
    commit(clone, {f"d/{n}": b"%d" % n for n in range(50)})
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "checkout", "--quiet", "-b", "side", "HEAD~1")
    commit(clone, {"side.txt": b"s"})
    git(clone, "merge", "--quiet", "-m", "merge", "main")
    found: list[str] = []
    server.check = lambda push: found.extend(entry.path for entry in push.new_blobs())
    git(clone, "push", "--quiet", "origin", "side")
    assert found == ["side.txt"]
    git(clone, "push", "--quiet", "origin", "main:refs/heads/again")
    assert found == ["side.txt"]


def test_a_forced_push_is_told_apart(repository: GitRepository, server: Server, clone: Path) -> None:
    first = repository.head(MAIN)
    commit(clone, {"a": b"a"})
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "reset", "--quiet", "--hard", "HEAD~1")
    commit(clone, {"b": b"b"})

    def check(push: Push) -> str | None:
        if not push.is_fast_forward(MAIN):
            raise Forbidden("main keeps its history")
        return None

    server.check = check
    before = repository.head(MAIN)
    assert "remote: main keeps its history" in git(clone, "push", "--force", "origin", "main", fails=True)
    assert "main" in git(clone, "push", "origin", ":main", fails=True)
    assert repository.head(MAIN) == before != first


def test_refs_stand_where_they_may(repository: GitRepository, clone: Path) -> None:
    for ref in (
        "refs/stash",
        "refs/heads/refs/pr/1",
        f"refs/heads/{'1' * 40}",
        "refs/other/x",
        "refs/heads/" + "a" * 220,
    ):
        assert "cannot name" in git(clone, "push", "origin", f"HEAD:{ref}", fails=True)
    blob = git(clone, "rev-parse", "HEAD:README.md")
    assert "other than a commit" in git(clone, "push", "origin", f"{blob}:refs/tags/blob", fails=True)
    git(clone, "push", "--quiet", "origin", "HEAD:refs/pr/1")
    assert set(repository.pulls()) == {"1"}


def test_a_check_that_fails_refuses(repository: GitRepository, clone: Path) -> None:
    sha = commit(clone, {"a": b"a"})
    before = repository.head(MAIN)
    with tempfile.TemporaryFile() as request:
        request.write(push_of(clone, before or "", sha))
        with pytest.raises(ZeroDivisionError):
            repository.receive_pack(request, check=lambda push: str(1 // 0), protocol=None)
        assert repository.head(MAIN) == before
        answer = repository.receive_pack(request, check=lambda push: None, protocol=None)
    assert b"unpack ok" in answer
    assert repository.head(MAIN) == sha


def push_of(clone: Path, old: str, new: str) -> bytes:
    """Return the request that pushes `new` to main."""
    names = f"{new}\n^{old}\n" if old else f"{new}\n"
    pack = subprocess.run(
        ["git", "-C", clone, "pack-objects", "--stdout", "--revs", "-q"], input=names.encode(), capture_output=True
    )
    return update(old or ABSENT, new) + pack.stdout


def update(old: str, new: str, ref: str = MAIN) -> bytes:
    line = f"{old} {new} {ref}\0report-status side-band-64k\n"
    return f"{len(line) + 4:04x}{line}0000".encode()


def object_id(kind: str, data: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).digest()


def pack(*objects: tuple[int, int, bytes]) -> bytes:
    """Return a pack of (type, declared size, bytes behind the header) objects."""
    data = b"PACK" + struct.pack(">II", 2, len(objects))
    for kind, size, body in objects:
        header, rest = (kind << 4) | (size & 15), size >> 4
        while rest:
            data += bytes([header | 0x80])
            header, rest = rest & 0x7F, rest >> 7
        data += bytes([header]) + body
    return data + hashlib.sha1(data).digest()


def crafted(*trees: bytes, blob: bytes = b"x") -> bytes:
    """Return a push of a commit on the last of `trees`, which git itself would not write."""
    root = object_id("tree", trees[-1]).hex()
    text = f"tree {root}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n".encode()
    objects = [(3, blob), *((2, tree) for tree in trees), (1, text)]
    sent = pack(*((kind, len(data), zlib.compress(data)) for kind, data in objects))
    return update(ABSENT, object_id("commit", text).hex(), "refs/heads/crafted") + sent


def look_at_all(push: Push) -> None:
    for _ in push.new_blobs():
        pass


def receive(repository: GitRepository, request: bytes) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(request)
        return repository.receive_pack(file, check=look_at_all, protocol=None).decode(errors="replace")


@pytest.mark.parametrize(
    "name", [b"..", b".", b".git", b".GIT", b"git~1", b"a\\b", b"a\nb", b"\xff\xfe", b"a" * 300, b".g\xe2\x80\x8cit"]
)
def test_names_that_git_would_not_write(repository: GitRepository, name: bytes) -> None:
    blob = object_id("blob", b"x")
    answer = receive(repository, crafted(b"100644 " + name + b"\0" + blob))
    assert "unpack ok" not in answer or "ng refs/heads/crafted" in answer
    assert "crafted" not in repository.branches()
    assert "crafted" in answer or "unpack" in answer
    fine = receive(repository, crafted(b"100644 fine\0" + blob))
    assert "ok refs/heads/crafted" in fine


def test_submodules_and_deep_folders(repository: GitRepository) -> None:
    blob = object_id("blob", b"x")
    assert "submodule" in receive(repository, crafted(b"160000 sub\0" + b"1" * 20))
    trees = [b"100644 f\0" + blob]
    for _ in range(64):
        trees.append(b"40000 d\0" + object_id("tree", trees[-1]))
    assert "too long" in receive(repository, crafted(*trees))
    assert "ok refs/heads/crafted" in receive(repository, crafted(*trees[:64]))


def test_a_few_trees_that_stand_for_ten_billion_files(repository: GitRepository) -> None:
    blob = object_id("blob", b"x")
    trees = [b"".join(b"100644 %d\0" % n + blob for n in range(10))]
    for _ in range(9):
        child = object_id("tree", trees[-1])
        trees.append(b"".join(b"40000 %d\0" % n + child for n in range(10)))
    start = time.monotonic()
    assert "push in parts" in receive(repository, crafted(*trees))
    assert time.monotonic() - start < 60


def test_a_delta_that_grows_beyond_memory(repository: GitRepository) -> None:
    """A few kilobytes of delta copy one mebibyte six thousand times: git may not get the memory for that."""
    base = b"x" * (1 << 20)
    header = b""
    for number in (len(base), len(base) * 6000):
        while number > 127:
            header += bytes([number & 127 | 128])
            number >>= 7
        header += bytes([number])
    delta = header + b"\xc0\x10" * 6000  # copy 0x100000 bytes from the beginning
    start = time.monotonic()
    name = object_id("blob", base)
    sent = pack((3, len(base), zlib.compress(base)), (7, len(delta), name + zlib.compress(delta)))
    answer = receive(repository, update(ABSENT, "1" * 40, "refs/heads/bomb") + sent)
    assert "Out of memory" in answer
    assert time.monotonic() - start < 30
    assert "bomb" not in repository.branches()
    assert repository.fsck() == []


def test_rubbish_is_refused(repository: GitRepository) -> None:
    before = repository.head(MAIN)
    for body in (b"", b"0000", b"zzzz", update(ABSENT, "1" * 40), update(ABSENT, "1" * 40) + b"PACK\0", b"\0" * 1000):
        assert "unpack ok" not in receive(repository, body)
    assert (repository.head(MAIN), repository.branches()) == (before, {"main": before})
    assert repository.fsck() == []


def test_without_a_hook_nothing_is_received(repository: GitRepository) -> None:
    """git goes on where it may not execute the hook, as on a file system mounted noexec."""
    hook = repository.folder.parent.parent / "hooks/pre-receive"
    hook.chmod(0o600)
    with tempfile.TemporaryFile() as request, pytest.raises(PermissionError):
        repository.receive_pack(request, check=look_at_all, protocol=None)


SERVER = """
import sys, time
from pathlib import Path
from medhub.server.storage.git import GitStore

def check(push):
    print("checking", flush=True)
    time.sleep(float(sys.argv[3]))

with open(sys.argv[2], "rb") as request:
    GitStore(Path(sys.argv[1])).open("0123456789abcdef01234567").receive_pack(request, check=check, protocol=None)
print("done", flush=True)
"""


@pytest.mark.parametrize("moment", range(8))
def test_a_server_killed_in_the_middle_of_a_push(
    repository: GitRepository, clone: Path, tmp_path: Path, moment: int
) -> None:
    """Before the verdict nothing has moved; after it, git finishes under the lock that it inherited."""
    before = repository.head(MAIN)
    sha = commit(clone, {f"{n}.txt": b"%d" % n for n in range(200)})
    (tmp_path / "request").write_bytes(push_of(clone, before or "", sha))
    pause = 30 if moment == 0 else 0
    root = repository.folder.parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, root, tmp_path / "request", str(pause)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"checking\n"
    time.sleep(moment * 0.004)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    added = repository.commit(MAIN, [Put("after.txt", b"a")], parent=None, author=ANN, message="after")
    parent = repository.get_commit(added).parents[0]
    assert parent == before if moment == 0 else parent in (before, sha)
    assert repository.fsck() == []
    assert not list(repository.folder.glob("refs/**/*.lock"))


def test_pushes_and_commits_at_the_same_time(repository: GitRepository, server: Server, tmp_path: Path) -> None:
    """Whoever comes late fetches and pushes again; nobody's file is lost."""

    def by_api() -> None:
        for n in range(10):
            mine = server.store.open(UID)
            mine.commit(MAIN, [PutPointer(f"api/{n}", "a" * 64, n)], parent=None, author=ANN, message="api")

    git(tmp_path, "clone", "--quiet", server.url, "clone")
    clone = tmp_path / "clone"
    thread = threading.Thread(target=by_api)
    thread.start()
    for n in range(4):
        commit(clone, {f"git/{n}": b"g"})
        for _ in range(30):
            git(clone, "pull", "--quiet", "--rebase")
            pushed = subprocess.run(["git", "-C", clone, "push", "--quiet"], capture_output=True)
            if pushed.returncode == 0:
                break
        else:
            pytest.fail("no push got through")
    thread.join()
    entries = repository.tree(repository.head(MAIN) or "", recursive=True) or []
    paths = {entry.path for entry in entries if entry.kind == "file"}
    assert paths == {"README.md", *(f"api/{n}" for n in range(10)), *(f"git/{n}" for n in range(4))}
    assert repository.fsck() == []
