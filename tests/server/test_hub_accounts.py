"""Accounts: names, roles, passwords and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from medhub.server import accounts
from medhub.server.database import Database
from medhub.server.errors import BadRequest, Conflict, NotFound, Unauthenticated
from medhub.server.tables import Token


@pytest.fixture
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('db')}/hub.sqlite")
    database.upgrade()
    with database.write() as session:
        yield session
    database.close()


@pytest.mark.parametrize("name", ["", "a", "-ab", "ab-", "a--b", "a b", "a/b", "..", "a" * 43, "ä-ö", "a\n"])
def test_a_name_that_cannot_be(session: Session, name: str) -> None:
    with pytest.raises(BadRequest, match="cannot be a name"):
        accounts.create_account(session, name)


def test_names_are_unique_whatever_their_case_and_kind(session: Session) -> None:
    accounts.create_account(session, "Ward-7")
    with pytest.raises(Conflict, match="taken"):
        accounts.create_account(session, "ward-7", kind="org")
    with pytest.raises(Conflict, match="the Hub's own"):
        accounts.create_account(session, "Datasets")
    assert accounts.get_account(session, "WARD-7").name == "Ward-7"
    with pytest.raises(NotFound, match="no organisation 'ward-7'"):
        accounts.get_account(session, "ward-7", kind="org")


def test_an_organisation_keeps_an_admin(session: Session) -> None:
    org = accounts.create_account(session, "radiology", kind="org")
    alice, bob = (accounts.create_account(session, name) for name in ("alice", "bob"))
    accounts.set_role(session, org, alice, "admin")
    with pytest.raises(Conflict, match="last admin"):
        accounts.set_role(session, org, alice, None)
    accounts.set_role(session, org, bob, "admin")
    accounts.set_role(session, org, alice, None)
    with pytest.raises(BadRequest, match="no role 'boss'"):
        accounts.set_role(session, org, alice, "boss")
    with pytest.raises(BadRequest, match="held by users in organisations"):
        accounts.set_role(session, alice, bob, "read")


def test_passwords(session: Session) -> None:
    alice = accounts.create_account(session, "alice")
    with pytest.raises(BadRequest, match="at least 12"):
        accounts.set_password(alice, "short")
    accounts.set_password(alice, "correct horse battery")
    assert "horse" not in (alice.password or "")
    assert accounts.check_password(session, "Alice", "correct horse battery").id == alice.id
    for name, password in (("alice", "wrong horse battery"), ("nobody", "correct horse battery")):
        with pytest.raises(Unauthenticated, match="the name or the password is wrong"):
            accounts.check_password(session, name, password)
    alice.disabled = True
    with pytest.raises(Unauthenticated):
        accounts.check_password(session, "alice", "correct horse battery")


def test_a_token_is_kept_as_a_hash_and_stops_when_it_should(session: Session) -> None:
    alice = accounts.create_account(session, "alice")
    token, secret = accounts.create_token(session, alice, "laptop", role="write")
    kept = session.get(Token, token.id)
    assert kept is not None
    assert secret not in str(vars(kept))
    principal = accounts.authenticate(session, secret, address="10.0.0.1")
    assert (principal.name, principal.token_role, principal.address) == ("alice", "write", "10.0.0.1")
    assert accounts.principal_of_token(session, token.id).id == alice.id
    _, old = accounts.create_token(session, alice, "old", lifetime=timedelta(seconds=-1))
    alice.disabled = False
    for wrong in (old, secret + "x", "", "hf_"):
        with pytest.raises(Unauthenticated, match="Invalid credentials in Authorization header"):
            accounts.authenticate(session, wrong)
    alice.disabled = True
    session.flush()
    with pytest.raises(Unauthenticated):
        accounts.authenticate(session, secret)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"role": "boss"}, "no token role"),
        ({"role": "fineGrained"}, "has scopes"),
        ({"role": "read", "scopes": [{"type": "user", "name": "alice", "permissions": []}]}, "has scopes"),
        (
            {"role": "fineGrained", "scopes": [{"type": "user", "name": "alice", "permissions": ["all"]}]},
            "no permission 'all'",
        ),
        (
            {"role": "fineGrained", "scopes": [{"type": "model", "name": "a/b", "permissions": ["repo.write"]}]},
            "no model 'a/b'",
        ),
    ],
)
def test_a_token_that_cannot_be(session: Session, given: dict[str, object], message: str) -> None:
    alice = accounts.create_account(session, "alice")
    with pytest.raises(BadRequest, match=message):
        accounts.create_token(session, alice, "t", **given)  # type: ignore[arg-type]
