"""Uploads over HTTP: what goes where, the commit's body and its limits, the answers that clients read."""

from __future__ import annotations

import base64
import json
import pickle
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, RevisionNotFoundError
from lfs_client import make_repo, send, sha256

from medhub.server.commits import LARGEST_REGULAR
from medhub.server.routes import uploads
from medhub.server.tables import AuditRecord, Repo

LARGE = random.Random(0).randbytes(100_000)
STALE = "The branch was updated since you opened this page. Please refresh and try again."


def head(served: Any, repo: Repo, ref: str = "refs/heads/main") -> str:
    return served.hub.git.open(repo.id).head(ref)


def files(served: Any, repo: Repo, ref: str = "refs/heads/main") -> dict[str, Any]:
    git = served.hub.git.open(repo.id)
    return {entry.path: entry for entry in git.tree(git.head(ref), recursive=True) if entry.kind == "file"}


def line(key: str, **value: Any) -> bytes:
    return json.dumps({"key": key, "value": value}).encode() + b"\n"


def file(path: str, data: bytes, **more: Any) -> bytes:
    return line("file", path=path, content=base64.b64encode(data).decode(), encoding="base64", **more)


def post(
    served: Any, name: str, *lines: bytes, who: str | None = "alice", revision: str = "main", **query: Any
) -> httpx.Response:
    with served.client(who) as client:
        return client.post(
            f"/api/models/{name}/commit/{revision}", content=b"".join(lines), params=query,
            headers={"Content-Type": "application/x-ndjson"},
        )  # fmt: skip


def preupload(
    served: Any,
    name: str,
    *asked: tuple[str, bytes, int],
    who: str | None = "alice",
    revision: str = "main",
    **more: Any,
) -> Any:
    body = {
        "files": [
            {"path": path, "sample": base64.b64encode(sample[:512]).decode(), "size": size}
            for path, sample, size in asked
        ]
    }
    with served.client(who) as client:
        return client.post(f"/api/models/{name}/preupload/{revision}", json=body | more)


HEADER = line("header", summary="a commit", description="")


def test_commit_answers_in_the_clients_form(served: Any) -> None:
    repo = make_repo(served, "alice/answer")
    answer = post(served, "alice/answer", HEADER, file("a.txt", b"one"))
    sha = head(served, repo)
    assert answer.json() == {
        "success": True, "commitOid": sha, "commitUrl": f"{served.url}/alice/answer/commit/{sha}", "hookOutput": "",
    }  # fmt: skip
    with served.client() as client:
        first = client.post("/api/models/ALICE/Answer/commit/main", content=HEADER + file("b.txt", b"two"))
    assert first.json()["commitUrl"].startswith(f"{served.url}/alice/answer/commit/"), "the canonical name"
    commit = served.hub.git.open(repo.id).get_commit(head(served, repo))
    assert (commit.author, commit.title, commit.parents) == ("alice", "a commit", (sha,))


def test_client_adds_deletes_and_copies(served: Any) -> None:
    repo, api = make_repo(served, "alice/client"), served.api()
    with served.client() as client:
        send(client, "alice/client", LARGE)
    first = api.create_commit(
        "alice/client",
        [CommitOperationAdd("a/b.txt", b"text"), CommitOperationAdd("empty", b""), CommitOperationAdd("c.md", b"x")],
        commit_message="add", commit_description="three files",
    )  # fmt: skip
    assert first.oid == head(served, repo)
    assert served.hub.git.open(repo.id).get_commit(first.oid).message == "add\n\nthree files"
    post(
        served, "alice/client", HEADER, line("lfsFile", path="w.bin", algo="sha256", oid=sha256(LARGE), size=len(LARGE))
    )
    assert files(served, repo)["w.bin"].lfs.sha256 == sha256(LARGE)
    copied = line("lfsFile", path="copy.bin", algo="sha256", oid=sha256(LARGE))
    assert post(served, "alice/client", HEADER, copied).status_code == 200
    assert files(served, repo)["copy.bin"].size == len(LARGE), "a copy names no size"
    api.create_commit(
        "alice/client",
        [CommitOperationDelete("a/"), CommitOperationDelete("w.bin"), CommitOperationCopy("c.md", "d.md")],
        commit_message="tidy up",
    )
    assert sorted(files(served, repo)) == [".gitattributes", "c.md", "copy.bin", "d.md", "empty"]
    with pytest.raises(EntryNotFoundError, match=r"A file with this name doesn't exist: w\.bin"):
        api.delete_file("w.bin", "alice/client")


