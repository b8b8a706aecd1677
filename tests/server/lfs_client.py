"""git-lfs's protocol in plain HTTP, for what no client does, and repositories to try it on."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

from medhub.server import repositories
from medhub.server.access import Principal
from medhub.server.accounts import authenticate
from medhub.server.storage.git import Author, Put, PutPointer
from medhub.server.tables import Repo

ALICE = Author("alice", "alice@hospital.example")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def principal(served: Any, who: str = "alice") -> Principal:
    with served.hub.database.read() as session:
        return authenticate(session, served.tokens[who])


def make_repo(
    served: Any, full_name: str, *, who: str = "alice", visibility: str = "private", kind: str = "model"
) -> Repo:
    namespace, name = full_name.split("/")
    return repositories.create(
        served.hub, principal(served, who), kind=kind, namespace=namespace, name=name, visibility=visibility
    )


def commit(
    served: Any, repo: Repo, files: dict[str, bytes], *, large: bool = False, ref: str = "refs/heads/main"
) -> str:
    """Commit files behind the API's back, as pointers where they are `large`; return the commit."""
    changes = [PutPointer(path, sha256(data), len(data)) if large else Put(path, data) for path, data in files.items()]
    return served.hub.git.open(repo.id).commit(ref, changes, parent=None, author=ALICE, message="test")


def ask(
    client: httpx.Client, full_name: str, *objects: tuple[str, int], operation: str = "upload", **more: Any
) -> dict[str, Any]:
    """Ask the batch endpoint about objects, (oid, size) each; return its answer."""
    body = {"operation": operation, "objects": [{"oid": oid, "size": size} for oid, size in objects], **more}
    answer = client.post(f"/{full_name}.git/info/lfs/objects/batch", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask_for_one(client: httpx.Client, full_name: str, data: bytes, **more: Any) -> dict[str, Any]:
    """Ask the batch endpoint about one object; return what it says of it."""
    (found,) = ask(client, full_name, (sha256(data), len(data)), **more)["objects"]
    return found


def link_for(client: httpx.Client, full_name: str, data: bytes, **more: Any) -> str:
    """Return the signed address to send these bytes to."""
    return ask_for_one(client, full_name, data, **more)["actions"]["upload"]["href"]


def send(client: httpx.Client, full_name: str, data: bytes, **more: Any) -> str:
    """Upload an object in one piece unless the repository has it; return its sha256."""
    if actions := ask_for_one(client, full_name, data, **more).get("actions"):
        assert httpx.put(actions["upload"]["href"], content=data).status_code == 200
    return sha256(data)


def fetch(client: httpx.Client, full_name: str, oid: str) -> bytes | None:
    """Download an object by git-lfs's protocol; None where it is refused."""
    (found,) = ask(client, full_name, (oid, 0), operation="download")["objects"]
    return httpx.get(found["actions"]["download"]["href"]).raise_for_status().content if "actions" in found else None
