"""Rate limits: what the client reads from a refusal, windows that end, bounded memory, attempts at secrets."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from huggingface_hub.utils import parse_ratelimit_headers

from medhub.server.errors import TooManyRequests, Unauthenticated
from medhub.server.limits import ATTEMPTS, Limits, Window


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"requests": 20}


def refused(window: Window, key: str) -> bool:
    try:
        window.count(key)
    except TooManyRequests:
        return True
    return False


def test_each_key_has_its_own_quota_in_each_window() -> None:
    window = Window(3, seconds=0.3)
    assert [refused(window, "a") for _ in range(5)] == [False] * 3 + [True] * 2
    assert not refused(window, "b")
    time.sleep(0.35)
    assert [refused(window, "a") for _ in range(5)] == [False] * 3 + [True] * 2


def test_the_client_reads_when_to_come_back() -> None:
    window = Window(1)
    window.count("a")
    with pytest.raises(TooManyRequests) as refusal:
        window.count("a")
    found = parse_ratelimit_headers(refusal.value.headers)
    assert (found.resource_type, found.remaining, found.limit, found.window_seconds) == ("api", 0, 1, 300)
    assert 298 <= found.reset_in_seconds <= 300
    assert refusal.value.headers["Retry-After"] == str(found.reset_in_seconds)


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    window = Window(1, keys=100)
    for number in range(10_000):
        window.count(f"{number}")
    assert len(window._counts) == 100
    assert refused(window, "9999")
    assert not refused(window, "0")


def test_many_at_once_are_counted_exactly() -> None:
    window, passed = Window(500), []
    threads = [
        threading.Thread(target=lambda: passed.extend(not refused(window, "a") for _ in range(200))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 500
    assert len(passed) == 1600


def test_attempts_fail_ten_times_and_successes_do_not_count() -> None:
    limits, tried = Limits(1000), 0
    for _ in range(2 * ATTEMPTS):
        with limits.attempt("alice", "10.0.0.1"):
            pass
    for _ in range(ATTEMPTS):
        with pytest.raises(Unauthenticated), limits.attempt("alice", "10.0.0.1"):
            raise Unauthenticated("wrong")
    with pytest.raises(TooManyRequests), limits.attempt("ALICE", "10.0.0.1"):
        tried += 1
    assert tried == 0, "a right password must not pass either, or guessing goes on"
    for name, address in (("bob", "10.0.0.1"), ("alice", "10.0.0.2")):
        with limits.attempt(name, address):
            tried += 1
    assert tried == 2


def test_what_breaks_inside_an_attempt_is_no_failure_of_the_person() -> None:
    limits = Limits(1000)
    for _ in range(2 * ATTEMPTS):
        with pytest.raises(ZeroDivisionError), limits.attempt("alice", ""):
            raise ZeroDivisionError


def test_an_account_that_asks_too_often_waits_and_others_do_not(served) -> None:
    with served.client("bob") as bob, served.client("alice") as alice:
        codes = [bob.get("/api/models/alice/nothing/discussions").status_code for _ in range(22)]
        assert codes == [404] * 20 + [429] * 2
        last = bob.get("/api/models/alice/nothing/discussions")
        found = parse_ratelimit_headers(last.headers)
        assert found.remaining == 0
        assert found.limit == 20
        assert "20" in last.json()["error"]
        assert alice.get("/api/models/alice/nothing/discussions").status_code == 404


def test_wrong_tokens_are_limited_but_never_the_right_ones(served) -> None:
    def ask(token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{served.url}/api/models/a/b/discussions", headers=headers, trust_env=False)

    codes = [ask(f"hf_wrong{number}").status_code for number in range(ATTEMPTS + 2)]
    assert codes == [401] * ATTEMPTS + [429] * 2
    assert ask(served.tokens["root"]).status_code == 404
    git = httpx.get(f"{served.url}/api/models/a/b/discussions", auth=("dave", "hf_wrong"), trust_env=False)
    assert git.status_code == 401, "another name has attempts of its own"
