"""Likes, and pages about users and organisations (protocol, section 3.14).

Nobody follows anybody here, so that these lists are empty. What strangers are not told, they are told of no name.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from medhub.server import social
from medhub.server.access import Principal
from medhub.server.accounts import get_account
from medhub.server.routes.dependencies import Caller, Known, Seen, TheHub, Writer, known
from medhub.server.routes.pagination import decode_text, linked
from medhub.server.routes.shapes import stamp
from medhub.server.tables import Account

router = APIRouter(max_body_size=2**16)
REPO = "/api/{kind:kind}/{namespace:segment}/{name:segment}"
USER = "/api/users/{user:segment}"
ORG = "/api/organizations/{org:segment}"


def reader(hub: TheHub, caller: Caller) -> Principal:
    """Return a caller who may learn of accounts: somebody who is signed in, or anybody where the Hub is open."""
    return caller if hub.settings.anonymous else known(caller)


Reader = Annotated[Principal, Depends(reader)]


@router.post(REPO + "/like")
def like(hub: TheHub, caller: Writer, repo: Seen) -> dict[str, bool]:
    """Like a repository."""
    with hub.database.write() as session:
        social.like(session, caller, repo)
    return {"liked": True}


@router.delete(REPO + "/like")
def unlike(hub: TheHub, caller: Writer, repo: Seen) -> dict[str, bool]:
    """Take a like back."""
    with hub.database.write() as session:
        social.unlike(session, caller, repo)
    return {"liked": False}


@router.get(REPO + "/likers")
def likers(request: Request, hub: TheHub, repo: Seen, cursor: str | None = None) -> JSONResponse:
    """List who likes a repository."""
    with hub.database.read() as session:
        users, following = social.likers(session, repo, after=decode_text(cursor))
    return linked(request, [_person(user) for user in users], following)


@router.get(USER + "/likes")
def likes(request: Request, hub: TheHub, caller: Reader, user: str, cursor: str | None = None) -> JSONResponse:
    """List what a user likes."""
    with hub.database.read() as session:
        rows, following = social.likes(
            session, caller, get_account(session, user, kind="user"), anonymous=hub.settings.anonymous,
            after=decode_text(cursor),
        )  # fmt: skip
    shown = [
        {"createdAt": stamp(like.created), "repo": {"name": repo.full_name, "type": repo.kind}} for like, repo in rows
    ]
    return linked(request, shown, following)


@router.get(USER + "/overview")
def user_overview(hub: TheHub, caller: Reader, user: str) -> dict[str, Any]:
    """Tell about a user."""
    with hub.database.read() as session:
        account = get_account(session, user, kind="user")
        counts = social.counts(session, caller, account, anonymous=hub.settings.anonymous)
        orgs = social.organisations(session, account)
    return (
        _person(account)
        | _repositories(counts)
        | {
            "details": "",
            "numDiscussions": counts["discussions"],
            "numUpvotes": 0,
            "numLikes": counts["likes"],
            "numFollowing": 0,
            "orgs": [{"name": org.name, "fullname": org.fullname, "avatarUrl": ""} for org in orgs],
        }
    )


@router.get(ORG + "/overview")
def org_overview(hub: TheHub, caller: Reader, org: str) -> dict[str, Any]:
    """Tell about an organisation."""
    with hub.database.read() as session:
        account = get_account(session, org, kind="org")
        counts = social.counts(session, caller, account, anonymous=hub.settings.anonymous)
    return _repositories(counts) | {
        "name": account.name,
        "fullname": account.fullname,
        "avatarUrl": "",
        "details": "",
        "isVerified": False,
        "isFollowing": False,
        "numUsers": counts["members"],
        "type": "org",
    }


@router.get(ORG + "/members")
def members(request: Request, hub: TheHub, caller: Known, org: str, cursor: str | None = None) -> JSONResponse:
    """List an organisation's members; who works where is for colleagues, also on a Hub that is open."""
    with hub.database.read() as session:
        users, following = social.members(session, get_account(session, org, kind="org"), after=decode_text(cursor))
    return linked(request, [_person(user) for user in users], following)


@router.get(USER + "/followers")
@router.get(USER + "/following")
def user_follows(hub: TheHub, caller: Reader, user: str) -> list[Any]:
    """List who follows a user, or whom it follows."""
    with hub.database.read() as session:
        get_account(session, user, kind="user")
    return []


@router.get(ORG + "/followers")
def org_followers(hub: TheHub, caller: Reader, org: str) -> list[Any]:
    """List who follows an organisation."""
    with hub.database.read() as session:
        get_account(session, org, kind="org")
    return []


def _person(user: Account) -> dict[str, Any]:
    name = {"user": user.name, "fullname": user.fullname, "avatarUrl": "", "type": "user"}
    return name | {"isPro": False, "isFollowing": False}


def _repositories(counts: dict[str, int]) -> dict[str, int]:
    return {
        "numModels": counts["model"], "numDatasets": counts["dataset"], "numSpaces": counts["space"],
        "numPapers": 0, "numFollowers": 0,
    }  # fmt: skip
