"""Large files through git-lfs's protocol: with real clients, and with requests that no honest client makes."""

from __future__ import annotations

import random
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from lfs_client import ask, ask_for_one, commit, fetch, link_for, make_repo, send, sha256

from medhub.server import accounts, contents, transfers
from medhub.server.hub import open_hub
from medhub.server.serve import running
from medhub.server.settings import Settings
from medhub.server.storage.local import LocalUpload

DATA = random.Random(0).randbytes(300_000)


def lines(served: Any, action: str) -> list[dict[str, Any]]:
    from medhub.server import audit

    with served.hub.database.read() as session:
        return [line for line in audit.lines(session) if line["action"] == action]


def stored(served: Any, data: bytes) -> bool:
    """Whether the blob store or the database knows these bytes."""
    with served.hub.database.read() as session:
        row = contents.find(session, sha256(data))
    return row is not None or served.hub.blobs.size(contents.lfs_key(sha256(data))) is not None


def waiting(served: Any) -> list[Path]:
    """The temporary files of uploads."""
    return list((served.hub.settings.data / "blobs" / "tmp").iterdir())


def test_up_and_down(served: Any) -> None:
    make_repo(served, "alice/first")
    with served.client("alice") as alice:
        found = ask_for_one(alice, "alice/first", DATA)
        assert found["authenticated"] is True
        assert httpx.put(found["actions"]["upload"]["href"], content=DATA).status_code == 200
        verify = found["actions"]["verify"]
        body = {"oid": sha256(DATA), "size": len(DATA)}
        assert httpx.post(verify["href"], json=body, headers=verify["header"]).status_code == 200, (
            "no credentials of its own"
        )
        assert httpx.post(verify["href"], json=body | {"size": 1}, headers=verify["header"]).status_code == 404
        assert "actions" not in ask_for_one(alice, "alice/first", DATA), "nothing to do a second time"
        assert fetch(alice, "alice/first", sha256(DATA)) == DATA
        href = ask(alice, "alice/first", (sha256(DATA), 0), operation="download")["objects"][0]["actions"]["download"][
            "href"
        ]
        part = httpx.get(href, headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, DATA[1000:2000])
    (upload,) = [line for line in lines(served, "lfs.upload") if line["repo"] == "model alice/first"]
    assert (upload["actor"], upload["path"], upload["bytes"]) == ("alice", sha256(DATA), len(DATA))
    assert [line["bytes"] for line in lines(served, "lfs.read")] == [len(DATA), 1000]


def test_an_empty_file(served: Any) -> None:
    make_repo(served, "alice/empty")
    with served.client("alice") as alice:
        send(alice, "alice/empty", b"")
        assert fetch(alice, "alice/empty", sha256(b"")) == b""


