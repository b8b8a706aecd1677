"""Xet's transport in plain HTTP, for what no client does, and what the Hub kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import xet_client
from lfs_client import sha256
from sqlalchemy import func, select
from xet_client import AS_IT_IS, Upload

from medhub.server import audit, contents
from medhub.server.tables import Content, Repo
from medhub.server.xet.xorb import decode


def ask_token(
    served: Any, who: str | None, name: str, scope: str, revision: str = "main", **query: Any
) -> httpx.Response:
    with served.client(who) as client:
        return client.get(f"/api/models/{name}/xet-{scope}-token/{revision}", params=query)


def cas(served: Any, who: str | None, name: str, scope: str = "write", **query: Any) -> httpx.Client:
    """Return a client of the address, and with the token, that the Hub gives out."""
    answer = ask_token(served, who, name, scope, **query)
    assert answer.status_code == 200, answer.text
    facts = answer.json()
    assert facts["casUrl"] == answer.headers["X-Xet-Cas-Url"]
    assert (facts["accessToken"], str(facts["exp"])) == (
        answer.headers["X-Xet-Access-Token"], answer.headers["X-Xet-Token-Expiration"],
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {facts['accessToken']}"}
    return httpx.Client(base_url=facts["casUrl"], headers=headers, timeout=60, trust_env=False)


def send_xorbs(client: httpx.Client, upload: Upload) -> None:
    for name, data in upload.xorbs.items():
        assert client.post(f"/v1/xorbs/default/{name}", content=data).status_code == 200


def send_files(served: Any, name: str, files: Sequence[bytes], *, who: str = "alice", scheme: int = AS_IT_IS) -> Upload:
    upload = xet_client.upload(files, scheme)
    with cas(served, who, name) as client:
        send_xorbs(client, upload)
        assert client.post("/v1/shards", content=upload.shard).json() == {"result": 1}
    return upload


def find(served: Any, data: bytes) -> Content | None:
    with served.hub.database.read() as session:
        return contents.find(session, sha256(data))


def linked(served: Any, repo: Repo, data: bytes) -> bool:
    with served.hub.database.read() as session:
        return contents.linked(session, repo.id, sha256(data)) is not None


def count(served: Any, *where: Any) -> int:
    with served.hub.database.read() as session:
        return session.execute(select(func.count()).where(*where)).scalar_one()


def reassemble(found: dict[str, Any], size: int, client: httpx.Client) -> bytes:
    """Do what a client does with the answer to /v2/reconstructions; `client` has no token of its own."""
    chunks: dict[tuple[str, int], bytes] = {}
    for name, fetches in found["xorbs"].items():
        end = -1
        for fetch in fetches:
            (part,) = fetch["ranges"]
            assert part["chunks"]["start"] > end, "the client cannot bear overlaps, and adjoining ranges are one"
            end = part["chunks"]["end"]
            wanted = f"bytes={part['bytes']['start']}-{part['bytes']['end']}"
            answer = client.get(fetch["url"], headers={"Range": wanted})
            assert answer.status_code == 206
            assert answer.headers["Content-Range"].startswith(wanted.replace("=", " "))
            place = 0
            for index in range(part["chunks"]["start"], end):
                packed = int.from_bytes(answer.content[place + 1 : place + 4], "little")
                chunks[name, index] = decode(answer.content[place : place + 8 + packed])
                place += 8 + packed
            assert place == len(answer.content)
    parts = []
    for term in found["terms"]:
        span = range(term["range"]["start"], term["range"]["end"])
        parts.append(b"".join(chunks[term["hash"], index] for index in span))
        assert len(parts[-1]) == term["unpacked_length"]
    return b"".join(parts)[found["offset_into_first_range"] :][:size]


def lines(served: Any, name: str, action: str) -> list[dict[str, Any]]:
    with served.hub.database.read() as session:
        return [line for line in audit.lines(session) if line["repo"] == f"model {name}" and line["action"] == action]


def reads(served: Any, name: str) -> list[dict[str, Any]]:
    return lines(served, name, "file.read")
