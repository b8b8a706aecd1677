"""Large files through Xet, by those who may not, or who say what is not so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
import xet_client
from lfs_client import commit, make_repo, sha256
from xet_client import VERIFIED, WITH_SHA256, Term, pack_file, pack_shard, pack_xorb, split, xorb_hash
from xet_transport import ask_token, cas, count, find, reads, reassemble, send_files, send_xorbs

from medhub.server import accounts
from medhub.server.tables import RepoContent, Token, Xorb

DATA = random.Random(20).randbytes(300_000)


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"anonymous": True}


def test_a_xorb_under_a_wrong_hash(served: Any) -> None:
    make_repo(served, "alice/wrong-hash")
    data = pack_xorb(split(random.Random(11).randbytes(90_000)))
    wrong = {
        "0" * 64: data,
        "nonsense": data,
        "A" * 64: data,
        xorb_hash([b"x"]): b"",
        xorb_hash([b"y"]): b"nothing packed",
    }
    with cas(served, "alice", "alice/wrong-hash") as client:
        for name, body in wrong.items():
            assert client.post(f"/v1/xorbs/default/{name}", content=body).status_code == 400
            assert count(served, Xorb.hash == name) == 0
        too_large = client.post(f"/v1/xorbs/default/{'0' * 64}", content=bytes((72 << 20) + 1))
        assert too_large.status_code == 413
        endless = client.post(f"/v1/xorbs/default/{'0' * 64}", content=(bytes(1 << 20) for _ in range(80)))
        assert endless.status_code == 413, "also where no length is announced"
    assert not list((served.hub.settings.data / "blobs" / "tmp").iterdir())


def chunk_range_out_of_bounds(xorb: Sequence[bytes]) -> bytes:
    # packed as of a longer xorb, then given the hash of the shorter one
    longer = [*xorb, b"more"]
    block = pack_file([Term(longer, 0, len(longer))])
    return block.replace(
        xet_client.hashes.from_string(xorb_hash(longer)), xet_client.hashes.from_string(xorb_hash(xorb))
    )


def wrong_sha256(xorb: Sequence[bytes]) -> bytes:
    return pack_file([Term(xorb, 0, len(xorb))])[:-48] + xet_client.hashes.from_string("0" * 64) + bytes(16)


def wrong_hash(xorb: Sequence[bytes]) -> bytes:
    return bytes(32) + pack_file([Term(xorb, 0, len(xorb))])[32:]


def without_sha256(xorb: Sequence[bytes]) -> bytes:
    return pack_file([Term(xorb, 0, len(xorb))], VERIFIED)


def without_proof(xorb: Sequence[bytes]) -> bytes:
    return pack_file([Term(xorb, 0, len(xorb))], WITH_SHA256)


@pytest.mark.parametrize("fault", [chunk_range_out_of_bounds, wrong_sha256, wrong_hash, without_sha256, without_proof])
def test_a_shard_that_is_not_true(served: Any, fault: Callable[[Sequence[bytes]], bytes]) -> None:
    """It is refused as a whole, with the good file that it names beside the bad."""
    repo = make_repo(served, f"alice/untrue-{fault.__name__}")
    data = random.Random(12).randbytes(200_000)
    xorb = split(data)
    with cas(served, "alice", repo.full_name) as client:
        client.post(f"/v1/xorbs/default/{xorb_hash(xorb)}", content=pack_xorb(xorb)).raise_for_status()
        good = pack_file([Term(xorb, 0, 1)])
        answer = client.post("/v1/shards", content=pack_shard([good, fault(xorb)]))
        assert answer.status_code == 400
        assert answer.json()["error"]
        (event,) = map(json.loads, client.post("/v2/shards", content=pack_shard([good, fault(xorb)])).text.splitlines())
        assert event == {"type": "error", "message": answer.json()["error"], "retryable": False}
    assert count(served, RepoContent.repo_id == repo.id) == 0
    assert find(served, xorb[0]) is None
    assert find(served, data) is None


def test_a_strangers_xorb(served: Any) -> None:
    """Who knows a xorb's hashes, but may not read it, is told what is said of one that does not exist."""
    make_repo(served, "bob/mine", who="bob")
    make_repo(served, "alice/thief")
    data = random.Random(13).randbytes(200_000)
    upload = send_files(served, "bob/mine", [data], who="bob")
    absent = xet_client.upload([random.Random(14).randbytes(200_000)])
    with cas(served, "alice", "alice/thief") as client:
        answers = []
        for one in (upload, absent):
            answer = client.post("/v1/shards", content=one.shard)
            text = answer.text.replace(next(iter(one.xorbs)), "X").replace(one.hashes[0], "F")
            answers.append((answer.status_code, text))
        assert answers[0] == answers[1]
        assert answers[0][0] == 400
        with served.client("bob") as bob:
            bob.put("/api/models/bob/mine/settings", json={"visibility": "public"}).raise_for_status()
        assert client.post("/v1/shards", content=upload.shard).json() == {"result": 1}, "what she may read, she may use"


