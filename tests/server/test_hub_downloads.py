"""Files at a revision: their headers, ranges, rights, the audit of reads and the count of downloads."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from lfs_client import commit, make_repo, principal, send, sha256
from sqlalchemy import delete, update

from medhub.server import accounts, audit, contents, reads
from medhub.server.hub import open_hub
from medhub.server.tables import Repo, Token, now

LARGE = random.Random(0).randbytes(3_000_000)
CARD = b"# Hello \xc3\xa4\n"


@pytest.fixture(scope="module")
def repo(served: Any) -> Repo:
    repo = make_repo(served, "alice/files")
    with served.client("alice") as alice:
        send(alice, "alice/files", LARGE)
    commit(
        served, repo, {"README.md": CARD, "empty": b"", "a/ä b#.txt": b"deep", "x.html": b"<script>", "x.svg": b"<svg>"}
    )
    commit(served, repo, {"w.bin": LARGE}, large=True)
    return repo


def head(served: Any, repo: Repo) -> str:
    return served.hub.git.open(repo.id).head("refs/heads/main")


def reads_of(served: Any, name: str, action: str = "file.read") -> list[dict[str, Any]]:
    with served.hub.database.read() as session:
        return [line for line in audit.lines(session) if line["repo"] == f"model {name}" and line["action"] == action]


def test_headers(served: Any, repo: Repo) -> None:
    with served.client("alice") as alice:
        for method in ("HEAD", "GET"):
            small = alice.request(method, "/alice/files/resolve/main/README.md")
            assert small.headers["X-Repo-Commit"] == head(served, repo)
            assert (
                small.headers["ETag"]
                == '"' + served.hub.git.open(repo.id).entry(head(served, repo), "README.md").oid + '"'
            )
            assert (small.headers["Content-Length"], small.headers["Accept-Ranges"]) == (str(len(CARD)), "bytes")
            assert "X-Linked-Etag" not in small.headers
            assert "X-Xet-Hash" not in small.headers
            large = alice.request(method, "/alice/files/resolve/main/w.bin")
            assert large.headers["ETag"] == large.headers["X-Linked-Etag"] == f'"{sha256(LARGE)}"'
            assert large.headers["X-Linked-Size"] == large.headers["Content-Length"] == str(len(LARGE))
            assert not {"X-Xet-Hash", "Link"} & set(large.headers), "it lies whole, not as a recipe"
        assert (small.content, large.content) == (CARD, LARGE)
        assert alice.get("/alice/files/resolve/main/empty").content == b""
        deep = alice.get("/alice/files/resolve/main/a/%C3%A4%20b%23.txt")
        assert deep.content == b"deep"
        assert deep.headers["Content-Disposition"] == "inline; filename*=UTF-8''%C3%A4%20b%23.txt"
        unchanged = alice.get("/alice/files/resolve/main/w.bin", headers={"If-None-Match": large.headers["ETag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_nothing_runs_in_the_hubs_origin(served: Any, repo: Repo) -> None:
    with served.client("alice") as alice:
        for name in ("README.md", "x.html", "x.svg", "w.bin"):
            for way in ("resolve", "raw"):
                found = alice.get(f"/alice/files/{way}/main/{name}").headers
                assert found["Content-Security-Policy"] == "sandbox; default-src 'none'"
                assert found["X-Content-Type-Options"] == "nosniff"
                assert "html" not in found["Content-Type"]
                assert "script" not in found["Content-Type"]
        for name in ("x.html", "x.svg"):
            assert (
                alice.get(f"/alice/files/resolve/main/{name}").headers["Content-Disposition"].startswith("attachment")
            )
        assert alice.get("/alice/files/raw/main/x.html").headers["Content-Type"] == "text/plain; charset=utf-8"


def test_raw_is_what_git_has(served: Any, repo: Repo) -> None:
    with served.client("alice") as alice:
        assert alice.get("/alice/files/raw/main/README.md").content == CARD
        pointer = alice.get("/alice/files/raw/main/w.bin").text
        assert pointer.startswith("version https://git-lfs")
        assert sha256(LARGE) in pointer


def test_what_is_not_there(served: Any, repo: Repo) -> None:
    with served.client("alice") as alice:

        def answer(path: str, client: httpx.Client = alice) -> tuple[int, str | None]:
            found = client.head(path)
            assert found.status_code == client.get(path).status_code
            return found.status_code, found.headers.get("X-Error-Code")

        missing = alice.head("/alice/files/resolve/main/none.bin")
        assert missing.headers["X-Repo-Commit"] == head(served, repo), "so that the client can remember the miss"
        assert missing.headers["X-Error-Code"] == "EntryNotFound"
        for path in ("a", "", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "a%00b", "README.md/x", "x" * 5000):
            assert answer(f"/alice/files/resolve/main/{path}") in {(404, "EntryNotFound"), (400, None), (404, None)}, (
                path
            )
        assert answer("/alice/files/resolve/nobranch/README.md") == (404, "RevisionNotFound")
        assert answer("/alice/none/resolve/main/README.md") == (404, "RepoNotFound")
        with served.client("bob") as bob, served.client(None) as stranger:
            assert answer("/alice/files/resolve/main/README.md", bob) == (404, "RepoNotFound")
            assert answer("/alice/files/resolve/main/README.md", stranger) == (401, "RepoNotFound")
            assert answer("/alice/none/resolve/main/README.md", stranger) == (401, "RepoNotFound")


def test_revisions(served: Any, repo: Repo) -> None:
    git = served.hub.git.open(repo.id)
    first = head(served, repo)
    git.set_ref("refs/pr/1", first, expected=None)
    second = commit(served, repo, {"new.txt": b"2"})
    with served.client("alice") as alice:
        for revision, status in {
            first: 404,
            "refs%2Fpr%2F1": 404,
            second: 200,
            "refs%2Fheads%2Fmain": 200,
            "main": 200,
        }.items():
            assert alice.get(f"/alice/files/resolve/{revision}/new.txt").status_code == status, revision


def test_a_gated_repository(served: Any) -> None:
    gated = make_repo(served, "alice/gated", visibility="public")
    with served.hub.database.write() as session:
        session.execute(update(Repo).where(Repo.id == gated.id).values(gated="manual"))
    with served.client("bob") as bob, served.client("alice") as alice:
        refused = bob.get("/alice/gated/resolve/main/.gitattributes")
        assert (refused.status_code, refused.headers["X-Error-Code"]) == (403, "GatedRepo")
        assert bob.get("/alice/gated/raw/main/.gitattributes").status_code == 403
        assert alice.get("/alice/gated/resolve/main/.gitattributes").status_code == 200


@pytest.mark.parametrize(("path", "data"), [("w.bin", LARGE), ("README.md", CARD), ("empty", b"")])
def test_ranges(served: Any, repo: Repo, path: str, data: bytes) -> None:
    edge = strategies.one_of(
        strategies.integers(0, len(data) + 2), strategies.sampled_from([1 << 20, (1 << 20) - 1, (1 << 20) + 1, 10**17])
    )

    with served.client("alice") as alice:

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(first=strategies.none() | edge, last=strategies.none() | edge)
        def check(first: int | None, last: int | None) -> None:
            asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
            found = alice.get(f"/alice/files/resolve/main/{path}", headers={"Range": asked})
            if first is None:
                expected = data[-last:] if last else b""
            else:
                expected = data[first : None if last is None else last + 1]
            if (first is None and last is None) or (first is not None and last is not None and last < first):
                assert (found.status_code, found.content) == (200, data), "no range at all"
            elif not expected:
                assert (found.status_code, found.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
            else:
                start = len(data) - len(expected) if first is None else first
                assert (found.status_code, found.content) == (206, expected)
                assert found.headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(data)}"
                assert found.headers["Content-Length"] == str(len(expected))

        check()


@pytest.mark.parametrize(
    "header", ["bytes=0-1,3-4", "items=0-1", "bytes=x-", "bytes=" + "9" * 5000 + "-", "bytes=-", "", "bytes=\u0661-2"]
)
def test_what_is_not_a_range_is_ignored(served: Any, repo: Repo, header: str) -> None:
    with served.client("alice") as alice:
        found = alice.get("/alice/files/resolve/main/README.md", headers={"Range": header.encode()})
        assert (found.status_code, found.content) == (200, CARD)


def test_a_range_of_a_file_that_changed(served: Any, repo: Repo) -> None:
    with served.client("alice") as alice:
        etag = alice.head("/alice/files/resolve/main/w.bin").headers["ETag"]
        for expected, status in {etag: 206, '"other"': 200}.items():
            headers = {"Range": "bytes=5-", "If-Range": expected}
            assert alice.get("/alice/files/resolve/main/w.bin", headers=headers).status_code == status


def test_every_read_is_audited(served: Any) -> None:
    audited = make_repo(served, "alice/audited")
    sha = commit(served, audited, {"a.txt": b"12345"})
    with served.client("alice") as alice:
        alice.get("/alice/audited/resolve/main/a.txt")
        alice.get("/alice/audited/resolve/main/a.txt", headers={"Range": "bytes=1-2"})
        alice.get("/alice/audited/raw/main/a.txt")
        alice.head("/alice/audited/resolve/main/a.txt")
        alice.get("/alice/audited/resolve/main/missing.txt")
    found = reads_of(served, "alice/audited")
    assert [(line["actor"], line["commit"], line["path"], line["bytes"]) for line in found] == [
        ("alice", sha, "a.txt", 5), ("alice", sha, "a.txt", 2), ("alice", sha, "a.txt", 5),
    ]  # fmt: skip
    assert [line["note"] for line in found] == ["", "bytes 1-2/5", "raw"]
    assert all(line["token_id"] and line["address"] == "127.0.0.1" for line in found)


def test_no_byte_without_its_line(served: Any, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with served.client("alice") as alice, monkeypatch.context() as broken:
        broken.setattr(audit, "record", full)
        for path in ("README.md", "w.bin"):
            found = alice.get(f"/alice/files/resolve/main/{path}")
            assert (found.status_code, found.json()["error"][:8]) == (507, "the Hub'")


def downloads(served: Any, repo: Repo) -> int:
    with served.hub.database.read() as session:
        return session.get(Repo, repo.id).downloads


def test_rights_end_at_once(served: Any) -> None:
    """What one request was answered says nothing for the next: neither of a role nor of a token is anything kept."""
    commit(served, make_repo(served, "radiology/at-once"), {"a.txt": b"x"})
    with served.hub.database.write() as session:
        org, dora = accounts.get_account(session, "radiology"), accounts.create_account(session, "dora")
        accounts.set_role(session, org, dora, "read")
        token, secret = accounts.create_token(session, dora, "laptop")
    api = "/api/models/radiology/at-once"
    addresses = ("/radiology/at-once/resolve/main/a.txt", api, f"{api}/tree/main")
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as client:
        assert [client.get(address).status_code for address in addresses] == [200] * 3
        with served.hub.database.write() as session:
            accounts.set_role(session, org, dora, None)
        assert [client.get(address).status_code for address in addresses] == [404] * 3
        with served.hub.database.write() as session:
            accounts.set_role(session, org, dora, "read")
        assert [client.get(address).status_code for address in addresses] == [200] * 3
        with served.hub.database.write() as session:
            session.execute(delete(Token).where(Token.id == token.id))
        assert [client.get(address).status_code for address in addresses] == [401] * 3


def test_a_download_counts_once(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = make_repo(served, "alice/counted", visibility="public")
    commit(served, counted, {f"{number}.txt": b"x" for number in range(20)})
    url = "/alice/counted/resolve/main/0.txt"
    with served.client("alice") as alice:
        alice.get(url)
        assert downloads(served, counted) == 0, "a browser that looks at a picture is no download"
        for _ in range(3):
            alice.get(url, headers={"X-HF-Download-Counter": "1"})
            alice.head(url, headers={"X-HF-Download-Counter": "1"})
        assert downloads(served, counted) == 1
    with served.client("bob") as bob:
        bob.get(url, headers={"User-Agent": "unknown/None; hf_hub/0.36.2; python/3.11"})
    assert downloads(served, counted) == 2, "another caller"
    with served.client("alice") as alice:
        monkeypatch.setattr(reads, "now", lambda: now() + reads.PAUSE)
        alice.get(url, headers={"X-HF-Download-Counter": "1"})
    assert downloads(served, counted) == 3, "after a pause it is another download"


def test_a_download_counts_once_whoever_serves_it(served: Any) -> None:
    """Another process of the Hub, or this one after a restart, learns from the log that a download is under way."""
    counted, alice = make_repo(served, "alice/twice"), principal(served)
    other = open_hub(served.hub.settings)
    for hub in (served.hub, other, served.hub):
        reads.record(hub, alice, counted, "file.read", counts=True)
    other.database.close()
    assert downloads(served, counted) == 1


def test_a_download_whose_line_failed_does_not_count(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, alice = make_repo(served, "alice/failed"), principal(served)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(audit, "record", full)
        with pytest.raises(OSError, match="No space"):
            reads.record(served.hub, alice, counted, "file.read", counts=True)
    assert downloads(served, counted) == 0
    reads.record(served.hub, alice, counted, "file.read", counts=True)
    assert downloads(served, counted) == 1


def test_of_recent_downloads_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (("model a/b", "alice", f"10.0.0.{number}") for number in range(3))
    recent = reads.Recent(most=2)
    for reading in (first, second, first, third):
        recent.add(reading)
    assert [recent.holds(reading) for reading in (first, second, third)] == [True, False, True]
    monkeypatch.setattr(reads, "now", lambda: now() + reads.PAUSE)
    assert not recent.holds(third)


def test_lost_bytes_are_no_empty_file(served: Any) -> None:
    lost = make_repo(served, "alice/lost")
    data = LARGE[1:]
    with served.client("alice") as alice:
        send(alice, "alice/lost", data)
        commit(served, lost, {"w.bin": data}, large=True)
        served.hub.blobs.delete(contents.lfs_key(sha256(data)))
        found = alice.get("/alice/lost/resolve/main/w.bin")
        assert (found.status_code, "X-Error-Code" in found.headers) == (404, False), (
            "the client must not remember this miss"
        )
        assert "fsck" in found.json()["error"]


def test_the_size_is_the_contents_not_the_pointers(served: Any) -> None:
    """A pointer that was pushed with a wrong size cannot make the Hub send too few bytes, or wait for more."""
    lying = make_repo(served, "alice/lying")
    data = LARGE[2:]
    with served.client("alice") as alice:
        oid = send(alice, "alice/lying", data)
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 17\n".encode()
        commit(served, lying, {"w.bin": pointer})
        assert alice.head("/alice/lying/resolve/main/w.bin").headers["Content-Length"] == str(len(data))
        assert alice.get("/alice/lying/resolve/main/w.bin").content == data


def test_shared_writes(served: Any) -> None:
    """Lines of many threads share transactions, each line once, the download once; failures reach who waits."""
    import threading

    counted = make_repo(served, "alice/shared")
    alice = principal(served)

    def read(number: int) -> None:
        for part in range(10):
            reads.record(served.hub, alice, counted, "file.read", path=f"{number}-{part}", counts=True)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["path"] for line in reads_of(served, "alice/shared")) == sorted(
        f"{a}-{b}" for a in range(8) for b in range(10)
    )

    assert downloads(served, counted) == 1

    def fails(session: Any) -> None:
        raise ZeroDivisionError

    group = reads.SharedWrites(served.hub.database)
    with pytest.raises(ZeroDivisionError):
        group.write(fails)
    done: list[int] = []
    group.write(lambda session: done.append(1))
    assert done == [1]