def test_order_of_operations_counts(served: Any) -> None:
    repo = make_repo(served, "alice/order")
    post(served, "alice/order", HEADER, file("a", b"old"))
    post(served, "alice/order", HEADER, line("deletedFile", path="a"), file("a", b"new"), file("b", b"b"))
    git = served.hub.git.open(repo.id)
    assert git.read(files(served, repo)["a"].oid) == b"new"
    post(served, "alice/order", HEADER, file("a", b"newer"), line("deletedFile", path="a"))
    assert sorted(files(served, repo)) == [".gitattributes", "b"]


def test_nothing_changed_makes_no_commit(served: Any) -> None:
    repo, api = make_repo(served, "alice/same"), served.api()
    first = api.upload_file(path_or_fileobj=b"text", path_in_repo="a.txt", repo_id="alice/same")
    again = api.upload_file(path_or_fileobj=b"text", path_in_repo="a.txt", repo_id="alice/same")
    assert first.oid == again.oid == head(served, repo)
    answer = post(served, "alice/same", HEADER, file("a.txt", b"text"))
    assert answer.json()["commitOid"] == first.oid
    assert post(served, "alice/same", HEADER).json()["commitOid"] == first.oid, "a header alone changes nothing"


def test_stale_parent(served: Any) -> None:
    repo = make_repo(served, "alice/stale")
    old = head(served, repo)
    header = line("header", summary="s", parentCommit=old[:10])
    assert post(served, "alice/stale", header, file("a", b"a")).status_code == 200, "the beginning of a sha will do"
    new = head(served, repo)
    late = post(served, "alice/stale", header, file("b", b"b"))
    assert (late.status_code, late.json()["error"], head(served, repo)) == (412, STALE, new)


def test_revisions(served: Any) -> None:
    repo, api = make_repo(served, "alice/revisions"), served.api()
    git = served.hub.git.open(repo.id)
    git.create_branch("dev/x", head(served, repo))
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="alice/revisions", revision="dev/x")
    assert "x" in files(served, repo, "refs/heads/dev/x")
    assert "x" not in files(served, repo)
    assert (
        post(served, "alice/revisions", HEADER, file("y", b"y"), revision="refs%2Fheads%2Fdev%2Fx").status_code == 200
    )
    for revision in ("gone", head(served, repo), "refs%2Fpr%2F7", "refs%2Fconvert%2Fparquet", "refs%2Ftags%2Fv1"):
        answer = post(served, "alice/revisions", HEADER, file("a", b"a"), revision=revision)
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound"), revision
    with pytest.raises(RevisionNotFoundError):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="alice/revisions", revision="gone")
    answer = post(served, "alice/revisions", HEADER, revision=head(served, repo), create_pr=1)
    assert answer.headers["X-Error-Code"] == "RevisionNotFound", "a pull request starts from a branch"


