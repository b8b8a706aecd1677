"""Large files through Xet: with the real client, and with requests that no honest client makes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import xet_client
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples
from lfs_client import commit, make_repo, principal, send, sha256
from sqlalchemy import func, select
from xet_client import (
    AS_IT_IS,
    GROUPED_LZ4,
    LZ4,
    VERIFIED,
    Term,
    Upload,
    pack_file,
    pack_shard,
    pack_xorb,
    split,
    xorb_hash,
)

from medhub.server import accounts, audit, contents, erasure
from medhub.server.tables import Content, ContentXorb, Repo, RepoContent, Token, Xorb, XorbOwner
from medhub.server.xet import registration, store
from medhub.server.xet.xorb import inspect

DATA = random.Random(0).randbytes(700_001)
TEXT = b"".join(b"visit %d of patient %d: stable\n" % (visit % 13, visit * visit % 977) for visit in range(30_000))


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"anonymous": True}


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
            assert part["chunks"]["start"] > end, (
                "the client cannot bear ranges that overlap, and adjoining ones are one"
            )
            end = part["chunks"]["end"]
            wanted = f"bytes={part['bytes']['start']}-{part['bytes']['end']}"
            answer = client.get(fetch["url"], headers={"Range": wanted})
            assert answer.status_code == 206 and answer.headers["Content-Range"].startswith(wanted.replace("=", " "))
            place = 0
            for index in range(part["chunks"]["start"], end):
                packed = int.from_bytes(answer.content[place + 1 : place + 4], "little")
                chunks[name, index] = store.decode(answer.content[place : place + 8 + packed])
                place += 8 + packed
            assert place == len(answer.content)
    terms = []
    for term in found["terms"]:
        terms.append(
            b"".join(chunks[term["hash"], index] for index in range(term["range"]["start"], term["range"]["end"]))
        )
        assert len(terms[-1]) == term["unpacked_length"]
    return b"".join(terms)[found["offset_into_first_range"] :][:size]


# honest clients


def test_the_real_client(served: Any, tmp_path: Path) -> None:
    """Random, byte-grouped and compressible contents go up and come down, also without Xet; nothing is sent twice."""
    code = """
        import os, pathlib, random, sys
        import numpy
        from huggingface_hub import HfApi, snapshot_download
        folder, api = pathlib.Path("folder"), HfApi()
        if not folder.exists():
            folder.mkdir()
            noise = random.Random(1)
            (folder / "noise.bin").write_bytes(noise.randbytes(20_000_000))
            weights = numpy.random.default_rng(2).standard_normal(500_000).astype("float32") * 0.02
            (folder / "weights.safetensors").write_bytes(weights.tobytes())
            (folder / "text.parquet").write_bytes(b"".join(b"patient %d\\n" % (n * n % 977) for n in range(300_000)))
            (folder / "small.txt").write_text("small")
            api.create_repo("alice/real")
            first = api.upload_folder(repo_id="alice/real", folder_path=folder)
            assert api.upload_folder(repo_id="alice/real", folder_path=folder).oid == first.oid
        entries = {entry.path: entry for entry in api.list_repo_tree("alice/real")}
        for path in folder.glob("*.[bsp]*"):
            assert entries[path.name].xet_hash, path
        place = pathlib.Path(snapshot_download("alice/real", cache_dir=f"cache-{sys.argv[1:]}-{os.environ.get('HF_HUB_DISABLE_XET')}"))
        for path in folder.iterdir():
            assert (place / path.name).read_bytes() == path.read_bytes(), path
        print("same", api.model_info("alice/real").downloads)
    """
    assert "same 1" in served.python(code, tmp_path / "home"), "one snapshot is one download"
    before = [line["note"] for line in reads(served, "alice/real")]
    assert any("xet" in note for note in before)
    assert "same" in served.python(code, tmp_path / "home", HF_HUB_DISABLE_XET="1")
    assert not any("xet" in line["note"] for line in reads(served, "alice/real")[len(before) :])
    first, again = lines(served, "alice/real", "xet.upload")
    assert first["note"] == again["note"] == "3 large files"


def test_a_wrong_shard_tells_the_real_client_why(served: Any, tmp_path: Path) -> None:
    """The reason reaches the person, also through the stream that reports progress."""
    make_repo(served, "alice/reason")
    code = """
        import hf_xet, os
        facts = eval(os.environ["FACTS"])
        connection = {"endpoint": facts["casUrl"], "token": facts["accessToken"], "token_expiry_unix_secs": facts["exp"]}
        session = hf_xet.XetSession(hf_xet.XetConfig().with_config("telemetry.enabled", False))
        try:
            with session.new_upload_commit(**connection) as commit:
                commit.start_upload_bytes(b"some data" * 1000, sha256="0" * 64)
        except Exception as error:
            print("refused:", error)
    """
    facts = ask_token(served, "alice", "alice/reason", "write").json()
    said = served.python(code, tmp_path / "home", FACTS=repr(facts))
    assert "refused:" in said and f"has the sha256 {sha256(b'some data' * 1000)}" in said


def lines(served: Any, name: str, action: str) -> list[dict[str, Any]]:
    with served.hub.database.read() as session:
        return [line for line in audit.lines(session) if line["repo"] == f"model {name}" and line["action"] == action]


def reads(served: Any, name: str) -> list[dict[str, Any]]:
    return lines(served, name, "file.read")


@pytest.mark.parametrize("scheme", [AS_IT_IS, LZ4, GROUPED_LZ4])
def test_every_packing_can_be_read(served: Any, scheme: int) -> None:
    repo = make_repo(served, f"alice/packing-{scheme}")
    files = [DATA + bytes([scheme]), TEXT + bytes([scheme]), bytes(300_000 + scheme), bytes([scheme])]
    upload = send_files(served, repo.full_name, files, scheme=scheme)
    commit(served, repo, {f"{number}.bin": file for number, file in enumerate(files)}, large=True)
    with served.client("alice") as alice, served.client(None) as plain, cas(served, "alice", repo.full_name, "read") as client:
        for number, (file, name) in enumerate(zip(files, upload.hashes, strict=True)):
            answer = alice.get(f"/{repo.full_name}/resolve/main/{number}.bin")
            assert answer.content == file and answer.headers["X-Xet-Hash"] == name
            assert reassemble(client.get(f"/v2/reconstructions/{name}").json(), len(file), plain) == file


def test_ranges(served: Any) -> None:
    """Any range by any way is that range of the bytes; terms of three xorbs, some of them named twice and overlapping."""
    xorbs = [split(random.Random(seed).randbytes(90_000), 7_001) for seed in range(2)] + [split(TEXT, 100_000)]
    terms = [
        Term(xorbs[0], 0, 9),
        Term(xorbs[1], 3, 12),
        Term(xorbs[0], 5, 13),
        Term(xorbs[2], 0, 9),
        Term(xorbs[0], 0, 1),
    ]
    data = b"".join(chunk for term in terms for chunk in term.chunks)
    repo = make_repo(served, "alice/ranges")
    with cas(served, "alice", "alice/ranges") as client:
        for xorb in xorbs:
            client.post(f"/v1/xorbs/default/{xorb_hash(xorb)}", content=pack_xorb(xorb, LZ4)).raise_for_status()
        client.post("/v1/shards", content=pack_shard([pack_file(terms)])).raise_for_status()
    commit(served, repo, {"w.bin": data}, large=True)
    content, name = find(served, data), xet_client.file_hash(terms)
    assert content

    @examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(strategies.integers(0, len(data) - 1), strategies.integers(1, len(data)))
    def check(start: int, length: int) -> None:
        stop = min(start + length, len(data))
        assert b"".join(contents.read(served.hub, content, start, stop)) == data[start:stop]
        header = {"Range": f"bytes={start}-{start + length - 1}"}
        assert alice.get("/alice/ranges/resolve/main/w.bin", headers=header).content == data[start:stop]
        found = client.get(f"/v2/reconstructions/{name}", headers=header).json()
        assert reassemble(found, stop - start, plain) == data[start:stop]
        older = client.get(f"/v1/reconstructions/{name}", headers=header).json()
        assert older["terms"] == found["terms"]
        for xorb, fetches in older["fetch_info"].items():
            for fetch, newer in zip(fetches, found["xorbs"][xorb], strict=True):
                assert [{"chunks": fetch["range"], "bytes": fetch["url_range"]}] == newer["ranges"]

    with served.client("alice") as alice, served.client(None) as plain, cas(served, "alice", "alice/ranges", "read") as client:
        check()
        beyond = client.get(f"/v2/reconstructions/{name}", headers={"Range": f"bytes={len(data)}-"})
        assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
        assert alice.get("/alice/ranges/resolve/main/w.bin", headers={"Range": "bytes=-5"}).content == data[-5:]


def test_pieces_are_small(served: Any) -> None:
    """What is decoded at once is bounded, whatever a xorb unpacks to."""
    make_repo(served, "alice/pieces")
    data = bytes(50_000_000)
    upload = xet_client.Upload({}, b"", [])
    terms = [Term(split(data, 131_072), 0, 382)]
    upload.xorbs[xorb_hash(terms[0].xorb)] = pack_xorb(terms[0].xorb, LZ4)
    with cas(served, "alice", "alice/pieces") as client:
        send_xorbs(client, upload)
        client.post("/v1/shards", content=pack_shard([pack_file(terms)])).raise_for_status()
    content = find(served, data)
    assert content
    sizes = [len(piece) for piece in contents.read(served.hub, content)]
    assert sum(sizes) == len(data) and max(sizes) <= store.PIECE


def test_many_terms(served: Any) -> None:
    """A file of 20,000 terms is one row a xorb, and one fetch."""
    make_repo(served, "alice/terms")
    xorb = split(random.Random(5).randbytes(400), 100)
    terms = [Term(xorb, index, index + 1) for _ in range(5000) for index in range(4)]
    data = b"".join(xorb) * 5000
    with cas(served, "alice", "alice/terms") as client:
        client.post(f"/v1/xorbs/default/{xorb_hash(xorb)}", content=pack_xorb(xorb)).raise_for_status()
        client.post("/v1/shards", content=pack_shard([pack_file(terms)])).raise_for_status()
    content = find(served, data)
    assert content and b"".join(contents.read(served.hub, content, 1_999_000, 1_999_950)) == data[1_999_000:1_999_950]
    assert count(served, ContentXorb.sha256 == content.sha256) == 1
    with served.client(None) as plain, cas(served, "alice", "alice/terms", "read") as client:
        found = client.get(f"/v2/reconstructions/{content.file_hash}").json()
    assert len(found["terms"]) == 20_000 and sum(map(len, found["xorbs"].values())) == 1
    assert reassemble(found, len(data), plain) == data


def test_many_files_of_one_shard(served: Any) -> None:
    repo = make_repo(served, "alice/series")
    xorb = [b"%d" % digit for digit in range(10)]
    files = [[Term(xorb, int(digit), int(digit) + 1) for digit in f"{number:04}"] for number in [*range(1500), 7]]
    with cas(served, "alice", "alice/series") as client:
        client.post(f"/v1/xorbs/default/{xorb_hash(xorb)}", content=pack_xorb(xorb)).raise_for_status()
        client.post("/v1/shards", content=pack_shard(map(pack_file, files))).raise_for_status()
    assert count(served, RepoContent.repo_id == repo.id) == 1500
    content = find(served, b"1234")
    assert content and b"".join(contents.read(served.hub, content)) == b"1234"


def test_progress_is_reported(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "STEP", 1 << 19)
    make_repo(served, "alice/progress")
    data = random.Random(6).randbytes(5_000_000)
    upload = xet_client.upload([data])
    with cas(served, "alice", "alice/progress") as client:
        send_xorbs(client, upload)
        answer = client.post("/v2/shards", content=upload.shard)
        wrong = client.post("/v2/shards", content=b"no shard")
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    *steps, last = map(json.loads, answer.text.splitlines())
    assert last == {"type": "result"} and {step["total"] for step in steps} == {len(data)}
    assert [step["verified"] for step in steps] == sorted(step["verified"] for step in steps)
    assert len(steps) > 2
    (error,) = map(json.loads, wrong.text.splitlines())
    assert error["type"] == "error" and error["retryable"] is False and "shard" in error["message"]


def test_what_is_asked_in_vain(served: Any) -> None:
    """Whether anybody has a chunk is not told, and nothing is uploaded elsewhere."""
    make_repo(served, "alice/vain")
    upload = send_files(served, "alice/vain", [DATA])
    with cas(served, "alice", "alice/vain") as client:
        assert client.get(f"/v1/chunks/default/{next(iter(upload.xorbs))}").status_code == 404
        assert client.post(f"/v1/xorb-grants/default/{next(iter(upload.xorbs))}", json={}).status_code == 404


def test_whether_somebody_else_has_a_xorb_is_not_told(served: Any) -> None:
    upload = xet_client.upload([random.Random(8).randbytes(90_000)])
    ((name, data),) = upload.xorbs.items()
    for who in ("alice", "bob"):
        make_repo(served, f"{who}/same", who=who)
        with cas(served, who, f"{who}/same") as client:
            for new in (True, False):
                assert client.post(f"/v1/xorbs/default/{name}", content=data).json() == {"was_inserted": new}
    assert count(served, XorbOwner.hash == name) == 2 and count(served, Xorb.hash == name) == 1


def test_two_people_have_two_addresses(served: Any) -> None:
    """What one person's client remembers of its uploads must not lead another astray, nor what a sweep removed."""
    make_repo(served, "alice/address", visibility="public")
    bases = [ask_token(served, who, "alice/address", "read").json()["casUrl"] for who in ("alice", "bob", None)]
    assert len(set(bases)) == 3 and ask_token(served, "alice", "alice/address", "read").json()["casUrl"] == bases[0]
    with served.hub.database.write() as session:
        session.add(erasure.Epoch(number=erasure.epoch(session) + 1))
    assert ask_token(served, "alice", "alice/address", "read").json()["casUrl"] not in bases