def test_a_token_does_one_thing_in_one_repository(served: Any) -> None:
    make_repo(served, "alice/a")
    make_repo(served, "alice/b")
    upload = send_files(served, "alice/a", [DATA])
    name, ((xorb, data),) = upload.hashes[0], upload.xorbs.items()
    with cas(served, "alice", "alice/b", "read") as other, cas(served, "alice", "alice/b") as writing:
        foreign, unknown = (other.get(f"/v2/reconstructions/{one}") for one in (name, "0" * 64))
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.text.replace(name, "") == unknown.text.replace("0" * 64, "")
        assert other.post(f"/v1/xorbs/default/{xorb}", content=data).status_code == 401
        assert other.post("/v1/shards", content=upload.shard).status_code == 401
        assert other.post("/v2/shards", content=upload.shard).status_code == 401
        assert writing.get(f"/v2/reconstructions/{name}").status_code == 401
    with cas(served, "alice", "alice/a", "read") as client:
        url = client.get(f"/v2/reconstructions/{name}").json()["xorbs"][xorb][0]["url"]
        signed = client.headers["Authorization"].removeprefix("Bearer ")
        assert httpx.get(f"{served.url}/xet/data/{signed}").status_code == 403, "a token is no link"
        client.headers["Authorization"] = f"Bearer {url.rpartition('/')[2]}"
        assert client.get(f"/v2/reconstructions/{name}").status_code == 401, "and a link no token"
        client.headers["Authorization"] = f"Bearer {served.tokens['alice']}"
        assert client.get(f"/v2/reconstructions/{name}").status_code == 401, "nor is an ordinary token"
        del client.headers["Authorization"]
        assert client.get(f"/v2/reconstructions/{name}").status_code == 401


def test_a_link_to_bytes(served: Any) -> None:
    repo = make_repo(served, "alice/link")
    data = random.Random(15).randbytes(400_000)
    other = random.Random(16).randbytes(100_000)
    upload = send_files(served, "alice/link", [data, other])
    xorb = next(iter(upload.xorbs))
    with cas(served, "alice", "alice/link", "read") as client:
        found = client.get(f"/v2/reconstructions/{upload.hashes[0]}", headers={"Range": "bytes=100000-200000"}).json()
    ((fetch,),) = found["xorbs"].values()
    first, last = fetch["ranges"][0]["bytes"].values()
    assert first > 0

    def ask(wanted: str | None, url: str = fetch["url"]) -> httpx.Response:
        return httpx.get(url, headers={"Range": wanted} if wanted else {}, trust_env=False)

    packed = upload.xorbs[xorb]
    assert ask(f"bytes={first}-{last}").content == ask(None).content == packed[first : last + 1]
    assert ask(f"bytes={first + 5}-{first + 9}").content == packed[first + 5 : first + 10]
    for wanted in (
        f"bytes={first - 1}-{last}",
        f"bytes={first}-{last + 1}",
        f"bytes={first}-",
        "bytes=0-5",
        "bytes=-9",
    ):
        assert ask(wanted).status_code == 403, wanted
    assert ask(f"bytes={10**9}-").status_code == 416
    content, _, mac = fetch["url"].rpartition("/")[2].partition(".")
    for forged in (f"{content[:-4]}AAAA.{mac}", f"{content}.{mac[:-4]}AAAA", content, "x", "%C3%A4.x"):
        assert ask(None, f"{served.url}/xet/data/{forged}").status_code == 403
    with served.hub.database.write() as session:
        session.delete(session.get(RepoContent, (repo.id, sha256(data))))
        session.delete(session.get(RepoContent, (repo.id, sha256(other))))
    assert ask(None).status_code == 404, "the repository has given it up"


@pytest.fixture
def revocable(served: Any) -> Iterator[tuple[str, str]]:
    """A token of bob's that can be taken away, by the name that served.client knows, and its id."""
    with served.hub.database.write() as session:
        token, secret = accounts.create_token(session, accounts.get_account(session, "bob"), "soon gone", role="write")
    served.tokens["soon"] = secret
    yield "soon", token.id
    del served.tokens["soon"]


