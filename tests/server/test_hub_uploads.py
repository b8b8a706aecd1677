"""Uploads over HTTP: what goes where, the commit's body and its limits, the answers that clients read."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError
from lfs_client import make_repo, send, sha256

from medhub.server.tables import Repo

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


def post(served: Any, name: str, *lines: bytes, who: str = "alice", revision: str = "main", **query: Any) -> httpx.Response:
    with served.client(who) as client:
        return client.post(
            f"/api/models/{name}/commit/{revision}", content=b"".join(lines), params=query,
            headers={"Content-Type": "application/x-ndjson"},
        )  # fmt: skip


def preupload(served: Any, name: str, *asked: tuple[str, bytes, int], who: str = "alice", revision: str = "main", **more: Any) -> Any:
    body = {
        "files": [
            {"path": path, "sample": base64.b64encode(sample[:512]).decode(), "size": size} for path, sample, size in asked
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
    post(served, "alice/client", HEADER, line("lfsFile", path="w.bin", algo="sha256", oid=sha256(LARGE), size=len(LARGE)))
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
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist: w.bin"):
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
    assert post(served, "alice/revisions", HEADER, file("y", b"y"), revision="refs%2Fheads%2Fdev%2Fx").status_code == 200
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
        ([HEADER, line("lfsFile", path="a", algo="sha256", oid="0" * 64, size=1)], "LFS pointer pointed to a file that does not"),
    ],
)
def test_bodies_that_cannot_be_used(served: Any, bodies: Repo, lines: list[bytes], said: str) -> None:
    answer = post(served, "alice/bodies", *lines)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    assert list(files(served, bodies)) == [".gitattributes"]