# one content, several ways in


def test_a_content_that_lies_whole_stays_so(served: Any) -> None:
    repo, other = make_repo(served, "alice/whole"), make_repo(served, "alice/whole-2")
    data = random.Random(9).randbytes(300_000)
    with served.client("alice") as alice:
        send(alice, "alice/whole", data)
    send_files(served, "alice/whole-2", [data])
    content = find(served, data)
    assert content and content.file_hash is None and linked(served, repo, data) and linked(served, other, data)
    served.hub.blobs.delete(contents.lfs_key(sha256(data)))
    send_files(served, "alice/whole-2", [data])
    content = find(served, data)
    assert content and content.file_hash and b"".join(contents.read(served.hub, content)) == data, "healed"
    assert count(served, ContentXorb.sha256 == sha256(data)) == 1


def test_bytes_and_table_belong_together(served: Any) -> None:
    """One xorb, packed in two ways: whichever stays, also after a crash that left no row, is read by its own table."""
    make_repo(served, "alice/packings")
    chunks = split(TEXT + b"two ways", 70_000)
    name = xorb_hash(chunks)
    left = served.hub.blobs.upload()
    left.write(pack_xorb(chunks, LZ4))
    store.keep_xorb(left, inspect(left.path()))
    with cas(served, "alice", "alice/packings") as client:
        for scheme in (AS_IT_IS, GROUPED_LZ4):
            client.post(f"/v1/xorbs/default/{name}", content=pack_xorb(chunks, scheme)).raise_for_status()
        client.post("/v1/shards", content=pack_shard([pack_file([Term(chunks, 0, len(chunks))])])).raise_for_status()
    content = find(served, TEXT + b"two ways")
    assert content and b"".join(contents.read(served.hub, content)) == TEXT + b"two ways"
    with served.hub.database.read() as session:
        xorb = session.get(Xorb, name)
    assert xorb and xorb.size == served.hub.blobs.size(store.xorb_key(name)) < len(pack_xorb(chunks))


