"""Large files through Xet: with the real client, and byte by byte."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import xet_client
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples
from lfs_client import commit, make_repo, principal, send, sha256
from xet_client import AS_IT_IS, GROUPED_LZ4, LZ4, Term, pack_file, pack_shard, pack_xorb, split, xorb_hash
from xet_transport import ask_token, cas, count, find, lines, linked, reads, reassemble, send_files, send_xorbs

from medhub.server import contents, erasure
from medhub.server.tables import ContentXorb, RepoContent, Xorb, XorbOwner
from medhub.server.xet import registration, store
from medhub.server.xet.xorb import inspect

DATA = random.Random(0).randbytes(700_001)
TEXT = b"".join(b"visit %d of patient %d: stable\n" % (visit % 13, visit * visit % 977) for visit in range(30_000))


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"anonymous": True}


def test_the_real_client(served: Any, tmp_path: Path) -> None:
    """Random, byte-grouped and compressible contents go up and come down, also without Xet; nothing is sent twice."""
    code = """
        import os, pathlib, random
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
        cache = "cache-" + os.environ.get("HF_HUB_DISABLE_XET", "0")
        place = pathlib.Path(snapshot_download("alice/real", cache_dir=cache))
        for path in folder.iterdir():
            assert (place / path.name).read_bytes() == path.read_bytes(), path
        print("same", api.model_info("alice/real").downloads)
    """
    assert "same 1" in served.python(code, tmp_path / "home"), "one snapshot is one download"
    before = [line["note"] for line in reads(served, "alice/real")]
    assert any("xet" in note for note in before)
    assert "same" in served.python(code, tmp_path / "home", HF_HUB_DISABLE_XET="1")
    after = [line["note"] for line in reads(served, "alice/real")]
    assert len(after) > len(before)
    assert not any("xet" in note for note in after[len(before) :])
    first, again = lines(served, "alice/real", "xet.upload")
    assert first["note"] == again["note"] == "3 large files"


def test_a_wrong_shard_tells_the_real_client_why(served: Any, tmp_path: Path) -> None:
    """The reason reaches the person, also through the stream that reports progress."""
    make_repo(served, "alice/reason")
    code = """
        import hf_xet, os
        facts = eval(os.environ["FACTS"])
        connection = dict(endpoint=facts["casUrl"], token=facts["accessToken"], token_expiry_unix_secs=facts["exp"])
        session = hf_xet.XetSession(hf_xet.XetConfig().with_config("telemetry.enabled", False))
        try:
            with session.new_upload_commit(**connection) as commit:
                commit.start_upload_bytes(b"some data" * 1000, sha256="0" * 64)
        except Exception as error:
            print("refused:", error)
    """
    facts = ask_token(served, "alice", "alice/reason", "write").json()
    said = served.python(code, tmp_path / "home", FACTS=repr(facts))
    assert "refused:" in said
    assert f"has the sha256 {sha256(b'some data' * 1000)}" in said


@pytest.mark.parametrize("scheme", [AS_IT_IS, LZ4, GROUPED_LZ4])
def test_every_packing_can_be_read(served: Any, scheme: int) -> None:
    repo = make_repo(served, f"alice/packing-{scheme}")
    files = [DATA + bytes([scheme]), TEXT + bytes([scheme]), bytes(300_000 + scheme), bytes([scheme])]
    upload = send_files(served, repo.full_name, files, scheme=scheme)
    commit(served, repo, {f"{number}.bin": file for number, file in enumerate(files)}, large=True)
    with (
        served.client("alice") as alice,
        served.client(None) as plain,
        cas(served, "alice", repo.full_name, "read") as client,
    ):
        for number, (file, name) in enumerate(zip(files, upload.hashes, strict=True)):
            answer = alice.get(f"/{repo.full_name}/resolve/main/{number}.bin")
            assert answer.content == file
            assert answer.headers["X-Xet-Hash"] == name
            assert reassemble(client.get(f"/v2/reconstructions/{name}").json(), len(file), plain) == file


def test_ranges(served: Any) -> None:
    """Any range by any way is that range of the bytes; terms of three xorbs, some named twice and overlapping."""
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

    with (
        served.client("alice") as alice,
        served.client(None) as plain,
        cas(served, "alice", "alice/ranges", "read") as client,
    ):
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
    assert sum(sizes) == len(data)
    assert max(sizes) <= store.PIECE


def test_many_terms(served: Any) -> None:
    """A file of 12,000 terms is one row a xorb, and one fetch."""
    make_repo(served, "alice/terms")
    xorb = split(random.Random(5).randbytes(400), 100)
    terms = [Term(xorb, index, index + 1) for _ in range(3000) for index in range(4)]
    data = b"".join(xorb) * 3000
    with cas(served, "alice", "alice/terms") as client:
        client.post(f"/v1/xorbs/default/{xorb_hash(xorb)}", content=pack_xorb(xorb)).raise_for_status()
        client.post("/v1/shards", content=pack_shard([pack_file(terms)])).raise_for_status()
    content = find(served, data)
    assert content
    assert b"".join(contents.read(served.hub, content, 1_199_000, 1_199_950)) == data[1_199_000:1_199_950]
    assert count(served, ContentXorb.sha256 == content.sha256) == 1
    with served.client(None) as plain, cas(served, "alice", "alice/terms", "read") as client:
        found = client.get(f"/v2/reconstructions/{content.file_hash}").json()
        assert len(found["terms"]) == 12_000
        assert sum(map(len, found["xorbs"].values())) == 1
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
    assert content
    assert b"".join(contents.read(served.hub, content)) == b"1234"


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
    assert last == {"type": "result"}
    assert {step["total"] for step in steps} == {len(data)}
    assert [step["verified"] for step in steps] == sorted(step["verified"] for step in steps)
    assert len(steps) > 2
    (error,) = map(json.loads, wrong.text.splitlines())
    assert error["type"] == "error"
    assert error["retryable"] is False
    assert "shard" in error["message"]


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
    assert count(served, XorbOwner.hash == name) == 2
    assert count(served, Xorb.hash == name) == 1


def test_two_people_have_two_addresses(served: Any) -> None:
    """What one person's client remembers of its uploads must not lead another astray, nor what a sweep removed."""
    make_repo(served, "alice/address", visibility="public")
    bases = [ask_token(served, who, "alice/address", "read").json()["casUrl"] for who in ("alice", "bob", None)]
    assert len(set(bases)) == 3
    assert ask_token(served, "alice", "alice/address", "read").json()["casUrl"] == bases[0]
    with served.hub.database.write() as session:
        session.add(erasure.Epoch(number=erasure.epoch(session) + 1))
    assert ask_token(served, "alice", "alice/address", "read").json()["casUrl"] not in bases


def test_a_content_that_lies_whole_stays_so(served: Any) -> None:
    repo, other = make_repo(served, "alice/whole"), make_repo(served, "alice/whole-2")
    data = random.Random(9).randbytes(300_000)
    with served.client("alice") as alice:
        send(alice, "alice/whole", data)
    send_files(served, "alice/whole-2", [data])
    content = find(served, data)
    assert content
    assert content.file_hash is None
    assert linked(served, repo, data)
    assert linked(served, other, data)
    served.hub.blobs.delete(contents.lfs_key(sha256(data)))
    send_files(served, "alice/whole-2", [data])
    content = find(served, data)
    assert content
    assert content.file_hash, "healed, as a recipe"
    assert b"".join(contents.read(served.hub, content)) == data
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
    assert content
    assert b"".join(contents.read(served.hub, content)) == TEXT + b"two ways"
    with served.hub.database.read() as session:
        xorb = session.get(Xorb, name)
    assert xorb
    assert xorb.size == served.hub.blobs.size(store.xorb_key(name)) < len(pack_xorb(chunks))


def test_a_sweep_in_between(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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

    monkeypatch.setattr(registration, "_held", sweep)
    with pytest.raises(contents.Swept):
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