@pytest.mark.parametrize(
    ("sent", "status"), [(DATA[:-1], 400), (b"", 400), (DATA + b"!", 413), (bytes(len(DATA)), 400), (DATA * 30, 413)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_other_bytes_than_announced(served: Any, sent: bytes, status: int, chunked: bool) -> None:
    name = f"alice/wrong-{status}-{len(sent)}-{chunked}"
    make_repo(served, name)
    with served.client("alice") as alice:
        wanted = DATA[::-1]
        if status == 400 and len(sent) == len(DATA):
            sent = DATA
        answer = httpx.put(link_for(alice, name, wanted), content=iter([sent]) if chunked else sent)
        assert answer.status_code == status, answer.text
        assert not stored(served, wanted)
        assert not waiting(served)


def test_an_endless_body_is_cut_off(served: Any) -> None:
    make_repo(served, "alice/endless")
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 60_000_000:
            sent += 1 << 16
            yield bytes(1 << 16)

    with served.client("alice") as alice:
        href = link_for(alice, "alice/endless", DATA[1:])
        # the connection is closed while the client still writes, so it may not see the answer
        with suppress(httpx.TransportError):
            assert httpx.put(href, content=endless()).status_code == 413
    assert sent < 50_000_000, "what the sockets hold, and a little"
    assert not stored(served, DATA[1:])
    assert not waiting(served)


def test_a_client_that_hangs_up(served: Any) -> None:
    make_repo(served, "alice/hangup")

    def breaks() -> Any:
        yield DATA[:1000]
        raise ConnectionError

    with served.client("alice") as alice, pytest.raises(ConnectionError):
        httpx.put(
            link_for(alice, "alice/hangup", DATA[2:]), content=breaks(), headers={"Content-Length": str(len(DATA) - 2)}
        )
    with served.client("alice") as alice:
        send(alice, "alice/hangup", DATA[2:])
    assert not waiting(served)


def test_signatures(served: Any) -> None:
    """Forged, of another purpose, for other bytes, expired: none of these stores a byte."""
    repo = make_repo(served, "alice/signed")
    sign = served.hub.signer.sign
    with served.client("alice") as alice:
        data, other = DATA[7:], DATA[8:]
        href = link_for(alice, "alice/signed", data)
        base, _, signed = href.rpartition("/")
        statement = served.hub.signer.verify("lfs-upload", signed)
        assert statement["repo"] == repo.id
        hostile = {
            "changed": signed[:-2] + ("AA" if signed[-2:] != "AA" else "BB"),
            "nonsense": "x",
            "another purpose": sign("lfs-download", statement, seconds=60),
            "another key": type(served.hub.signer)(b"guessed").sign("lfs-upload", statement, seconds=60),
            "expired": sign("lfs-upload", statement, seconds=-1),
        }
        for why, forged in hostile.items():
            answer = httpx.put(f"{base}/{forged}", content=data)
            assert answer.status_code == 403, why
        assert httpx.put(href, content=other).status_code == 413 or not stored(served, other)
        assert httpx.put(f"{served.url}/api/lfs/part/{signed}", content=data).status_code == 403
        assert not stored(served, data)
        assert httpx.put(href, content=data).status_code == 200
        assert httpx.put(href, content=data).status_code == 200, "a replay brings the same bytes, and changes nothing"
    assert not stored(served, other)


def test_rights_are_those_of_the_moment(served: Any) -> None:
    """A link dies with its token, and with the right that the token's owner had."""
    make_repo(served, "radiology/moment", who="alice")
    hub, data = served.hub, DATA[9:]
    with hub.database.write() as session:
        org, bob = accounts.get_account(session, "radiology"), accounts.get_account(session, "bob")
        accounts.set_role(session, org, bob, "write")
        token, secret = accounts.create_token(session, bob, "short", role="write")
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {secret}"}) as client:
        href = link_for(client, "radiology/moment", data, ref={"name": "refs/heads/main"})
        sent = send(client, "radiology/moment", DATA[10:])
        (found,) = ask(client, "radiology/moment", (sent, 0), operation="download")["objects"]
    with hub.database.write() as session:
        accounts.set_role(session, org, bob, "read")
    assert httpx.put(href, content=data).status_code == 403
    assert httpx.get(found["actions"]["download"]["href"]).status_code == 200, "he may still read"
    with hub.database.write() as session:
        session.delete(session.merge(token))
    assert httpx.put(href, content=data).status_code == 401
    assert httpx.get(found["actions"]["download"]["href"]).status_code == 401
    assert not stored(served, data)


def test_who_may_send(served: Any) -> None:
    make_repo(served, "alice/public", visibility="public")
    make_repo(served, "alice/private")
    data = DATA[11:]
    body = {"operation": "upload", "objects": [{"oid": sha256(data), "size": len(data)}]}

    def status(who: str | None, repo: str, **more: Any) -> int:
        with served.client(who) as client:
            return client.post(f"/{repo}.git/info/lfs/objects/batch", json=body | more).status_code

    main, pull = {"ref": {"name": "refs/heads/main"}}, {"ref": {"name": "refs/pr/1"}}
    assert status("alice", "alice/public", **main) == 200
    assert status("bob", "alice/public", **main) == 403
    assert status("bob", "alice/public") == status("bob", "alice/public", **pull) == 200, "for a pull request"
    assert status("carol", "alice/public") == 403, "her token only reads"
    assert status("bob", "alice/private", **pull) == status("bob", "alice/missing", **pull) == 404
    assert status(None, "alice/private") == status(None, "alice/missing") == 401
    with served.client(None) as stranger:
        answer = stranger.post("/alice/private.git/info/lfs/objects/batch", json=body)
        assert answer.headers["LFS-Authenticate"] == 'Basic realm="hub"'
    assert not stored(served, data)


def test_strangers_fetch_where_the_operator_lets_them(tmp_path: Path) -> None:
    hub = open_hub(Settings(data=tmp_path, port=0, anonymous=True))
    with hub.database.write() as session:
        user = accounts.create_account(session, "alice")
        _, token = accounts.create_token(session, user, "test", role="write")
    with running(hub) as url, httpx.Client(base_url=url) as stranger:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as alice:
            alice.post("/api/repos/create", json={"name": "open", "visibility": "public"}).raise_for_status()
            oid = send(alice, "alice/open", DATA)
            assert fetch(stranger, "alice/open", oid) == DATA
            (found,) = ask(stranger, "alice/open", (oid, 0), operation="download")["objects"]
            alice.put("/api/models/alice/open/settings", json={"visibility": "private"}).raise_for_status()
        assert httpx.get(found["actions"]["download"]["href"]).status_code == 401
    hub.database.close()


def test_naming_is_not_reading(served: Any) -> None:
    """Whoever knows the sha256 of another's file is told to send it, and cannot fetch, link or duplicate it."""
    make_repo(served, "alice/secret")
    repo = make_repo(served, "bob/thief", who="bob")
    data = DATA[12:]
    with served.client("alice") as alice, served.client("bob") as bob:
        oid = send(alice, "alice/secret", data)
        assert "actions" in ask_for_one(bob, "bob/thief", data), "send it, if you have it"
        assert fetch(bob, "bob/thief", oid) is None
        assert bob.post("/bob/thief.git/info/lfs/verify", json={"oid": oid, "size": len(data)}).status_code == 404
        commit(served, repo, {"stolen.bin": data}, large=True)
        assert bob.get("/bob/thief/resolve/main/stolen.bin").status_code == 404, "a pointer alone opens nothing"
        files = [{"sha256": oid, "xetHash": "0" * 64, "filename": "x"}]
        body = {"target": {"type": "model", "name": "bob/thief"}, "files": files}
        assert bob.post("/api/models/alice/secret/lfs-files/duplicate", json=body).status_code == 404
        assert bob.post("/api/models/bob/thief/lfs-files/duplicate", json=body).json()["failed"][0]["sha256"] == oid
        blobs = len(list(served.hub.blobs.keys("lfs/")))
        send(bob, "bob/thief", data)
        assert fetch(bob, "bob/thief", oid) == data
        assert len(list(served.hub.blobs.keys("lfs/"))) == blobs, "stored once"


def test_what_the_caller_may_read_need_not_be_sent_again(served: Any) -> None:
    make_repo(served, "alice/source", visibility="public")
    make_repo(served, "bob/copy", who="bob")
    data = DATA[13:]
    with served.client("alice") as alice, served.client("bob") as bob:
        send(alice, "alice/source", data)
        assert "actions" not in ask_for_one(bob, "bob/copy", data)
        assert fetch(bob, "bob/copy", sha256(data)) == data


def test_duplicate(served: Any) -> None:
    make_repo(served, "alice/from", visibility="public")
    make_repo(served, "bob/to", who="bob")
    with served.client("alice") as alice, served.client("bob") as bob:
        oid, missing = send(alice, "alice/from", DATA[14:]), "0" * 64
        body = {"target": {"type": "model", "name": "bob/to"}, "files": [{"sha256": oid}, {"sha256": missing}]}
        assert alice.post("/api/models/alice/from/lfs-files/duplicate", json=body).status_code == 404, (
            "bob/to is not hers"
        )
        answer = bob.post("/api/models/alice/from/lfs-files/duplicate", json=body)
        assert [one["sha256"] for one in answer.json()["failed"]] == [missing]
        assert fetch(bob, "bob/to", oid) == DATA[14:]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(transfers, "PART", 100_000)
    monkeypatch.setattr(transfers, "WHOLE", 100_000)
    return 100_000


def send_parts(client: httpx.Client, repo: str, data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Send all parts; return the upload action, and the list that completes it."""
    answer = ask(client, repo, (sha256(data), len(data)), transfers=["basic", "multipart"])
    assert answer["transfer"] == "multipart"
    action = answer["objects"][0]["actions"]["upload"]
    size = int(action["header"]["chunk_size"])
    parts = []
    for number, href in sorted((int(key), href) for key, href in action["header"].items() if key.isdigit()):
        sent = httpx.put(href, content=data[(number - 1) * size : number * size])
        assert sent.status_code == 200, sent.text
        parts.append({"partNumber": number, "etag": sent.headers["ETag"]})
    return action, parts


def test_parts(served: Any, small_parts: int) -> None:
    make_repo(served, "alice/parts")
    data = DATA[15:]
    with served.client("alice") as alice:
        action, parts = send_parts(alice, "alice/parts", data)
        assert len(parts) == 3
        assert not stored(served, data)
        wrong = {
            "a part is missing": parts[:2],
            "a part too many": [*parts, {"partNumber": 4, "etag": parts[0]["etag"]}],
            "one twice": [*parts, parts[0]],
            "an etag of another part": [parts[0], parts[1], {"partNumber": 3, "etag": parts[0]["etag"]}],
            "no etag": [parts[0], parts[1], {"partNumber": 3, "etag": "../../x"}],
            "no list": 7,
        }
        for why, listed in wrong.items():
            answer = httpx.post(action["href"], json={"oid": sha256(data), "parts": listed})
            assert answer.status_code == 400, why
            assert not stored(served, data)
            assert not waiting(served)
        assert httpx.put(action["header"]["00003"], content=DATA[:100_000]).status_code == 413
        for _ in range(2):
            assert httpx.post(action["href"], json={"oid": sha256(data), "parts": parts}).status_code == 200
        assert fetch(alice, "alice/parts", sha256(data)) == data
    assert not list(served.hub.blobs.keys("part/"))


def test_parts_of_other_bytes(served: Any, small_parts: int) -> None:
    make_repo(served, "alice/other-parts")
    data = DATA[16:]
    with served.client("alice") as alice:
        action, parts = send_parts(alice, "alice/other-parts", data)
        changed = httpx.put(action["header"]["00001"], content=bytes(small_parts))
        parts[0]["etag"] = changed.headers["ETag"]
        assert httpx.post(action["href"], json={"oid": sha256(data), "parts": parts}).status_code == 400
        assert not stored(served, data)
        action, parts = send_parts(alice, "alice/other-parts", data)
        assert httpx.post(action["href"], json={"oid": sha256(data), "parts": parts}).status_code == 200


def test_a_batch_with_faults(served: Any) -> None:
    make_repo(served, "alice/faults")
    good = (sha256(b"good"), 4)
    with served.client("alice") as alice:
        answer = ask(alice, "alice/faults", ("x", 1), ("../../etc/passwd", 1), (sha256(b""), -1), good)
        assert [one.get("error", {}).get("code") for one in answer["objects"]] == [422, 422, 422, None]
        assert answer["transfer"] == "basic"
        found = ask(alice, "alice/faults", good, transfers=["basic", "multipart", "xet"])
        assert found["transfer"] == "basic", "never xet: the client has chosen this way"
        url, json = "/alice/faults.git/info/lfs/objects/batch", {"Content-Type": "application/vnd.git-lfs+json"}
        for body in (
            b"", b"[]", b"{", b"[" * 100_000, b'{"operation": "upload", "objects": [1]}',
            b'{"operation": "format", "objects": []}', b'{"operation": "upload", "objects": [{"oid": 1, "size": "x"}]}',
            b'{"operation": "upload", "objects": [], "hash_algo": "md5"}',
        ):  # fmt: skip
            assert alice.post(url, content=body, headers=json).status_code == 400, body
        assert alice.post(url, content=b" " * 5_000_000, headers=json).status_code == 413
        assert alice.post("/alice/faults.git/info/lfs/locks/verify", json={}).status_code == 404


def test_a_full_disk(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload's file leads to a device that is always full: the error is the kernel's own."""
    import os

    make_repo(served, "alice/full")
    opened = LocalUpload.__init__

    def on_full_disk(self: LocalUpload, root: Path) -> None:
        opened(self, root)
        os.close(self._file)
        self._file = os.open("/dev/full", os.O_WRONLY)

    data = DATA[17:]
    with served.client("alice") as alice:
        href = link_for(alice, "alice/full", data)
        with monkeypatch.context() as full:
            full.setattr(LocalUpload, "__init__", on_full_disk)
            assert httpx.put(href, content=data).status_code == 507
        assert not stored(served, data)
        assert not waiting(served)
        assert httpx.put(href, content=data).status_code == 200


def test_the_main_client(served: Any, tmp_path: Path) -> None:
    """Up, listed, and erased for ever by huggingface_hub, with Xet switched off."""
    make_repo(served, "alice/client")
    code = """
        import random
        from huggingface_hub import HfApi
        api, data = HfApi(), random.Random(1).randbytes(200_000)
        from huggingface_hub._commit_api import CommitOperationAdd
        addition = CommitOperationAdd("w.bin", data)
        addition._upload_mode, addition._should_ignore = "lfs", False
        api.preupload_lfs_files("alice/client", [addition])
        (found,) = api.list_lfs_files("alice/client")
        assert found.file_oid == addition.upload_info.sha256.hex() and found.size == 200_000
        api.permanently_delete_lfs_files("alice/client", [found])
        assert list(api.list_lfs_files("alice/client")) == []
    """
    served.python(code, tmp_path / "home", HF_HUB_DISABLE_XET="1")
    assert not stored(served, random.Random(1).randbytes(200_000))
    assert [line["path"] for line in lines(served, "lfs.erase")] == [sha256(random.Random(1).randbytes(200_000))]


def test_git_lfs(served: Any, tmp_path: Path) -> None:
    """git-lfs's own program sends and fetches by these routes alone."""
    make_repo(served, "alice/git-lfs")
    environment = served.environment(tmp_path / "home")
    credentials = f"alice:{served.tokens['alice']}@"
    url = f"{served.url.replace('://', '://' + credentials)}/alice/git-lfs.git"
    source, target = tmp_path / "source", tmp_path / "target"

    def git(*arguments: str, folder: Path = source) -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, timeout=60)

    source.mkdir()
    git("init", "-q", "-b", "main")
    git("config", "lfs.url", f"{url}/info/lfs")
    git("lfs", "install", "--local")
    git("lfs", "track", "*.bin")
    (source / "w.bin").write_bytes(DATA[18:])
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    git("remote", "add", "origin", url)
    git("lfs", "push", "--all", "origin")
    assert stored(served, DATA[18:])
    git("clone", "-q", str(source), str(target), folder=tmp_path)
    git("config", "lfs.url", f"{url}/info/lfs", folder=target)
    git("lfs", "install", "--local", folder=target)
    git("lfs", "pull", folder=target)
    assert (target / "w.bin").read_bytes() == DATA[18:]