@pytest.fixture(scope="module")
def bodies(served: Any) -> Repo:
    return make_repo(served, "alice/bodies")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "begins without its header"),
        ([file("a", b"a")], "begins without its header"),
        ([b"{\n"], "line 1 of the commit is not JSON"),
        ([b"[" * 100_000 + b"\n"], "line 1 of the commit is not JSON"),
        ([b'{"key": "header", "value": []}\n'], "not an object with a key and a value"),
        ([b"[]\n"], "not an object with a key and a value"),
        ([line("header", summary=1)], "summary is missing, or is not text"),
        ([line("header", summary="half a \ud800")], "summary is missing, or is not text"),
        ([HEADER, line("folder", path="a")], "no line of key 'folder'"),
        ([HEADER, HEADER], "no line of key 'header'"),
        ([HEADER, line("file", path="a", content="%%%%")], "content of 'a' is not base64"),
        ([HEADER, line("file", path="a", content="YQ")], "content of 'a' is not base64"),
        ([HEADER, line("file", path="a", content="YQ==\n")], "content of 'a' is not base64"),
        ([HEADER, line("file", path="a", content="ä")], "content of 'a' is not base64"),
        ([HEADER, line("file", path="a", content="a", encoding="utf-8")], "encoding 'utf-8'; send base64"),
        ([HEADER, line("file", content="YQ==")], "path is missing"),
        ([HEADER, line("lfsFile", path="a", algo="sha256", oid="../../etc")], "is not a sha256"),
        ([HEADER, line("lfsFile", path="a", algo="md5", oid="0" * 64)], "is not a sha256"),
        ([HEADER, line("lfsFile", path="a", algo="sha256", oid="0" * 64, size="1")], "has to be a number of bytes"),
        (
            [HEADER, line("lfsFile", path="a", algo="sha256", oid="0" * 64, size=1)],
            "LFS pointer pointed to a file that does not",
        ),
    ],
)
def test_bodies_that_cannot_be_used(served: Any, bodies: Repo, lines: list[bytes], said: str) -> None:
    answer = post(served, "alice/bodies", *lines)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    assert list(files(served, bodies)) == [".gitattributes"]


def test_paths_that_may_not_be(served: Any) -> None:
    repo = make_repo(served, "alice/paths")
    for path in (
        "../up",
        "a/../b",
        "/etc/passwd",
        ".git/config",
        "a/.GIT/x",
        "a//b",
        "",
        ".",
        "a\0b",
        "x/" * 300 + "y",
        "git~1/x",
    ):
        refused = [
            post(served, "alice/paths", HEADER, file(path, b"x")),
            post(served, "alice/paths", HEADER, line("lfsFile", path=path, algo="sha256", oid="0" * 64, size=1)),
            post(served, "alice/paths", HEADER, line("deletedFile", path=path)),
            post(served, "alice/paths", HEADER, line("deletedFolder", path=path)),
            preupload(served, "alice/paths", (path, b"x", 1)),
        ]
        assert [answer.status_code for answer in refused] == [400] * 5, path
    long = post(served, "alice/paths", HEADER, file("x" * 1_000_000, b"x"))
    assert (long.status_code, len(long.headers["X-Error-Message"]) < 1000) == (400, True)
    post(served, "alice/paths", HEADER, file("a/b", b"x"))
    assert "replace a folder" in post(served, "alice/paths", HEADER, file("a", b"x")).json()["error"]
    assert "below the file" in post(served, "alice/paths", HEADER, file("a/b/c", b"x")).json()["error"]
    assert sorted(files(served, repo)) == [".gitattributes", "a/b"]


def test_regular_files_have_a_limit(served: Any) -> None:
    repo = make_repo(served, "alice/regular")
    largest = b"\0" * LARGEST_REGULAR
    assert post(served, "alice/regular", HEADER, file("most.txt", largest)).status_code == 200
    over = post(served, "alice/regular", HEADER, file("more.txt", largest + b"\0"))
    assert (over.status_code, "upload it as a large file" in over.json()["error"]) == (413, True)
    far_over = post(served, "alice/regular", HEADER, line("file", path="a", content="A" * uploads.LONGEST_LINE))
    assert (far_over.status_code, "send larger ones as lfsFile" in far_over.json()["error"]) == (413, True)
    assert sorted(files(served, repo)) == [".gitattributes", "most.txt"]


def raw(served: Any, name: str, *headers: str) -> socket.socket:
    """Open a connection and begin a commit on it."""
    host, port = served.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    start = [
        f"POST /api/models/{name}/commit/main HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {served.tokens['alice']}",
    ]
    connection.sendall("\r\n".join([*start, *headers, "", ""]).encode())
    return connection


def test_a_line_without_end_is_refused_at_the_limit(served: Any) -> None:
    repo = make_repo(served, "alice/endless")
    with raw(served, "alice/endless", f"Content-Length: {10 << 30}") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413"), "by what it says of its length"
    with raw(served, "alice/endless", "Transfer-Encoding: chunked") as connection:
        sent = 0
        with suppress(ConnectionError):  # the Hub hangs up
            while sent < 1 << 30:
                connection.sendall(b"100000\r\n" + b"a" * (1 << 20) + b"\r\n")
                sent += 1 << 20
    assert uploads.LARGEST_BODY - (1 << 20) <= sent <= uploads.LARGEST_BODY + (64 << 20)
    assert wait_until(lambda: not list((served.hub.settings.data / "blobs" / "tmp").iterdir())), "what came is gone"
    assert list(files(served, repo)) == [".gitattributes"]


def wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_client_that_hangs_up_changes_nothing(served: Any) -> None:
    repo = make_repo(served, "alice/hung")
    body = HEADER + file("a", b"a")
    with raw(served, "alice/hung", f"Content-Length: {len(body) + 100}") as connection:
        connection.sendall(body)
    post(served, "alice/hung", HEADER, file("b", b"b"))
    assert sorted(files(served, repo)) == [".gitattributes", "b"]


def test_large_files_of_others_cannot_be_named(served: Any) -> None:
    secret = b"weights of a private cohort"
    make_repo(served, "alice/secret")
    mine = make_repo(served, "bob/mine", who="bob")
    with served.client("alice") as alice:
        send(alice, "alice/secret", secret)
    named = line("lfsFile", path="w.bin", algo="sha256", oid=sha256(secret), size=len(secret))
    absent = line("lfsFile", path="w.bin", algo="sha256", oid="0" * 64, size=1)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(secret)}\nsize {len(secret)}\n".encode()
    answers = [post(served, "bob/mine", HEADER, one, who="bob") for one in (named, absent, file("w.bin", pointer))]
    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("LFS pointer pointed to a file that does not exist")
    assert list(files(served, mine)) == [".gitattributes"]
    with served.client("bob") as bob:
        send(bob, "bob/mine", secret)
    wrong = line("lfsFile", path="w.bin", algo="sha256", oid=sha256(secret), size=1)
    assert "is said to have 1 bytes" in post(served, "bob/mine", HEADER, wrong, who="bob").json()["error"]
    assert post(served, "bob/mine", HEADER, named, who="bob").status_code == 200


def test_preupload(served: Any) -> None:
    repo = make_repo(served, "alice/pre")
    with served.client() as client:
        send(client, "alice/pre", LARGE)
    post(served, "alice/pre", HEADER, file("a.txt", b"text"), file("d/x", b"x"), file(".gitignore", b"*.tmp\n"),
         line("lfsFile", path="w.safetensors", algo="sha256", oid=sha256(LARGE), size=len(LARGE)))  # fmt: skip
    text = "ä".encode() * 300
    plans = preupload(
        served, "alice/pre",
        ("a.txt", b"text", 4), ("b.txt", text[:511], 600), ("c.dat", b"a\0b", 3), ("e.dat", b"\xff\xfe", 2),
        ("empty.bin", b"", 0), ("big.txt", b"t" * 512, LARGEST_REGULAR + 1), ("at.txt", b"t" * 512, LARGEST_REGULAR),
        ("w.safetensors", LARGE, 100_000),
        ("t.parquet", b"text", 4), ("x.tmp", b"t", 1), ("d", b"d", 1),
    ).json()["files"]  # fmt: skip
    git = served.hub.git.open(repo.id)
    assert {plan["path"]: (plan["uploadMode"], plan["shouldIgnore"], plan.get("oid")) for plan in plans} == {
        "a.txt": ("regular", False, git.entry(head(served, repo), "a.txt").oid),
        "b.txt": ("regular", False, None),
        "c.dat": ("lfs", False, None),
        "e.dat": ("lfs", False, None),
        "empty.bin": ("regular", False, None),
        "big.txt": ("lfs", False, None),
        "at.txt": ("regular", False, None),
        "w.safetensors": ("lfs", False, sha256(LARGE)),
        "t.parquet": ("lfs", False, None),
        "x.tmp": ("regular", True, None),
        "d": ("regular", False, None),
    }
    (given,) = preupload(served, "alice/pre", ("x.tmp", b"t", 1), gitIgnore="*.txt").json()["files"]
    assert given["shouldIgnore"] is False, "the request's own .gitignore comes first"


