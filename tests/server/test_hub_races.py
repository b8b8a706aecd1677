"""Two at once: one lands and the other is told so, or both land. Nothing is ever lost, on one server or on two."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from medhub.server import accounts
from medhub.server.fsck import find_faults, orphans
from medhub.server.hub import open_hub
from medhub.server.serve import running

ROUNDS = 8


@pytest.fixture(scope="module")
def clients(served: Any) -> Iterator[list[httpx.Client]]:
    """Four clients of two users, in turn at two servers of one data folder."""
    with served.hub.database.write() as session:
        org = accounts.get_account(session, "radiology")
        accounts.set_role(session, org, accounts.get_account(session, "bob"), "admin")
    second = open_hub(served.hub.settings)
    with running(second) as url, ExitStack() as stack:
        both = [served, replace(served, hub=second, url=url)]
        found = [place.client(who) for place, who in zip(both * 2, ["alice", "bob", "bob", "alice"], strict=True)]
        for client in found:  # the first request makes a server build its routes
            stack.enter_context(client).get("/no/such/page/anywhere")
        yield found
    second.database.close()


@pytest.fixture(autouse=True)
def whole(served: Any) -> Iterator[None]:
    """After each test the Hub is in order."""
    yield
    assert list(find_faults(served.hub, deep=True)) == []


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Call all at the same moment; return what they return, in their order."""
    start = threading.Barrier(len(calls))

    def call(function: Callable[[], Any]) -> Any:
        start.wait()
        return function()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call, function) for function in calls]]


def commit(client: httpx.Client, repo: str, files: dict[str, bytes], *, parent: str | None = None) -> httpx.Response:
    lines = [
        {"key": "file", "value": {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}}
        for path, data in files.items()
    ]
    return post_commit(client, repo, *lines, parent=parent)


def post_commit(client: httpx.Client, repo: str, *lines: dict[str, Any], parent: str | None = None) -> httpx.Response:
    header = {"summary": "a commit"} | ({"parentCommit": parent} if parent else {})
    body = "\n".join(map(json.dumps, [{"key": "header", "value": header}, *lines])).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    return client.post(f"/api/models/{repo}/commit/main", content=body, headers=headers)


def upload(client: httpx.Client, repo: str, data: bytes) -> int:
    """Send a large file through LFS; return the status that ends it."""
    item = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
    ask = {"operation": "upload", "transfers": ["basic"], "objects": [item]}
    headers = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
    answer = client.post(f"/{repo}.git/info/lfs/objects/batch", json=ask, headers=headers)
    [found] = answer.json()["objects"]
    if "actions" not in found:  # another was faster
        return answer.status_code
    return httpx.put(found["actions"]["upload"]["href"], content=data, trust_env=False).status_code


def head(client: httpx.Client, repo: str) -> str:
    return str(client.get(f"/api/models/{repo}/revision/main").json()["sha"])


def history(client: httpx.Client, repo: str) -> list[str]:
    return [one["id"] for one in client.get(f"/api/models/{repo}/commits/main?limit=1000").json()]


def read(client: httpx.Client, repo: str, path: str) -> bytes | None:
    found = client.get(f"/{repo}/resolve/main/{path}", follow_redirects=True)
    return found.content if found.status_code == 200 else None


def create(client: httpx.Client, name: str) -> httpx.Response:
    return client.post("/api/repos/create", json={"name": name, "organization": "radiology"})


def test_commits_of_different_files_all_land(clients: list[httpx.Client]) -> None:
    repo = "radiology/different"
    assert create(clients[0], "different").status_code == 200
    for turn in range(ROUNDS):
        files = [{f"{turn}-{number}.txt": f"{turn} {number}".encode()} for number in range(4)]
        answers = together(*(partial(commit, client, repo, file) for client, file in zip(clients, files, strict=True)))
        assert {answer.status_code for answer in answers} == {200}
        log = history(clients[0], repo)
        for client, file, answer in zip(clients, files, answers, strict=True):
            assert answer.json()["commitOid"] in log
            [(path, data)] = file.items()
            assert read(client, repo, path) == data


def test_of_commits_with_one_parent_one_lands(clients: list[httpx.Client]) -> None:
    repo = "radiology/parent"
    assert create(clients[0], "parent").status_code == 200
    for turn in range(ROUNDS):
        parent = head(clients[0], repo)
        answers = together(
            *(partial(commit, client, repo, {f"{turn}-{number}": b"x"}, parent=parent)
              for number, client in enumerate(clients))
        )  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        for number, answer in enumerate(answers):
            landed = answer.status_code == 200
            assert (read(clients[0], repo, f"{turn}-{number}") == b"x") is landed
            assert landed or answer.json()["error"].startswith("The branch was updated since you opened this page.")


def test_commits_of_one_file_all_stay_in_the_history(clients: list[httpx.Client]) -> None:
    repo = "radiology/same"
    assert create(clients[0], "same").status_code == 200
    for turn in range(ROUNDS):
        answers = together(
            *(partial(commit, client, repo, {"file": f"{turn} {number}".encode()})
              for number, client in enumerate(clients))
        )  # fmt: skip
        assert {answer.status_code for answer in answers} == {200}
        shas = [answer.json()["commitOid"] for answer in answers]
        log = history(clients[0], repo)
        assert set(shas) <= set(log)
        last = min(range(4), key=lambda number: log.index(shas[number]))
        assert read(clients[0], repo, "file") == f"{turn} {last}".encode()