def test_revocation_works_at_once(served: Any, revocable: tuple[str, str]) -> None:
    who, token_id = revocable
    make_repo(served, "bob/revoked", who="bob")
    data = random.Random(17).randbytes(200_000)
    upload = send_files(served, "bob/revoked", [data], who=who)
    with cas(served, who, "bob/revoked") as writing, cas(served, who, "bob/revoked", "read") as reading:
        ((fetch,),) = reading.get(f"/v2/reconstructions/{upload.hashes[0]}").json()["xorbs"].values()
        assert httpx.get(fetch["url"]).status_code == 206
        with served.hub.database.write() as session:
            session.delete(session.get(Token, token_id))
        ((name, body),) = upload.xorbs.items()
        assert writing.post(f"/v1/xorbs/default/{name}", content=body).status_code == 401
        assert writing.post("/v1/shards", content=upload.shard).status_code == 401
        assert reading.get(f"/v2/reconstructions/{upload.hashes[0]}").status_code == 401
        assert httpx.get(fetch["url"]).status_code == 401


def test_a_right_that_ends(served: Any) -> None:
    """What the token was given for is looked up again: here, a public repository becomes private."""
    make_repo(served, "alice/closing", visibility="public")
    data = random.Random(18).randbytes(200_000)
    upload = send_files(served, "alice/closing", [data])
    with (
        cas(served, "bob", "alice/closing", create_pr=True) as writing,
        cas(served, "bob", "alice/closing", "read") as reading,
    ):
        ((fetch,),) = reading.get(f"/v2/reconstructions/{upload.hashes[0]}").json()["xorbs"].values()
        send_xorbs(writing, upload)
        with served.client("alice") as alice:
            alice.put("/api/models/alice/closing/settings", json={"visibility": "private"}).raise_for_status()
        ((name, body),) = upload.xorbs.items()
        assert writing.post(f"/v1/xorbs/default/{name}", content=body).status_code == 404
        assert writing.post("/v1/shards", content=upload.shard).status_code == 404
        assert reading.get(f"/v2/reconstructions/{upload.hashes[0]}").status_code == 404
        assert httpx.get(fetch["url"]).status_code == 404


def test_who_gets_a_token(served: Any) -> None:
    make_repo(served, "alice/public", visibility="public")
    make_repo(served, "alice/private")
    make_repo(served, "alice/gated", visibility="public")
    with served.client("alice") as alice:
        alice.put("/api/models/alice/gated/settings", json={"gated": "manual"}).raise_for_status()

    def status(who: str | None, name: str, scope: str, revision: str = "main", **query: Any) -> int:
        return ask_token(served, who, f"alice/{name}", scope, revision, **query).status_code

    assert [status("alice", name, scope) for name in ("public", "private") for scope in ("read", "write")] == [200] * 4
    assert status("alice", "public", "write", "None") == 200
    assert status("alice", "public", "write", "no-branch") == 404
    assert [status("bob", name, "read") for name in ("public", "private", "gated", "absent")] == [200, 404, 403, 404]
    assert [status("bob", name, "write") for name in ("public", "private", "absent")] == [403, 404, 404]
    assert status("bob", "public", "write", create_pr=True) == 200, "for a pull request, who may read may send"
    assert status("bob", "gated", "write", create_pr=True) == 403
    assert status("carol", "public", "write", create_pr=True) == 403, "her token only reads"
    assert [status(None, name, "read") for name in ("public", "private", "gated")] == [200, 401, 401]
    assert status(None, "public", "write", create_pr=True) == 401
    refused = ask_token(served, "bob", "alice/gated", "read")
    assert refused.headers["X-Error-Code"] == "GatedRepo"


def test_a_stranger_reads_what_is_open_to_strangers(served: Any) -> None:
    repo = make_repo(served, "alice/open", visibility="public")
    data = random.Random(19).randbytes(200_000)
    upload = send_files(served, "alice/open", [data])
    commit(served, repo, {"w.bin": data}, large=True)
    with served.client(None) as plain, cas(served, None, "alice/open", "read") as client:
        assert reassemble(client.get(f"/v2/reconstructions/{upload.hashes[0]}").json(), len(data), plain) == data
    (line,) = reads(served, "alice/open")
    assert (line["actor"], line["path"], line["bytes"]) == ("", sha256(data), len(data))
