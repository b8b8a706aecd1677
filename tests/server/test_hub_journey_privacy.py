"""A private repository by every route there is: for others it answers exactly as one that does not exist."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from medhub.server.app import create_app
from medhub.server.demos import Demos

WEIGHTS = random.Random(11).randbytes(2_000_000)


@pytest.fixture(scope="module")
def private(served) -> Iterator[dict[str, str]]:
    """A private model of alice's with one file of each kind, a branch, a tag and a pull request."""
    api = served.api("alice")
    api.create_repo("alice/secret")
    api.upload_file(repo_id="alice/secret", path_or_fileobj=WEIGHTS, path_in_repo="w.safetensors")
    commit = api.upload_file(repo_id="alice/secret", path_or_fileobj=b"text", path_in_repo="a.txt")
    api.upload_file(repo_id="alice/secret", path_or_fileobj=b"text", path_in_repo="b.txt", create_pr=True)
    api.create_tag("alice/secret", tag="v1")
    entry = api.get_paths_info("alice/secret", ["w.safetensors"])[0]
    return {"sha": commit.oid, "oid": entry.lfs.sha256, "xet": entry.xet_hash}


@pytest.fixture
def bob(served) -> Iterator[httpx.Client]:
    with served.client("bob") as client:
        yield client


def answers(client: httpx.Client, name: str, facts: dict[str, str]) -> dict[str, tuple[int, str, str | None]]:
    """Ask every route of a repository, and return what each answered, with the name taken out."""
    api, git = f"/api/models/alice/{name}", f"/alice/{name}.git"
    commit = '{"key":"header","value":{"summary":"x"}}\n{"key":"deletedFile","value":{"path":"a.txt"}}'
    batch = {"operation": "download", "transfers": ["basic"], "objects": [{"oid": facts["oid"], "size": len(WEIGHTS)}]}
    lfs = {"Accept": "application/vnd.git-lfs+json"}
    asked = {
        "GET": [
            api, f"{api}/revision/main", f"{api}/tree/main", f"{api}/tree/{facts['sha']}/", f"{api}/refs",
            f"{api}/commits/main", f"{api}/auth-check", f"{api}/auth-check/write", f"{api}/discussions",
            f"{api}/discussions/1", f"{api}/xet-read-token/main", f"{api}/xet-write-token/main",
            f"{api}/lfs-files", f"{api}/likers",
            f"{api}/user-access-request/pending", f"/alice/{name}/resolve/main/a.txt",
            f"/alice/{name}/resolve/{facts['sha']}/w.safetensors", f"/alice/{name}/raw/main/a.txt",
            f"{git}/info/refs?service=git-upload-pack", f"{git}/info/refs?service=git-receive-pack",
        ],
        "POST": [
            f"{api}/paths-info/main", f"{api}/preupload/main", f"{api}/commit/main", f"{api}/commit/main?create_pr=1",
            f"{api}/branch/next", f"{api}/tag/main", f"{api}/discussions", f"{api}/discussions/1/comment",
            f"{api}/discussions/1/merge", f"{api}/duplicate", f"{api}/super-squash/main", f"{api}/lfs-files/batch",
            f"{api}/lfs-files/duplicate", f"{api}/like", f"{api}/ask-access", f"{git}/info/lfs/objects/batch",
            f"{git}/info/lfs/verify", f"{git}/git-upload-pack", f"{git}/git-receive-pack",
        ],
        "PUT": [f"{api}/settings"],
        "DELETE": [f"{api}/branch/main", f"{api}/tag/v1", f"{api}/like"],
    }  # fmt: skip
    bodies = {
        f"{api}/preupload/main": {"files": [{"path": "a", "size": 1, "sample": "YQ=="}]},
        f"{api}/tag/main": {"tag": "x"},
        f"{api}/discussions": {"title": "hello", "description": "", "pullRequest": False},
        f"{api}/discussions/1/comment": {"comment": "x"}, f"{api}/duplicate": {"repository": "bob/taken"},
        f"{api}/paths-info/main": {"paths": ["a.txt"]},
        f"{api}/lfs-files/batch": {"deletions": {"sha": [facts["oid"]]}},
        f"{api}/lfs-files/duplicate": {"target": {"type": "model", "name": "bob/x"}, "files": []},
        f"{git}/info/lfs/objects/batch": batch, f"{git}/info/lfs/verify": batch["objects"][0],
        f"{api}/settings": {"visibility": "public"}, f"{api}/super-squash/main": {"message": "x"},
        f"{api}/branch/next": {},
    }  # fmt: skip
    found = {}
    for method, paths in asked.items():
        for path in paths:
            content = commit if "/commit/" in path else json.dumps(bodies.get(path, {}))
            headers = lfs if "/lfs/" in path else {"Content-Type": "application/json"}
            answer = client.request(method, path, content=content if method != "GET" else None, headers=headers)
            text = answer.text.replace(name, "NAME")
            found[f"{method} {path.replace(name, 'NAME')}"] = (
                answer.status_code,
                text,
                answer.headers.get("X-Error-Code"),
            )
    return found


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_looks_like_missing(served, private: dict[str, str], who: str | None) -> None:
    with served.client(who) as client:
        there, absent = (answers(client, name, private) for name in ("secret", "absent"))
    assert there == absent
    for route, (status, text, _) in there.items():
        assert status in (401, 403, 404), (route, status, text)


