"""Demos on the Hub: who may try a model, what reaches the worker and what comes back, and how workers start and end.

Most tests have a worker that starts at once and tells what reaches it, demo_worker.py; those at the end have the real
one, with an untrained model.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from clients import run
from conftest import TestHub, people
from sqlalchemy import select
from web_client import Browser, Page, card, give_passwords, make, put

from medhub.server import demos as workers
from medhub.server import repositories
from medhub.server.access import OPERATOR
from medhub.server.demos import Demo, Demos
from medhub.server.hub import open_hub
from medhub.server.routes import demos as routes
from medhub.server.serve import running
from medhub.server.settings import Settings
from medhub.server.tables import AuditRecord, Repo

STAND_IN = (sys.executable, str(Path(__file__).parent / "demo_worker.py"))
FILES = {"README.md": card("x"), "config.json": b"{}", "model.safetensors": b"weights", "processor.json": b"{}"}
START = 240
"""Seconds that a real worker is waited for: it takes 10 on a machine at rest, 60 on a loaded one."""


@pytest.fixture(scope="module")
def opened() -> list[Demos]:
    """The demos of each Hub that this module opens."""
    return []


@pytest.fixture(scope="module")
def settings(opened: list[Demos]) -> Iterator[dict[str, Any]]:
    """Two demos at once, and their supervisor in sight."""

    def create(hub: Any) -> Demos:
        opened.append(Demos(hub))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medhub.server.serve.Demos", create)
        yield {"demos": 2}


@pytest.fixture(scope="module")
def demos(served: TestHub, opened: list[Demos]) -> Demos:
    return opened[0]


@pytest.fixture(scope="module", autouse=True)
def passwords(served: TestHub) -> None:
    give_passwords(served)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, served: TestHub, demos: Demos) -> Iterator[None]:
    """Workers are demo_worker.py; those of this test end with it."""
    monkeypatch.setattr(workers, "WORKER", STAND_IN)
    yield
    with served.hub.database.read() as session:
        repos = session.execute(select(Repo)).scalars().all()
    left = [demo for repo in repos if (demo := demos.running(repo.id))]
    for demo in left:
        wait_for(lambda demo=demo: leave_alone(demo) or gone(demo))  # type: ignore[misc]


def wait_for(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Return what the condition returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def gone(demo: Demo) -> bool:
    """Whether nothing of a worker is left."""
    return not demo.folder.exists() and (demo.process is None or demo.process.returncode is not None)


def leave_alone(demo: Demo) -> None:
    """Let a day pass without a request."""
    demo.used -= 24 * 3600


def started(browser: Browser, name: str, *, seconds: float = 60) -> tuple[Page, str]:
    """Open the page "Try it" as somebody, until the demo is ready; return the page and the demo's address."""

    def look() -> tuple[Page, str] | None:
        page = browser.get(f"/{name}/try")
        frames = page.all("iframe")
        assert frames or page.status == 200, page.text
        return (page, frames[0]["src"]) if frames else None

    return wait_for(look, seconds=seconds)


def demo_of(served: TestHub, demos: Demos, repo: Repo) -> Demo:
    """Return a repository's demo, which runs."""
    demo = demos.running(repo.id)
    assert demo
    return demo


def echo(place: str, **more: Any) -> dict[str, Any]:
    """Ask the worker that stands in what reached it."""
    return httpx.get(f"{place}echo", trust_env=False, timeout=60, **more).raise_for_status().json()


# who may, and where it shows


def test_the_tab_is_on_models_of_medhub(stand_in: None, served: TestHub, alice: Browser) -> None:
    make(served, "alice/shown", FILES)
    make(served, "alice/foreign", {**FILES, "README.md": b"---\nlibrary_name: timm\n---\n"})
    make(served, "alice/numbers", FILES, kind="dataset")
    assert [link["href"] for link in alice.get("/alice/shown").all("a") if link.inside == "Try it"] == [
        "/alice/shown/try"
    ]
    assert "Try it" not in alice.get("/alice/foreign").text + alice.get("/datasets/alice/numbers").text
    assert alice.get("/alice/foreign/try").status == 404