@pytest.mark.parametrize(
    "body",
    [{}, {"files": 1}, {"files": [1]}, {"files": [{"path": 1}]}, {"files": [{"path": "a", "size": "1", "sample": ""}]},
     {"files": [{"path": "a", "size": -1, "sample": ""}]}, {"files": [{"path": "a", "size": 1, "sample": "%"}]},
     {"files": [{"path": "a", "size": 1}] * 1001}, []],
)  # fmt: skip
def test_preuploads_that_cannot_be_used(served: Any, bodies: Repo, body: Any) -> None:
    with served.client() as client:
        answer = client.post("/api/models/alice/bodies/preupload/main", json=body)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)


def test_rights(served: Any) -> None:
    make_repo(served, "alice/private")
    make_repo(served, "alice/public", visibility="public")
    make_repo(served, "radiology/model")
    put = [HEADER, file("a", b"a")]
    for name in ("alice/private", "alice/gone"):
        for query in ({}, {"create_pr": 1}):
            assert post(served, name, *put, who=None, **query).status_code == 401
            hidden = post(served, name, *put, who="bob", **query)
            assert (hidden.status_code, hidden.headers["X-Error-Code"]) == (404, "RepoNotFound")
        assert preupload(served, name, ("a", b"a", 1), who=None).status_code == 401
        assert preupload(served, name, ("a", b"a", 1), who="bob").headers["X-Error-Code"] == "RepoNotFound"
    for name, who in (("alice/public", "bob"), ("alice/public", "carol"), ("radiology/model", "bob")):
        assert post(served, name, *put, who=who).status_code == 403
        assert preupload(served, name, ("a", b"a", 1), who=who).status_code == 403
    assert post(served, "alice/public", *put, who="carol", create_pr=1).status_code == 403, "her token only reads"


def test_pull_request_of_a_reader(served: Any) -> None:
    repo = make_repo(served, "alice/open", visibility="public")
    main = head(served, repo)
    assert preupload(served, "alice/open", ("a", b"a", 1), who="bob", revision="main?create_pr=1").status_code == 200
    landed = served.api("bob").upload_file(
        path_or_fileobj=b"text", path_in_repo="a.txt", repo_id="alice/open", create_pr=True, commit_message="Add a text"
    )
    assert (landed.pr_url, landed.pr_revision) == (f"{served.url}/alice/open/discussions/1", "refs/pr/1")
    assert (head(served, repo), head(served, repo, "refs/pr/1")) == (main, landed.oid)
    details = served.api("bob").get_discussion_details("alice/open", 1)
    assert (details.status, details.title, details.target_branch) == ("open", "Add a text", "refs/heads/main")
    assert [event.oid for event in details.events if event.type == "commit"] == [landed.oid]
    more = post(served, "alice/open", HEADER, file("b.txt", b"more"), who="bob", revision="refs%2Fpr%2F1")
    assert (more.status_code, "b.txt" in files(served, repo, "refs/pr/1")) == (200, True), "its author goes on"
    assert post(served, "alice/open", HEADER, file("c", b""), revision="refs%2Fpr%2F1").status_code == 200, (
        "so may who writes"
    )
    assert post(served, "alice/open", HEADER, file("d", b""), who="root", revision="refs%2Fpr%2F1").status_code == 200
    served.api("alice").merge_pull_request("alice/open", 1)
    late = post(served, "alice/open", HEADER, file("e", b"e"), who="bob", revision="refs%2Fpr%2F1")
    assert (late.status_code, "is merged; open another one" in late.json()["error"]) == (409, True)
    assert "b.txt" in files(served, repo)


def test_a_refused_commit_leaves_no_pull_request(served: Any) -> None:
    repo = make_repo(served, "alice/refused", visibility="public")
    for last in (line("deletedFile", path="gone"), file("a.pkl", b""), line("lfsFile", path="a", oid="0" * 64)):
        assert post(served, "alice/refused", HEADER, file("a", b"a"), last, who="bob", create_pr=1).status_code in {
            400,
            404,
        }
    stale = line("header", summary="stale", parentCommit="0" * 40)
    assert post(served, "alice/refused", stale, file("a", b"a"), who="bob", create_pr=1).status_code == 412
    assert list(served.api("alice").get_repo_discussions("alice/refused")) == []
    assert served.hub.git.open(repo.id).pulls() == {}


