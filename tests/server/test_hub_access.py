"""Rights: every combination of role, token, visibility and gate, and the listing that must agree with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from medhub.server import accounts
from medhub.server.access import Principal, Right, demand, may_create_in, right_on, visible
from medhub.server.database import Database
from medhub.server.errors import Forbidden, GatedRepo, RepoNotFound
from medhub.server.tables import AccessRequest, Account, Repo


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('db')}/hub.sqlite")
    database.upgrade()
    with database.write() as session:
        people = {name: accounts.create_account(session, name) for name in ("owner", "guest", "chief")}
        people["chief"].admin = True
        org = accounts.create_account(session, "radiology", kind="org")
        for role in ("read", "contributor", "write", "admin"):
            people[role] = accounts.create_account(session, f"{role}-member")
            accounts.set_role(session, org, people[role], role)
        for space, visibility, gated in itertools.product(
            (people["owner"], org), ("private", "public"), (None, "manual")
        ):
            name = f"{visibility}-{gated}"
            session.add(
                Repo(kind="model", namespace_id=space.id, namespace=space.name, name=name, visibility=visibility,
                     path=f"{space.name}/{name}".lower(), gated=gated, creator_id=people["contributor"].id)
            )  # fmt: skip
        session.flush()
        yield session
    database.close()


def principal(session: Session, name: str, role: str = "write", scopes: Any = ()) -> Principal:
    _, secret = accounts.create_token(session, accounts.get_account(session, name), "t", role=role, scopes=scopes)
    return accounts.authenticate(session, secret)


def repo(session: Session, path: str) -> Repo:
    return session.execute(select(Repo).where(Repo.path == path)).scalar_one()


def right(session: Session, who: Principal, path: str, *, anonymous: bool = False) -> Right:
    return right_on(session, who, repo(session, path), anonymous=anonymous)


@pytest.mark.parametrize(
    ("name", "private", "gated"),
    [
        ("owner", Right.NONE, Right.SEE),
        ("chief", Right.ADMIN, Right.ADMIN),
        ("read-member", Right.READ, Right.READ),
        ("contributor-member", Right.ADMIN, Right.ADMIN),
        ("write-member", Right.WRITE, Right.WRITE),
        ("admin-member", Right.ADMIN, Right.ADMIN),
    ],
)
def test_roles_in_an_organisation(session: Session, name: str, private: Right, gated: Right) -> None:
    who = principal(session, name)
    assert right(session, who, "radiology/private-none") == private
    assert right(session, who, "radiology/public-manual") == gated
    reader = replace(who, token_role="read")
    assert right(session, reader, "radiology/private-none") == min(private, Right.READ)


def test_public_means_everybody_with_an_account(session: Session) -> None:
    stranger = Principal()
    assert right(session, principal(session, "guest"), "owner/public-none") == Right.READ
    assert right(session, stranger, "owner/public-none") == Right.NONE
    assert right(session, stranger, "owner/public-none", anonymous=True) == Right.READ
    assert right(session, stranger, "owner/public-manual", anonymous=True) == Right.SEE
    assert right(session, stranger, "owner/private-none", anonymous=True) == Right.NONE


def test_an_accepted_request_opens_the_gate(session: Session) -> None:
    guest = principal(session, "guest")
    asked = AccessRequest(repo_id=repo(session, "owner/public-manual").id, user_id=guest.id, status="pending")
    session.add(asked)
    session.flush()
    assert right(session, guest, "owner/public-manual") == Right.SEE
    asked.status = "accepted"
    session.flush()
    assert right(session, guest, "owner/public-manual") == Right.READ


def test_a_fine_grained_token_reaches_only_what_it_names(session: Session) -> None:
    scopes = [{"type": "model", "name": "owner/private-none", "permissions": ["repo.content.read"]}]
    narrow = principal(session, "owner", "fineGrained", scopes)
    assert right(session, narrow, "owner/private-none") == Right.READ
    assert right(session, narrow, "owner/private-manual") == Right.NONE
    assert not may_create_in(narrow, accounts.get_account(session, "owner"))
    scopes = [{"type": "org", "name": "radiology", "permissions": ["repo.write"]}]
    assert (
        right(session, principal(session, "admin-member", "fineGrained", scopes), "radiology/private-none")
        == Right.WRITE
    )
    assert (
        right(session, principal(session, "read-member", "fineGrained", scopes), "radiology/private-none") == Right.READ
    )


def test_refusals_say_no_more_than_the_caller_may_know(session: Session) -> None:
    private, gated = repo(session, "owner/private-none"), repo(session, "radiology/public-manual")
    with pytest.raises(RepoNotFound) as missing:
        demand(session, principal(session, "guest"), private, Right.READ, anonymous=False)
    assert missing.value.status == 404
    with pytest.raises(RepoNotFound) as missing:
        demand(session, Principal(), private, Right.WRITE, anonymous=True)
    assert missing.value.status == 401
    with pytest.raises(GatedRepo):
        demand(session, principal(session, "owner"), gated, Right.READ, anonymous=False)
    with pytest.raises(Forbidden, match="ask an owner of radiology"):
        demand(session, principal(session, "read-member"), gated, Right.WRITE, anonymous=False)


def test_listings_show_exactly_what_each_caller_may_see(session: Session) -> None:
    names = ("owner", "guest", "chief", "read-member", "contributor-member", "write-member", "admin-member")
    people = [Principal(), *(principal(session, name, role) for name in names for role in ("read", "write"))]
    people.append(
        principal(session, "owner", "fineGrained", [{"type": "user", "name": "owner", "permissions": ["repo.write"]}])
    )
    one_model = {"type": "model", "name": "radiology/private-none", "permissions": ["repo.write"]}
    people.append(principal(session, "read-member", "fineGrained", [one_model]))
    every = session.execute(select(Repo)).scalars().all()
    for who, anonymous in itertools.product(people, (False, True)):
        listed = set(session.execute(select(Repo.path).where(visible(who, anonymous=anonymous))).scalars())
        seen = {repo.path for repo in every if right_on(session, who, repo, anonymous=anonymous) >= Right.SEE}
        assert listed == seen, who


def test_a_deleted_repository_is_nobodys(session: Session) -> None:
    from medhub.server.tables import now

    space = session.execute(select(Account).where(Account.lower == "owner")).scalar_one()
    gone = Repo(
        kind="model",
        namespace_id=space.id,
        namespace="owner",
        name="gone",
        visibility="public",
        path=None,
        deleted=now(),
    )
    session.add(gone)
    session.flush()
    # an admin too: what was deleted comes back through the operator's backup and no other way
    for who in (Principal(), principal(session, "owner"), principal(session, "chief")):
        assert right_on(session, who, gone, anonymous=True) == Right.NONE
        assert gone.id not in session.execute(select(Repo.id).where(visible(who, anonymous=True))).scalars().all()
