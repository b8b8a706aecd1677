"""Who the caller is, and the questions of every new client process."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from huggingface_hub.errors import HfHubHTTPError

from medhub.server import accounts


def test_whoami_has_the_shape_that_clients_read(served) -> None:
    found = served.api("alice").whoami()
    assert (found["type"], found["name"], found["email"]) == ("user", "alice", "alice@hospital.example")
    assert [(org["type"], org["name"], org["fullname"], org["roleInOrg"]) for org in found["orgs"]] == [
        ("org", "radiology", "Radiology", "admin")
    ]
    token = found["auth"]["accessToken"]
    assert (found["auth"]["type"], token["displayName"], token["role"]) == ("access_token", "test", "write")
    created = datetime.strptime(token["createdAt"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - created).total_seconds()) < 600
    assert "fineGrained" not in token
    assert len(found["id"]) == 24
    assert found["id"] != found["orgs"][0]["id"]


def test_roles_differ_by_person_and_token(served) -> None:
    assert served.api("bob").whoami()["orgs"][0]["roleInOrg"] == "read"
    assert served.api("carol").whoami()["orgs"] == []
    assert served.api("carol").whoami()["auth"]["accessToken"]["role"] == "read"


def test_fine_grained_tokens_tell_their_scopes(served) -> None:
    with served.hub.database.write() as session:
        alice = accounts.get_account(session, "alice")
        scope = {"type": "org", "name": "radiology", "permissions": ["repo.content.read"]}
        _, served.tokens["fine"] = accounts.create_token(session, alice, "ci", role="fineGrained", scopes=[scope])
    token = served.api("fine").whoami()["auth"]["accessToken"]
    assert token["role"] == "fineGrained"
    assert token["fineGrained"] == {
        "scoped": [{"entity": {"type": "org", "name": "radiology"}, "permissions": ["repo.content.read"]}],
        "global": [],
    }


def test_a_stranger_and_a_wrong_token_are_told_apart(served) -> None:
    with served.client(None) as client:
        stranger = client.get("/api/whoami-v2")
        wrong = client.get("/api/whoami-v2", headers={"Authorization": "Bearer hf_wrong"})
    assert (stranger.status_code, wrong.status_code) == (401, 401)
    assert "sign in" in stranger.json()["error"]
    assert wrong.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        served.api("alice").whoami(token="hf_wrong")


def test_questions_of_every_client_are_answered_without_a_token(served) -> None:
    with served.client(None) as client:
        assert client.get("/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}
        assert client.head("/api/telemetry/datasets/load_dataset").status_code == 200
        assert client.post("/v1/telemetry", content=b"x" * 100_000).status_code == 200