def test_of_creations_of_one_repository_one_lands(clients: list[httpx.Client], served: Any) -> None:
    for turn in range(ROUNDS):
        answers = together(*(partial(create, client, f"made-{turn}") for client in clients))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        assert all(answer.json()["url"].endswith(f"/radiology/made-{turn}") for answer in answers)
        assert read(clients[0], f"radiology/made-{turn}", ".gitattributes")
    assert orphans(served.hub) == []


def test_discussions_opened_at_once_have_numbers_of_their_own(clients: list[httpx.Client]) -> None:
    assert create(clients[0], "talk").status_code == 200
    url = "/api/models/radiology/talk/discussions"
    numbers = []
    for turn in range(ROUNDS):
        body = {"title": "a question", "description": "what is it?", "pullRequest": turn % 2 == 0}
        answers = together(*(partial(client.post, url, json=body) for client in clients))
        numbers += [answer.json()["num"] for answer in answers]
    assert sorted(numbers) == list(range(1, ROUNDS * 4 + 1))


def test_one_branch_is_made_once(clients: list[httpx.Client]) -> None:
    assert create(clients[0], "branches").status_code == 200
    for turn in range(ROUNDS):
        url = f"/api/models/radiology/branches/branch/b{turn}"
        answers = together(*(partial(client.post, url, json={}) for client in clients))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


def test_a_commit_and_the_deletion_of_its_repository(clients: list[httpx.Client]) -> None:
    for turn in range(ROUNDS):
        assert create(clients[0], f"gone-{turn}").status_code == 200
        repo, body = f"radiology/gone-{turn}", {"name": f"gone-{turn}", "organization": "radiology"}
        landed, deleted = together(
            partial(commit, clients[1], repo, {"file": b"x"}),
            partial(clients[0].request, "DELETE", "/api/repos/delete", json=body),
        )
        assert deleted.status_code == 200
        assert landed.status_code in {200, 404}
        assert clients[0].get(f"/api/models/{repo}").status_code == 404
        assert create(clients[0], f"gone-{turn}").status_code == 200
        assert read(clients[0], repo, "file") is None


def test_a_commit_and_the_renaming_of_its_repository(clients: list[httpx.Client]) -> None:
    for turn in range(ROUNDS):
        assert create(clients[0], f"old-{turn}").status_code == 200
        old, new = f"radiology/old-{turn}", f"radiology/new-{turn}"
        landed, moved = together(
            partial(commit, clients[1], old, {"file": b"x"}),
            partial(clients[0].post, "/api/repos/move", json={"fromRepo": old, "toRepo": new, "type": "model"}),
        )
        assert moved.status_code == 200
        assert landed.status_code in {200, 307}
        assert (read(clients[0], new, "file") == b"x") is (landed.status_code == 200)
        assert read(clients[0], old, ".gitattributes") == read(clients[0], new, ".gitattributes")


def test_the_same_large_file_at_once(clients: list[httpx.Client]) -> None:
    assert create(clients[0], "large").status_code == 200
    for turn in range(ROUNDS):
        data = f"{turn}".encode() * 200_000
        assert together(*(partial(upload, client, "radiology/large", data) for client in clients)) == [200] * 4
        line = {"path": f"{turn}.bin", "algo": "sha256", "oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        assert post_commit(clients[0], "radiology/large", {"key": "lfsFile", "value": line}).status_code == 200
        assert read(clients[1], "radiology/large", f"{turn}.bin") == data


def test_a_merge_and_a_push(clients: list[httpx.Client], served: Any, tmp_path: Path) -> None:
    """A pull request is merged into main while somebody pushes to main."""
    from huggingface_hub import CommitOperationAdd

    assert create(clients[0], "merged").status_code == 200
    repo, url = "radiology/merged", served.url.replace("://", f"://bob:{served.tokens['bob']}@")
    work = tmp_path / "work"
    work.mkdir()

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        who = ("-c", "user.name=Bob", "-c", "user.email=bob@hospital.example", "-c", "credential.helper=")
        return subprocess.run(["git", *who, *words], cwd=work, capture_output=True, text=True, check=False)

    assert git("clone", f"{url}/{repo}", ".").returncode == 0
    api = served.api("alice")
    for turn in range(ROUNDS // 2):
        assert git("pull", "--no-rebase", "--no-edit", "origin", "main").returncode == 0
        (work / f"pushed-{turn}").write_text("x")
        assert git("add", ".").returncode == 0
        assert git("commit", "-m", "pushed").returncode == 0
        asked = CommitOperationAdd(f"merged-{turn}", b"x")
        request = api.create_commit(repo, [asked], commit_message="asked", create_pr=True).pr_num
        merged, pushed = together(
            partial(clients[0].post, f"/api/models/{repo}/discussions/{request}/merge", json={}),
            partial(git, "push", "origin", "HEAD:main"),
        )
        assert merged.status_code == 200
        assert read(clients[0], repo, f"merged-{turn}") == b"x"
        assert (read(clients[0], repo, f"pushed-{turn}") == b"x") is (pushed.returncode == 0)
        if pushed.returncode:
            assert "rejected" in pushed.stderr
