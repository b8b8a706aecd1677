"""Gated repositories: asking, the client's handling of requests, what each answer opens and what stays shut."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from sqlalchemy import delete, func, select

from medhub.server import accounts, audit, gating
from medhub.server.access import Right, right_on
from medhub.server.tables import AccessRequest, Account, Repo


@pytest.fixture(scope="module")
def people(served) -> dict[str, str]:
    """Accounts beside those that the Hub of the tests has, by their ids."""
    with served.hub.database.write() as session:
        for name in ("dave", "erin"):
            user = accounts.create_account(session, name, fullname=name.title(), email=f"{name}@hospital.example")
            served.tokens[name] = accounts.create_token(session, user, "t", role="write")[1]
        return {name: accounts.get_account(session, name).id for name in ("alice", "bob", "dave", "erin")}


def make(served, name: str, gated: str | bool = "manual") -> str:
    api = served.api(name.split("/")[0])
    api.create_repo(name, visibility="public")
    api.update_repo_settings(name, gated=gated)
    return name


def ask(served, who: str | None, name: str, **body: Any) -> Any:
    with served.client(who) as client:
        return client.post(f"/api/models/{name}/ask-access", json=body)


def may_read(served, who: str, name: str) -> bool:
    with served.hub.database.read() as session:
        principal = accounts.authenticate(session, served.tokens[who])
        repo = session.execute(select(Repo).where(Repo.path == name)).scalar_one()
        return right_on(session, principal, repo, anonymous=False) >= Right.READ


def status_of(call: Any, *arguments: Any, **more: Any) -> int:
    with pytest.raises(HfHubHTTPError) as refusal:
        call(*arguments, **more)
    return refusal.value.response.status_code


def test_from_the_question_to_the_files(served, people: dict[str, str]) -> None:
    name, alice = make(served, "alice/manual"), served.api("alice")
    assert not may_read(served, "bob", name)
    answer = ask(served, "bob", name, reason="for the stroke study")
    assert answer.json()["status"] == "pending"
    assert not may_read(served, "bob", name)
    assert ask(served, "bob", name, reason="again").json()["requestId"] == answer.json()["requestId"], "asked once"
    (request,) = alice.list_pending_access_requests(name)
    assert (request.username, request.fullname, request.email) == ("bob", "bob", "bob@hospital.example")
    assert (request.status, request.fields) == ("pending", {"reason": "for the stroke study"})
    alice.accept_access_request(name, "bob")
    assert may_read(served, "bob", name)
    assert not may_read(served, "dave", name)
    assert [one.username for one in alice.list_accepted_access_requests(name)] == ["bob"]
    alice.reject_access_request(name, request_id=request.request_id, rejection_reason="the study ended")
    assert not may_read(served, "bob", name)
    refused = ask(served, "bob", name)
    assert refused.status_code == 403
    assert "the study ended" in refused.json()["error"]
    assert [one.username for one in alice.list_rejected_access_requests(name)] == ["bob"]
    alice.cancel_access_request(name, "BOB")
    assert [one.username for one in alice.list_pending_access_requests(name)] == ["bob"]
    assert not may_read(served, "bob", name)
    assert ask(served, "bob", name).json()["status"] == "pending"
    with served.hub.database.read() as session:
        lines = [
            (line["action"], line["actor"], line["note"])
            for line in audit.lines(session)
            if line["repo"] == f"model {name}"
        ]
    assert [line for line in lines if line[0].startswith("access.")] == [
        ("access.ask", "bob", "pending"), ("access.accepted", "alice", "bob"), ("access.rejected", "alice", "bob"),
        ("access.pending", "alice", "bob"),
    ]  # fmt: skip


def test_an_automatic_gate_opens_at_once(served, people: dict[str, str]) -> None:
    name = make(served, "alice/auto", "auto")
    assert not may_read(served, "bob", name)
    assert ask(served, "bob", name).json()["status"] == "accepted"
    assert may_read(served, "bob", name)
    served.api("alice").reject_access_request(name, "bob", rejection_reason=None)
    assert ask(served, "bob", name).status_code == 403
    assert not may_read(served, "bob", name)


def test_who_waits_when_a_gate_becomes_automatic_asks_again(served, people: dict[str, str]) -> None:
    name = make(served, "alice/opened")
    assert ask(served, "bob", name).json()["status"] == "pending"
    served.api("alice").update_repo_settings(name, gated="auto")
    assert ask(served, "bob", name).json()["status"] == "accepted"


def test_granting_without_a_question(served, people: dict[str, str]) -> None:
    name, alice = make(served, "alice/granted"), served.api("alice")
    alice.grant_access(name, "dave")
    assert may_read(served, "dave", name)
    assert status_of(alice.grant_access, name, "dave") == 400
    assert status_of(alice.grant_access, name, "nobody") == 404
    alice.reject_access_request(name, "dave", rejection_reason="no")
    alice.grant_access(name, "dave")
    assert may_read(served, "dave", name)
    assert ask(served, "dave", name).json()["status"] == "accepted"


def test_what_cannot_be_handled_is_refused(served, people: dict[str, str]) -> None:
    name, alice = make(served, "alice/handled"), served.api("alice")
    other = make(served, "alice/other-gate")
    elsewhere = ask(served, "bob", other).json()["requestId"]
    assert status_of(alice.accept_access_request, name, "nobody") == 404
    assert status_of(alice.accept_access_request, name, "dave") == 404, "has not asked"
    assert status_of(alice.accept_access_request, name, request_id=elsewhere) == 404, "asked for another repository"
    ask(served, "dave", name)
    assert status_of(alice.cancel_access_request, name, "dave") == 409, "is pending already"
    assert status_of(alice.reject_access_request, name, "dave", rejection_reason="x" * 201) == 400
    with served.client("alice") as client:
        here = f"/api/models/{name}/user-access-request"
        for body in (
            {"user": "dave", "status": "x"}, {"status": "accepted"},
            {"user": "dave", "requestId": "1", "status": "accepted"},
            {"user": "dave", "status": "accepted", "rejectionReason": "x"}, {"user": "dave"}, {},
        ):  # fmt: skip
            assert client.post(f"{here}/handle", json=body).status_code == 400, body
        for path in ("/lost", "/pending?cursor=x", "/pending?cursor=WzFd"):
            assert client.get(here + path).status_code == 400, path
    assert not may_read(served, "dave", name)
    assert ask(served, "erin", name, reason="x" * 2001).status_code == 400
    alice.update_repo_settings(name, gated=False)
    assert status_of(lambda: list(alice.list_pending_access_requests(name))) == 400
    assert status_of(alice.grant_access, name, "erin") == 400
    assert ask(served, "erin", name).status_code == 400


def test_only_admins_see_and_handle_requests(served, people: dict[str, str]) -> None:
    name = "radiology/gated"
    served.api("alice").create_repo(name, visibility="public")
    served.api("alice").update_repo_settings(name, gated="manual")
    ask(served, "dave", name)
    for who in ("bob", "dave", "carol"):
        api = served.api(who)
        assert status_of(lambda api=api: list(api.list_pending_access_requests(name))) == 403
        assert status_of(api.accept_access_request, name, "dave") == 403
        assert status_of(api.grant_access, name, "dave") == 403
    assert not may_read(served, "dave", name)
    with served.hub.database.write() as session:
        accounts.set_role(
            session, accounts.get_account(session, "radiology"), accounts.get_account(session, "bob"), "admin"
        )
    served.api("bob").accept_access_request(name, "dave")
    assert may_read(served, "dave", name)
    with served.hub.database.write() as session:
        accounts.set_role(
            session, accounts.get_account(session, "radiology"), accounts.get_account(session, "bob"), "read"
        )


def test_limited_tokens_do_not_ask_for_their_user(served, people: dict[str, str]) -> None:
    name = make(served, "alice/by-token", "auto")
    scopes = [{"type": "model", "name": name, "permissions": ["repo.write"]}]
    with served.hub.database.write() as session:
        bob = accounts.get_account(session, "bob")
        served.tokens["bob-fine"] = accounts.create_token(session, bob, "f", role="fineGrained", scopes=scopes)[1]
    assert ask(served, "carol", name).status_code == 403
    assert ask(served, "bob-fine", name).status_code == 403
    assert ask(served, None, name).status_code == 401
    assert not may_read(served, "bob", name)


def facts(answer: Any, repo: str) -> tuple[int, str, str | None]:
    """Return what an answer tells, with the repository's name taken out."""
    return answer.status_code, answer.text.replace(repo, "REPO"), answer.headers.get("X-Error-Code")


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_looks_like_missing(served, people: dict[str, str], who: str | None) -> None:
    name = f"alice/private-gate-{who}".lower()
    served.api("alice").create_repo(name)
    served.api("alice").update_repo_settings(name, gated="manual")
    served.api("alice").grant_access(name, "dave")
    calls = [
        ("GET", "user-access-request/pending", None), ("GET", "user-access-request/x", None),
        ("POST", "ask-access", {}),
        ("POST", "user-access-request/handle", {"user": "dave", "status": "rejected"}),
        ("POST", "user-access-request/handle", {}), ("POST", "user-access-request/grant", {"user": "bob"}),
    ]  # fmt: skip
    with served.client(who) as client:
        for method, path, body in calls:
            there, absent = (
                facts(client.request(method, f"/api/models/{repo}/{path}", json=body), repo)
                for repo in (name, "alice/absent")
            )
            assert there == absent, (method, path, body)
            assert there[0] in (401, 403, 404), (method, path, body)


