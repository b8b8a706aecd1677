"""Device logins: the client's own flow against a real Hub, and every way in which it must not give out a token."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import DeviceCodeError
from huggingface_hub.utils._oauth_device import poll_device_token, refresh_access_token, request_device_code
from sqlalchemy import func, select, update

from medhub.server import accounts, audit, devices
from medhub.server.access import Principal
from medhub.server.errors import Forbidden, NotFound, TooManyRequests
from medhub.server.limits import ATTEMPTS, Limits
from medhub.server.tables import DeviceLogin, Token, now


@pytest.fixture(autouse=True)
def client(served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client, pointed at the Hub; it asks every second, where people would let it wait for five."""
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    monkeypatch.setattr(devices, "INTERVAL", 1)


def session_of(served, name: str) -> Principal:
    """Return somebody who is signed in with a browser."""
    with served.hub.database.write() as session:
        user = accounts.get_account(session, name)
        _, secret = accounts.create_token(session, user, "browser", role="session")
        return accounts.authenticate(session, secret)


def answer(served, name: str, code: str, *, approve: bool = True) -> None:
    principal = session_of(served, name)
    with served.hub.database.write() as session:
        (devices.approve if approve else devices.deny)(session, principal, code)


def error_of(info: Any) -> str | None:
    with pytest.raises(DeviceCodeError) as refusal:
        poll_device_token(info)
    return refusal.value.error_code


def test_the_client_waits_until_somebody_approves(served) -> None:
    info = request_device_code()
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", info["user_code"])
    assert info["verification_uri"] == f"{served.url}/device"
    assert info["expires_in"] == 900
    waiting = threading.Event()
    approval = threading.Thread(target=lambda: (waiting.wait(20), answer(served, "alice", info["user_code"])))
    approval.start()
    found = poll_device_token(info, on_pending=waiting.set)
    approval.join()
    assert waiting.is_set()
    assert found["token_type"] == "bearer"
    assert found["expires_in"] == 30 * 86400
    with served.hub.database.read() as session:
        principal = accounts.authenticate(session, found["access_token"])
        token = session.get_one(Token, principal.token_id)
        lines = [(line["action"], line["actor"]) for line in audit.lines(session)]
    assert (principal.name, principal.token_role) == ("alice", "write")
    assert token.name == f"device login {now():%Y-%m-%d}"
    assert token.expires
    assert lines[-2:] == [("device.approve", "alice"), ("token.create", "alice")]
    assert error_of(info) == "invalid_grant", "a device code is good for one token"


def test_hf_auth_login(served, tmp_path: Path) -> None:
    hf = Path(sys.executable).with_name("hf")
    environment = served.environment(tmp_path, None)
    with subprocess.Popen(
        [hf, "auth", "login"], env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as login:  # fmt: skip
        printed = ""
        for line in login.stdout:
            printed += line
            if code := re.search(r"\b[A-Z]{4}-[A-Z]{4}\b", line):
                answer(served, "bob", code[0])
                break
        printed += login.stdout.read()
    assert login.returncode == 0, printed
    who = subprocess.run([hf, "auth", "whoami"], env=environment, text=True, capture_output=True, check=True)
    assert "bob" in who.stdout


def test_denied_expired_and_unknown_codes_give_nothing(served) -> None:
    denied, expired = request_device_code(), request_device_code()
    answer(served, "bob", denied["user_code"], approve=False)
    assert error_of(denied) == "access_denied"
    with served.hub.database.write() as session:
        late = update(DeviceLogin).where(DeviceLogin.user_code == expired["user_code"])
        session.execute(late.values(expires=now() - timedelta(seconds=1)))
    with pytest.raises(NotFound):
        answer(served, "bob", expired["user_code"])
    assert error_of(expired) == "expired_token"
    assert error_of(expired | {"device_code": "guess"}) == "invalid_grant"


def test_a_user_code_is_no_device_code(served) -> None:
    info = request_device_code()
    answer(served, "alice", info["user_code"])
    assert error_of(info | {"device_code": info["user_code"]}) == "invalid_grant"
    with pytest.raises(NotFound):  # nor can somebody else take over what was approved
        answer(served, "bob", info["user_code"])


def test_people_may_type_the_code_as_they_like(served) -> None:
    for shape in (str.lower, lambda code: code.replace("-", ""), lambda code: f" {code.replace('-', ' ')} "):
        info = request_device_code()
        answer(served, "alice", shape(info["user_code"]))
        assert "access_token" in poll_device_token(info)


def test_only_full_rights_let_a_device_in(served) -> None:
    """A token that may only read would otherwise make itself one that may write."""
    info = request_device_code()
    scopes = [{"type": "user", "name": "alice", "permissions": ["repo.admin"]}]
    with served.hub.database.write() as session:
        alice = accounts.get_account(session, "alice")
        secrets = [
            accounts.create_token(session, alice, "r")[1],
            accounts.create_token(session, alice, "f", role="fineGrained", scopes=scopes)[1],
        ]
        weak = [accounts.authenticate(session, secret) for secret in secrets]
    for principal in [*weak, Principal()]:
        with pytest.raises(Forbidden), served.hub.database.write() as session:
            devices.approve(session, principal, info["user_code"])


def test_a_disabled_account_gets_no_token(served) -> None:
    info = request_device_code()
    with served.hub.database.write() as session:
        accounts.create_account(session, "dora")
    answer(served, "dora", info["user_code"])
    with served.hub.database.write() as session:
        accounts.get_account(session, "dora").disabled = True
    assert error_of(info) == "access_denied"


def test_guessing_user_codes_ends_after_ten(served) -> None:
    limits, principal = Limits(1000), session_of(served, "bob")
    for _ in range(ATTEMPTS):
        with pytest.raises(NotFound), limits.attempt("bob", ""), served.hub.database.write() as session:
            devices.approve(session, principal, "BBBB-BBBB")
    with pytest.raises(TooManyRequests), limits.attempt("bob", ""):
        raise AssertionError("the eleventh guess was looked at")


def test_old_logins_are_swept_as_new_ones_begin(served) -> None:
    for _ in range(3):
        request_device_code()
    with served.hub.database.write() as session:
        session.execute(update(DeviceLogin).values(expires=now() - timedelta(hours=1)))
    request_device_code()
    with served.hub.database.read() as session:
        assert session.execute(select(func.count()).select_from(DeviceLogin)).scalar() == 1


def test_other_grants_are_refused_in_the_clients_words(served) -> None:
    with pytest.raises(DeviceCodeError) as refusal:
        refresh_access_token("hf_old")
    assert refusal.value.error_code == "invalid_grant"
    with served.client(None) as stranger:
        exchange = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "x"}
        for found in (stranger.post("/oauth/token", json=exchange), stranger.post("/oauth/token", data=exchange)):
            assert (found.status_code, found.json()["error"]) == (400, "unsupported_grant_type")
        assert stranger.post("/oauth/token", data={"grant_type": "x" * 100_000}).status_code == 413


def test_deleting_an_account_ends_the_logins_that_it_approved(served) -> None:
    info = request_device_code()
    with served.hub.database.write() as session:
        accounts.create_account(session, "gone")
    answer(served, "gone", info["user_code"])
    with served.hub.database.write() as session:
        session.delete(accounts.get_account(session, "gone"))
    assert error_of(info) == "invalid_grant"