def test_pickles_are_refused(served: Any) -> None:
    repo = make_repo(served, "alice/pickles")
    pickled = pickle.dumps({"weights": list(range(1000))})
    archive = b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0archive/data.pkl" + bytes(1000)
    for path, data in (("model.pt", b"x"), ("m.bin", pickled), ("w.bin", archive), ("training_args.bin", archive)):
        plan = preupload(served, "alice/pickles", (path, data, len(data)))
        assert (plan.status_code, "run code on the machine" in plan.json()["error"]) == (400, True)
        assert post(served, "alice/pickles", HEADER, file(path, data)).status_code == 400
        with served.client() as client:
            send(client, "alice/pickles", data)
        large = line("lfsFile", path=path, algo="sha256", oid=sha256(data), size=len(data))
        assert post(served, "alice/pickles", HEADER, large).status_code == 400, "by what was uploaded"
    assert "delete it" in plan.json()["error"]
    late = b"PK\x03\x04" + bytes(100_000) + b"PK\x01\x02archive/data.pkl" + bytes(50)
    with served.client() as client:
        send(client, "alice/pickles", late)
    large = line("lfsFile", path="late.bin", algo="sha256", oid=sha256(late), size=len(late))
    assert post(served, "alice/pickles", HEADER, large).status_code == 400, "by the list at the archive's end"
    with pytest.raises(BadRequestError, match="safetensors"):
        served.api().upload_file(path_or_fileobj=pickled, path_in_repo="m.pkl", repo_id="alice/pickles")
    assert list(files(served, repo)) == [".gitattributes"]
    assert preupload(served, "alice/pickles", ("noise.bin", LARGE, len(LARGE))).status_code == 200
    assert preupload(served, "alice/pickles", ("a.pkl", b"", 0), gitIgnore="*.pkl").status_code == 200, "it is not sent"


def test_card_validation_is_open_to_all(served: Any) -> None:
    with served.client(None) as stranger:
        empty = stranger.post("/api/validate-yaml", json={"content": "# Hello", "repoType": "model"})
        assert (empty.status_code, empty.json()["errors"]) == (200, [])
        assert {"message": "empty or missing yaml metadata in repo card"} in empty.json()["warnings"]
        broken = stranger.post("/api/validate-yaml", json={"content": "---\nlicense: [\n---\n", "repoType": "model"})
        assert (broken.status_code, "not YAML" in broken.json()["errors"][0]["message"]) == (400, True)
        assert stranger.post("/api/validate-yaml", json={"content": 1}).status_code == 400
        assert stranger.post("/api/validate-yaml", json={"content": "", "repoType": "kernel"}).status_code == 400
        assert stranger.post("/api/validate-yaml", json={"content": "x" * (5 << 20)}).status_code == 413


def test_client_reports_what_a_card_lacks(served: Any) -> None:
    make_repo(served, "alice/card")
    upload = partial(served.api().upload_file, path_in_repo="README.md", repo_id="alice/card")
    with pytest.warns(UserWarning, match="names no licence"), pytest.raises(ValueError, match="Invalid metadata"):
        upload(path_or_fileobj=b"---\ntags: 1\n---\n")
    with pytest.warns(UserWarning, match="empty or missing yaml metadata in repo card"):
        upload(path_or_fileobj=b"# Hello")


def test_audit_and_links(served: Any) -> None:
    repo = make_repo(served, "alice/audited")
    with served.client() as client:
        send(client, "alice/audited", LARGE)
    large = line("lfsFile", path="w.bin", algo="sha256", oid=sha256(LARGE), size=len(LARGE))
    sha = post(served, "alice/audited", HEADER, file("a.txt", b"12345"), large).json()["commitOid"]
    post(served, "alice/audited", HEADER, file("b.pkl", b"x"))
    with served.hub.database.read() as session:
        lines = session.query(AuditRecord).filter_by(repo="model alice/audited", action="commit.create").all()
        row = session.get_one(Repo, repo.id)
    assert [(line.actor, line.commit, line.bytes, line.note) for line in lines] == [
        ("alice", sha, len(LARGE) + 5, "refs/heads/main")
    ]
    assert (row.dirty, row.indexed, row.storage > len(LARGE)) == (0, sha, True)