def test_the_owner_is_not_locked_out_by_the_same_questions(served, private: dict[str, str]) -> None:
    with served.client("alice") as client:
        assert client.get("/api/models/alice/secret").status_code == 200
        assert client.get("/alice/secret/resolve/main/a.txt").text == "text"


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_lists_and_counts_do_not_tell(served, private: dict[str, str], who: str | None) -> None:
    with served.client(who) as client:
        for path in (
            "/api/models?author=alice", "/api/models?search=secret", "/api/models?filter=safetensors",
            "/api/users/alice/likes", "/api/users/alice/overview", "/?search=secret", "/models?search=secret", "/alice",
            "/api/models-tags-by-type",
        ):  # fmt: skip
            answer = client.get(path)
            assert "alice/secret" not in answer.text, path
            if path == "/api/users/alice/overview" and answer.status_code == 200:
                assert answer.json()["numModels"] == 0


def test_naming_content_is_no_key(served, bob: httpx.Client, private: dict[str, str]) -> None:
    """A commit, an LFS batch, a pointer copy and a Xet reconstruction by hash alone get nothing of another's file."""
    served.api("bob").create_repo("bob/mine", exist_ok=True)
    line = {"key": "lfsFile", "value": {"path": "w", "algo": "sha256", "oid": private["oid"], "size": len(WEIGHTS)}}
    body = "\n".join(json.dumps(part) for part in ({"key": "header", "value": {"summary": "x"}}, line))
    answer = bob.post(
        "/api/models/bob/mine/commit/main", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 400
    assert "does not exist" in answer.json()["error"]
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": private["oid"], "size": len(WEIGHTS)}]}
    answer = bob.post("/bob/mine.git/info/lfs/objects/batch", json=batch)
    assert "upload" in answer.json()["objects"][0]["actions"], "as if nobody had it"
    answer = bob.post("/bob/mine.git/info/lfs/objects/batch", json=batch | {"operation": "download"})
    assert answer.json()["objects"][0]["error"]["code"] == 404
    token = bob.get("/api/models/bob/mine/xet-read-token/main").json()
    headers = {"Authorization": f"Bearer {token['accessToken']}"}
    for version in ("v1", "v2"):
        answer = httpx.get(
            f"{token['casUrl']}/{version}/reconstructions/{private['xet']}", headers=headers, trust_env=False
        )
        assert answer.status_code == 404, answer.text
    copy = {
        "target": {"type": "model", "name": "bob/mine"},
        "files": [{"xetHash": private["xet"], "sha256": private["oid"], "filename": "w"}],
    }
    assert bob.post("/api/models/alice/secret/lfs-files/duplicate", json=copy).status_code == 404


def every_route(app: Any) -> Iterator[APIRoute]:
    """Yield the routes behind the middleware, and behind routers in routers."""
    while not hasattr(app, "routes"):
        app = app.app
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from every_route(route.original_router)


def test_no_route_answers_a_stranger_with_content(served, private: dict[str, str]) -> None:
    """Whatever routes there are: given the private repository's facts, none answers a stranger with its bytes."""
    values = {
        "kind": "models", "namespace": "alice", "name": "secret", "revision": "main", "path": "a.txt", "branch": "main",
        "tag": "v1", "number": "1", "num": "1", "sha": private["sha"], "hash": private["xet"], "account": "alice",
        "user": "alice",
    }  # fmt: skip
    routes = [route for route in every_route(create_app(served.hub, Demos(served.hub))) if "GET" in route.methods]
    assert len(routes) > 50
    with served.client(None) as client:
        for route in routes:
            fill = {name: values.get(name, "x") for name in route.param_convertors}
            path = (
                route.path_format.replace("/{kind}{", "/{").format(**fill)
                if "{kind}{" in route.path_format
                else route.path_format.format(**fill)
            )
            answer = client.get(path)
            assert answer.text != "text", path
            for secret in (base64.b64encode(WEIGHTS[:30]).decode(), private["oid"], private["sha"]):
                assert secret not in answer.text, path