def test_a_sweep_in_between(served: Any) -> None:
    """A xorb whose bytes a sweep takes before its row stands is sent again; a shard that names one that went, too."""
    upload = served.hub.blobs.upload()
    chunks = [b"soon gone"]
    upload.write(pack_xorb(chunks))
    keep = upload.commit

    def commit_and_sweep(key: str) -> bool:
        new = keep(key)
        served.hub.blobs.delete(key)
        return new

    upload.commit = commit_and_sweep
    with pytest.raises(contents.Swept):
        registration.register_xorb(served.hub, principal(served), xorb_hash(chunks), upload)
    assert count(served, Xorb.hash == xorb_hash(chunks)) == 0
    repo = make_repo(served, "alice/sweep")
    sent = xet_client.upload([random.Random(10).randbytes(200_000)])
    with cas(served, "alice", "alice/sweep") as client:
        send_xorbs(client, sent)
    steps = registration.register_shard(served.hub, principal(served), repo, sent.shard)
    held = registration._held

    def sweep(*arguments: Any) -> Any:
        with served.hub.database.write() as session:
            session.delete(session.get(Xorb, next(iter(sent.xorbs))))
        return held(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(contents.Swept):
        patch.setattr(registration, "_held", sweep)
        list(steps)
    assert count(served, RepoContent.repo_id == repo.id) == 0


@pytest.mark.parametrize("place", [100, -100], ids=["chunk", "table"])
def test_damage_is_the_hubs_fault(served: Any, place: int) -> None:
    """Bytes that changed on the disk are never sent; the answer is no reproach to the client."""
    repo = make_repo(served, f"alice/damage{place}")
    data = random.Random(place).randbytes(200_000)
    upload = send_files(served, repo.full_name, [data])
    commit(served, repo, {"w.bin": data}, large=True)
    path = served.hub.settings.data / "blobs" / store.xorb_key(next(iter(upload.xorbs)))
    spoilt = bytearray(path.read_bytes())
    spoilt[place] ^= 255
    path.write_bytes(spoilt)
    with served.client("alice") as alice:
        assert alice.get(f"/{repo.full_name}/resolve/main/w.bin").status_code == 500
        path.write_bytes(b"")
        assert alice.get(f"/{repo.full_name}/resolve/main/w.bin").status_code == 500
        path.unlink()
        assert alice.get(f"/{repo.full_name}/resolve/main/w.bin").status_code == 404
    with cas(served, "alice", repo.full_name, "read") as client:
        assert client.get(f"/v2/reconstructions/{upload.hashes[0]}").status_code == 404


# dishonest clients


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
    return pack_file([Term(xorb, 0, len(xorb))], xet_client.WITH_SHA256)


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
        assert answer.status_code == 400 and answer.json()["error"]
        (event,) = map(json.loads, client.post("/v2/shards", content=pack_shard([good, fault(xorb)])).text.splitlines())
        assert event == {"type": "error", "message": answer.json()["error"], "retryable": False}
    assert count(served, RepoContent.repo_id == repo.id) == 0 and find(served, xorb[0]) is None
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
        assert answers[0] == answers[1] and answers[0][0] == 400
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