def test_the_page_says_that_it_starts_and_then_frames_the_demo(stand_in: None, served: TestHub, alice: Browser) -> None:
    make(served, "alice/framed", FILES)
    page = alice.get("/alice/framed/try")
    assert "The demo is starting" in page.text
    assert page.response.headers["Refresh"] == "2", "the page goes on without a script"
    page, place = started(alice, "alice/framed")
    assert "Refresh" not in page.response.headers
    (frame,) = page.all("iframe")
    assert "allow-same-origin" not in frame["sandbox"]
    assert place.startswith(f"{served.url}/api/demos/")
    assert page.response.headers["Content-Security-Policy"].endswith(f"frame-src {place}")
    assert "frame-src" not in alice.get("/alice/framed").response.headers["Content-Security-Policy"]
    assert "medhub demo alice/framed" in page.all("noscript")[0].inside
    assert "For research only; not a medical device." in page.text


def test_only_readers_see_ask_or_start_a_demo(
    stand_in: None, served: TestHub, demos: Demos, browse: Callable[..., Browser], alice: Browser, bob: Browser
) -> None:
    secret = make(served, "alice/secret", FILES, visibility="private")
    for other, status in ((bob, 404), (browse(), 200)):
        page = other.get("/alice/secret/try")
        assert (page.status, page.path.partition("?")[0]) == (
            status,
            "/alice/secret/try" if status == 404 else "/login",
        )
        assert "starting" not in page.text
    assert demos.running(secret.id) is None
    _, place = started(alice, "alice/secret")
    assert echo(place)["method"] == "GET"
    # a statement on another repository, or none, opens nothing, whoever signs in
    foreign = make(served, "bob/own", FILES, who="bob")
    _, bobs = started(bob, "bob/own")
    for wrong in (place[:-9] + "AAAAAAAA/", f"{served.url}/api/demos/x/"):
        assert bob.client.get(f"{wrong}echo").status_code == 403
    assert echo(bobs)["pid"] == demo_of(served, demos, foreign).process.pid  # type: ignore[union-attr]


def test_a_gated_model_is_for_those_who_were_let_in(
    stand_in: None, served: TestHub, alice: Browser, bob: Browser
) -> None:
    repo = make(served, "alice/gated", FILES)
    repositories.update(served.hub, OPERATOR, repo, gated="manual")
    refused = bob.get("/alice/gated/try")
    assert refused.status == bob.get("/alice/gated/blob/main/README.md").status == 403
    assert "Try it" not in bob.get("/alice/gated").text


def test_the_right_is_looked_up_at_every_request(
    stand_in: None, served: TestHub, demos: Demos, bob: Browser, browse: Callable[..., Browser]
) -> None:
    repo = make(served, "alice/closing", FILES)
    _, place = started(bob, "alice/closing")
    assert echo(place)["body"] == 0
    repositories.update(served.hub, OPERATOR, repo, visibility="private")
    assert httpx.get(f"{place}echo", trust_env=False).status_code == 404
    repositories.update(served.hub, OPERATOR, repo, visibility="public")
    assert echo(place)["body"] == 0
    repositories.move(served.hub, OPERATOR, repo, namespace="alice", name="closed")
    assert echo(place)["body"] == 0, "an open page goes on under the new name"
    assert bob.get("/alice/closing/try").path == "/alice/closed/try"
    carol = browse("carol")
    _, hers = started(carol, "alice/closed")
    carol.submit("/", "/logout")
    ended = httpx.get(f"{hers}echo", trust_env=False)
    assert (ended.status_code, "WWW-Authenticate" in ended.headers) == (403, False)
    demo = demo_of(served, demos, repo)
    repositories.delete(served.hub, OPERATOR, repo)
    assert httpx.get(f"{place}echo", trust_env=False).status_code == 404
    wait_for(lambda: gone(demo))


# what passes


