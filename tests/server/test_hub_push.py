"""git clone and git push by the git binary over HTTP, looked at before anything lands."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
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


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    who = {f"GIT_{role}_{what}": "ann@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    alone = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, env=os.environ | who | alone, timeout=60
    )


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    done = run(folder, *arguments)
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
            if run(clone, "push", "--quiet").returncode == 0:
                break
        else:
            pytest.fail("no push got through")
    thread.join()
    entries = repository.tree(repository.head(MAIN) or "", recursive=True) or []
    paths = {entry.path for entry in entries if entry.kind == "file"}
    assert paths == {"README.md", *(f"api/{n}" for n in range(10)), *(f"git/{n}" for n in range(4))}
    assert repository.fsck() == []