def test_requests_come_in_pages(served, people: dict[str, str]) -> None:
    name = make(served, "alice/popular")
    with served.hub.database.write() as session:
        repo = session.execute(select(Repo).where(Repo.path == name)).scalar_one()
        for number in range(250):
            user = accounts.create_account(session, f"reader-{number}")
            session.add(AccessRequest(repo_id=repo.id, user_id=user.id, status="pending", reason=f"{number}"))
    found = [request.username for request in served.api("alice").list_pending_access_requests(name)]
    assert found == sorted(f"reader-{number}" for number in range(250))
    with served.client("alice") as client:
        first = client.get(f"/api/models/{name}/user-access-request/pending")
        assert len(first.json()) == 100
        assert first.links["next"]["url"].startswith(f"{served.url}/api/models/{name}/")


def test_a_deleted_account_leaves_no_request_behind(served, people: dict[str, str]) -> None:
    name = make(served, "alice/left")
    ask(served, "erin", name)
    served.api("alice").accept_access_request(name, "erin")
    with served.hub.database.write() as session:
        session.execute(delete(Account).where(Account.name == "erin"))
    assert not list(served.api("alice").list_accepted_access_requests(name))
    with served.hub.database.read() as session:
        left = select(func.count()).select_from(AccessRequest).where(AccessRequest.user_id == people["erin"])
        assert session.execute(left).scalar() == 0
        repo = session.execute(select(Repo).where(Repo.path == name)).scalar_one()
        bob = accounts.authenticate(session, served.tokens["bob"])
        assert gating.request_of(session, bob, repo) is None