def test_a_worker_learns_nothing_of_who_asks_and_gives_no_cookies(
    stand_in: None, served: TestHub, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDHUB_HUB_SECRET", "s")
    monkeypatch.setenv("HF_TOKEN", "hf_s")
    make(served, "alice/asked", FILES)
    _, place = started(alice, "alice/asked")
    headers = {"Authorization": "Bearer hf_x", "X-Forwarded-For": "10.0.0.9", "Connection": "close"}
    answer = alice.client.get(f"{place}echo?a=%2F", headers=headers)
    told = answer.json()
    assert told["path"] == f"{urlsplit(place).path}echo?a=%2F"
    assert set(told["headers"]) <= {*routes.TO_WORKER, "host", "x-forwarded-proto", "x-forwarded-prefix"}
    assert told["headers"]["host"] == urlsplit(served.url).netloc
    assert told["headers"]["x-forwarded-prefix"] == urlsplit(place).path.rstrip("/")
    assert not {"set-cookie", "location"} & {*answer.headers}
    assert answer.headers["Access-Control-Allow-Origin"] == "null"
    policy = dict(part.partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert policy["connect-src"] == f"{place} data: blob:"
    assert "http" not in json.dumps(policy).replace(place, "")
    assert not {"MEDHUB_HUB_SECRET", "HF_TOKEN"} & {*told["environment"]}
    assert told["environment"]["HF_HUB_OFFLINE"] == "1"
    files = alice.client.get(f"{place}gradio_api/file=x.html")
    assert files.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_the_worker_knows_the_public_address(stand_in: None, served: TestHub, alice: Browser) -> None:
    make(served, "alice/public", FILES)
    _, place = started(alice, "alice/public")
    public = {"Host": "hub.example", "X-Forwarded-Proto": "https"}  # as a proxy in front says it
    answer = httpx.get(f"{place}echo", headers=public, trust_env=False)
    told = answer.json()["headers"]
    assert (told["host"], told["x-forwarded-proto"]) == ("hub.example", "https")
    assert f"connect-src https://hub.example{urlsplit(place).path}" in answer.headers["Content-Security-Policy"]


def test_uploads_stream_and_have_a_limit(stand_in: None, served: TestHub, alice: Browser) -> None:
    make(served, "alice/upload", FILES)
    _, place = started(alice, "alice/upload")

    def pieces(count: int) -> Iterator[bytes]:
        yield from (bytes(1 << 20) for _ in range(count))

    whole = httpx.post(f"{place}echo", content=bytes(5_000_000), trust_env=False, timeout=60).json()
    assert (whole["method"], whole["body"], whole["headers"]["content-length"]) == ("POST", 5_000_000, "5000000")
    assert httpx.post(f"{place}echo", content=pieces(3), trust_env=False, timeout=60).json()["body"] == 3 << 20
    with closing(HTTPConnection(urlsplit(place).netloc, timeout=60)) as connection:
        connection.putrequest("POST", f"{urlsplit(place).path}echo")
        connection.putheader("Content-Length", str(routes.UPLOAD + (2 << 20)))
        connection.endheaders()
        assert connection.getresponse().status == 413, "refused before it is sent"
    assert echo(place)["body"] == 0


def test_events_come_as_they_happen_and_hanging_up_reaches_the_worker(
    stand_in: None, served: TestHub, demos: Demos, alice: Browser
) -> None:
    repo = make(served, "alice/events", FILES)
    _, place = started(alice, "alice/events")
    demo = demo_of(served, demos, repo)
    with httpx.stream("GET", f"{place}events", trust_env=False, timeout=60) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        events = response.iter_lines()  # without a name it would be gone at once, and the stream with it
        assert next(events) == "data: now"
        assert demo.asking == 1
    wait_for(lambda: (demo.folder / "hung-up").exists())
    wait_for(lambda: demo.asking == 0)
    with httpx.stream("GET", f"{place}gradio_api/heartbeat/events", trust_env=False, timeout=60) as response:
        events = response.iter_lines()
        assert next(events) == "data: now"
        assert demo.asking == 0, "an open page alone does not keep a demo"


def test_a_sandboxed_page_may_ask_and_nobody_else_is_let_in(stand_in: None, served: TestHub, alice: Browser) -> None:
    make(served, "alice/cors", FILES)
    _, place = started(alice, "alice/cors")
    asked = {
        "Origin": "null",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    permitted = httpx.options(f"{place}gradio_api/queue/join", headers=asked, trust_env=False)
    assert permitted.status_code == 204
    assert permitted.headers["Access-Control-Allow-Origin"] == "null"
    assert permitted.headers["Access-Control-Allow-Headers"] == "content-type"
    # what another site makes a browser send has the cookie at most, which opens no demo
    forged = alice.client.post("/api/demos/alice/gradio_api/queue/join", headers={"Origin": "https://evil.example"})
    assert forged.status_code == 403


def test_the_audit_log_tells_who_tried_what_and_not_with_what(stand_in: None, served: TestHub, alice: Browser) -> None:
    make(served, "alice/logged", FILES)
    _, place = started(alice, "alice/logged")
    httpx.post(f"{place}gradio_api/call/predict?patient=4711", json={"data": ["4711"]}, trust_env=False)
    with served.hub.database.read() as session:
        lines = session.execute(select(AuditRecord).where(AuditRecord.repo == "model alice/logged")).scalars().all()
    found = [(line.action, line.actor, line.path, line.bytes, line.note) for line in lines if "demo" in line.action]
    assert found == [("demo.open", "alice", "", 0, ""), ("demo.use", "alice", "", 0, "")]


# what runs, and for how long


def test_a_worker_gets_the_model_and_no_code(stand_in: None, served: TestHub, alice: Browser) -> None:
    code = {name: b"raise SystemExit" for name in ("app.py", "json.py", "sitecustomize.py", "pkg/x.json", "run.sh")}
    make(served, "alice/code", {**FILES, "labels.json": b"{}", **code})
    _, place = started(alice, "alice/code")
    assert echo(place)["files"] == ["README.md", "config.json", "labels.json", "model.safetensors", "processor.json"]


def test_two_first_visitors_start_one_worker(stand_in: None, served: TestHub, demos: Demos) -> None:
    repo = make(served, "alice/both", FILES)
    head = served.hub.git.open(repo.id).head("refs/heads/main")
    assert head
    found: list[Demo] = []
    barrier = threading.Barrier(8)

    def visit() -> None:
        barrier.wait()
        found.append(demos.open(repo, head))

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(demo) for demo in found}) == 1
    wait_for(lambda: demos.running(repo.id))


def test_a_crash_touches_no_other_demo_and_the_next_visitor_gets_a_new_one(
    stand_in: None, served: TestHub, demos: Demos, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make(served, "alice/crash", FILES), make(served, "alice/calm", FILES)
    _, place = started(alice, "alice/crash")
    _, calm = started(alice, "alice/calm")
    crashed = demo_of(served, demos, one)
    assert crashed.process
    os.kill(crashed.process.pid, signal.SIGKILL)
    wait_for(lambda: gone(crashed))
    assert httpx.get(f"{place}echo", trust_env=False).status_code == 503
    page = alice.get("/alice/crash/try")
    assert page.status == 503
    assert "ended unexpectedly (by signal SIGKILL)" in page.alert
    assert 0 < int(page.response.headers["Retry-After"]) <= 60, "not tried again in a loop"
    assert echo(calm)["pid"] == demo_of(served, demos, other).process.pid  # type: ignore[union-attr]
    monkeypatch.setattr(workers.time, "monotonic", _later(workers.PAUSE))
    _, place = started(alice, "alice/crash")
    assert echo(place)["pid"] != crashed.process.pid


def _later(seconds: float) -> Callable[[], float]:
    now = time.monotonic
    return lambda: now() + seconds


def test_a_worker_that_dies_in_the_middle_of_an_answer_is_an_answer(
    stand_in: None, served: TestHub, alice: Browser
) -> None:
    make(served, "alice/dies", FILES)
    _, place = started(alice, "alice/dies")
    died = httpx.get(f"{place}die", trust_env=False, timeout=60)
    assert died.status_code == 503
    assert "load the page again" in died.json()["error"]


def test_a_demo_that_nobody_uses_is_stopped(stand_in: None, served: TestHub, demos: Demos, alice: Browser) -> None:
    repo = make(served, "alice/idle", FILES)
    _, place = started(alice, "alice/idle")
    demo = demo_of(served, demos, repo)
    with httpx.stream("GET", f"{place}events", trust_env=False, timeout=60) as response:
        events = response.iter_lines()
        next(events)
        leave_alone(demo)
        assert demo.idle == 0, "one that answers somebody is in use"
    wait_for(lambda: leave_alone(demo) or gone(demo))
    _, place = started(alice, "alice/idle")
    again = demo_of(served, demos, repo)
    again.started -= workers.LONGEST
    wait_for(lambda: gone(again))


def test_as_many_run_as_may_and_the_longest_idle_makes_room(
    stand_in: None, served: TestHub, demos: Demos, alice: Browser
) -> None:
    one, two, three = (make(served, f"alice/number{number}", FILES) for number in (1, 2, 3))
    started(alice, "alice/number1")
    started(alice, "alice/number2")
    page = alice.get("/alice/number3/try")
    assert page.status == 503
    assert "2 demos are in use" in page.alert
    assert int(page.response.headers["Retry-After"]) <= 60
    first = demo_of(served, demos, one)
    first.used -= workers.BUSY
    started(alice, "alice/number3")
    wait_for(lambda: gone(first))
    assert demos.running(one.id) is None
    assert demos.running(two.id)
    assert demos.running(three.id)


def test_a_demo_that_takes_too_much_memory_is_stopped(
    stand_in: None, served: TestHub, demos: Demos, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demos, "memory", 256 << 20)
    repo = make(served, "alice/memory", FILES)
    _, place = started(alice, "alice/memory")
    demo = demo_of(served, demos, repo)
    httpx.get(f"{place}grow", trust_env=False, timeout=60)
    wait_for(lambda: gone(demo))
    assert "it took more than 256 MiB of memory" in alice.get("/alice/memory/try").alert
    monkeypatch.setattr(demos, "memory", 4)
    make(served, "alice/heavy", FILES)
    assert "files have" in wait_for(lambda: alice.get("/alice/heavy/try").alert)


def test_a_demo_that_holds_too_many_files_is_stopped(
    stand_in: None, served: TestHub, demos: Demos, alice: Browser
) -> None:
    repo = make(served, "alice/disk", FILES)
    started(alice, "alice/disk")
    demo = demo_of(served, demos, repo)
    with open(demo.folder / "tmp" / "given", "wb") as file:
        file.truncate(workers.DISK + 1)
    wait_for(lambda: gone(demo))
    assert "GiB of files" in alice.get("/alice/disk/try").alert


def test_a_new_commit_leads_to_a_new_worker(stand_in: None, served: TestHub, demos: Demos, alice: Browser) -> None:
    repo = make(served, "alice/moves", FILES)
    started(alice, "alice/moves")
    old = demo_of(served, demos, repo)
    put(served, repo, {"labels.json": b"{}"})
    _, place = started(alice, "alice/moves")
    assert "labels.json" in echo(place)["files"]
    wait_for(lambda: gone(old))


def test_a_demo_that_does_not_start_says_why(
    stand_in: None, served: TestHub, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(served, "alice/broken", {name: data for name, data in FILES.items() if name != "model.safetensors"})
    alert = wait_for(lambda: alice.get("/alice/broken/try").alert)
    assert alert == "The model could not be loaded: alice/broken holds no model.safetensors"
    make(served, "alice/slow", {**FILES, "slow.json": b"{}"})
    monkeypatch.setattr(workers, "START", 0.1)
    assert "was not ready within 0.1 seconds" in wait_for(lambda: alice.get("/alice/slow/try").alert)


def test_demos_can_be_turned_off(stand_in: None, served: TestHub, tmp_path: Path) -> None:
    hub = open_hub(Settings(data=tmp_path / "hub", port=0, demos=0))
    tokens = people(hub)
    with running(hub) as url:
        off = TestHub(hub, url, tokens)
        give_passwords(off)
        make(off, "alice/tox", FILES)
        with closing(Browser(off, "alice")) as alice:
            assert "Try it" not in alice.get("/alice/tox").text
            assert alice.get("/alice/tox/try").status == 404
    hub.database.close()


def test_workers_end_with_the_hub_and_leave_nothing(stand_in: None, opened: list[Demos], tmp_path: Path) -> None:
    hub = open_hub(Settings(data=tmp_path / "hub", port=0))
    tokens = people(hub)
    with running(hub) as url:
        other = TestHub(hub, url, tokens)
        give_passwords(other)
        repo = make(other, "alice/tox", FILES)
        with closing(Browser(other, "alice")) as alice:
            _, place = started(alice, "alice/tox")
        demo = demo_of(other, opened[-1], repo)
        stack = ExitStack()
        page = stack.enter_context(httpx.stream("GET", f"{place}gradio_api/heartbeat/events", trust_env=False))
        lines = page.iter_lines()
        assert next(lines) == "data: now"
    with stack:
        assert {*lines} <= {"", "data: now"}, "an open page does not hold the Hub up; its stream ends"
    assert gone(demo)
    assert list((tmp_path / "hub" / "demos").iterdir()) == []
    hub.database.close()


# the worker itself


def ask(place: str, *values: Any) -> tuple[str, Any]:
    """Call the demo's `predict` as its page does, and return the kind of its last event with the event's data."""
    with httpx.Client(trust_env=False, timeout=120, headers={"Origin": "null"}) as client:
        event = client.post(f"{place}gradio_api/call/predict", json={"data": values}).raise_for_status().json()
        lines = client.get(f"{place}gradio_api/call/predict/{event['event_id']}").raise_for_status().text
    kind, data = lines.strip().split("\n\n")[-1].split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_a_pushed_model_answers(served: TestHub, demos: Demos, alice: Browser, untrained: Path) -> None:
    api = served.api("alice")
    api.create_repo("alice/tox", private=False)
    api.upload_folder(repo_id="alice/tox", folder_path=untrained)
    _, place = started(alice, "alice/tox", seconds=START)
    page = httpx.get(place, trust_env=False)
    assert page.headers["Content-Type"].startswith("text/html")
    kind, data = ask(place, "OC(=O)c1ccccc1OC(C)=O")
    assert kind == "complete"
    assert '"model": "alice/tox"' in json.dumps(data), "the record names the model, not the Hub's folder"
    files = re.findall(r'"url": "([^"]+)"', json.dumps(data))
    assert files
    for file in files:
        assert file.startswith(place)
        assert httpx.get(file, trust_env=False).headers["Content-Disposition"] == "attachment"
    kind, message = ask(place, "C1CC")
    assert kind == "error"
    assert "C1CC" in json.dumps(message)
    with served.hub.database.read() as session:
        demo = demos.running(session.execute(select(Repo.id).where(Repo.path == "alice/tox")).scalar_one())
    assert demo
    assert demo.process
    assert re.search(r"Max core file size +0 +0", Path(f"/proc/{demo.process.pid}/limits").read_text())
    folder = demo.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert any((folder / "gradio").iterdir()), "what visitors give and get lies in the worker's own folder"


def test_a_model_that_does_not_fit_its_processor_is_one_sentence(
    served: TestHub, alice: Browser, untrained: Path
) -> None:
    files = {path.name: path.read_bytes() for path in untrained.iterdir()}
    config = json.loads(files["config.json"]) | {"processor_sha256": "0" * 64}
    make(served, "alice/unfit", {**files, "config.json": json.dumps(config).encode()})
    alert = wait_for(lambda: alice.get("/alice/unfit/try").alert, seconds=START)
    assert "alice/unfit/processor.json is not the one that the weights were trained with" in alert
    assert str(served.hub.settings.data) not in alert


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path, untrained: Path) -> None:
    private = tmp_path / "p"
    private.mkdir()
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice" / "tox").symlink_to(untrained)
    parent = f"""
        import subprocess, sys
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "medhub.demo.worker", "alice/tox", "--socket", {str(private / "socket")!r},
             "--memory", str(4 << 30), "--upload", "1000000"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )
        print(worker.pid, worker.stdout.readline(), flush=True)
        import os; os.kill(os.getpid(), 9)
    """
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(parent))
    said = run([sys.executable, script], {**os.environ, "HF_HUB_OFFLINE": "1"}, tmp_path, fails=True)
    pid, line = said.splitlines()[-1].split()
    assert line == repr(b"ready\n")
    wait_for(lambda: not private.exists())
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "(zombie)" in Path(f"/proc/{pid}/status").read_text())
