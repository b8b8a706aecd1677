"""A repository's own page: its card, its facts, how to load it, and asking for access; and making a new one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import func, select

from medhub.server import cards, frontmatter, gating, listing, repositories, social
from medhub.server.access import Right, may_create_in, right_on
from medhub.server.errors import Refusal
from medhub.server.routes.dependencies import requested_repo
from medhub.server.routes.paths import base_url
from medhub.server.tables import Account, Discussion, Like, Repo
from medhub.server.web import overview
from medhub.server.web.layout import address, go, page
from medhub.server.web.markdown import LIMIT, render
from medhub.server.web.sessions import Form, Member, Visit, Visitor

router = APIRouter()
REPO = "/{kind:prefix}{namespace:segment}/{name:segment}"
"""Where a repository's pages begin."""
LARGEST_CARD = 1 << 20


def opened(visit: Visit, right: Right = Right.SEE) -> Repo:
    """Return the repository of this address that the viewer has the right on. Raises as `requested_repo` does."""
    return requested_repo(visit.request, visit.hub, visit.viewer, right=right)


def repo_page(visit: Visit, repo: Repo, template: str, *, tab: str, status: int = 200, **context: Any) -> Response:
    """Answer with a page of a repository, under the head that all of them share."""
    with visit.hub.database.read() as session:
        right = right_on(session, visit.viewer, repo, anonymous=visit.hub.settings.anonymous)
        tags = listing.tags_of(session, [repo])[repo.id]
        liked = session.get(Like, (visit.viewer.id or "", repo.id)) is not None
        waiting = select(func.count()).where(Discussion.repo_id == repo.id, Discussion.status.in_(["open", "draft"]))
        discussed = session.execute(waiting).scalar_one()
    return page(
        visit, template, status=status, repo=repo, tab=tab, right=right, Right=Right, liked=liked, discussed=discussed,
        tryable=visit.demos.offers(repo),
        area=overview.tagged(tags, "area"), task=overview.tagged(tags, "task"), **context,
    )  # fmt: skip


@router.get("/new")
def new(visit: Member, kind: str = "model") -> Response:
    """Ask what to make."""
    return _new_page(visit, {"kind": kind})


@router.post("/new")
def create(visit: Member, form: Form) -> Response:
    """Make a repository, and go to it."""
    kind = form.get("kind", "")
    try:
        repo = repositories.create(
            visit.hub, visit.viewer, kind=kind, namespace=form.get("namespace"), name=form.get("name", "").strip(),
            visibility=form.get("visibility"), sdk=form.get("sdk") if kind == "space" else None,
        )  # fmt: skip
    except Refusal as refusal:
        return _new_page(visit, dict(form), error=str(refusal), status=refusal.status)
    return go(address(repo))


@router.get(REPO)
def show(visit: Visitor) -> Response:
    """The card, with what there is to know before loading."""
    repo = opened(visit)
    with visit.hub.database.read() as session:
        right = right_on(session, visit.viewer, repo, anonymous=visit.hub.settings.anonymous)
        asked = gating.request_of(session, visit.viewer, repo) if repo.gated else None
    card = cards.Card(repo.card, frontmatter.split(_readme(visit, repo))[1])
    below = card.text.lstrip().removeprefix(f"# {repo.name}\n")  # the page has said so
    setting, lines = overview.loading(repo, base_url(visit.request))
    return repo_page(
        visit, repo, "card.html", tab="card", card=render(below, repo=repo),
        cut=len(below) > LIMIT, metrics=overview.metrics(repo.card),
        setting=setting, lines=lines, known=overview.known(repo, card), asked=asked,
        may_ask=right < Right.READ and not visit.viewer.stranger,
    )  # fmt: skip


@router.post(REPO + "/like")
def like(visit: Member, form: Form) -> Response:
    """Like a repository, or no longer."""
    repo = opened(visit)
    with visit.hub.database.write() as session:
        (social.like if form.get("liked") == "yes" else social.unlike)(session, visit.viewer, repo)
    return go(address(repo))


@router.post(REPO + "/access")
def ask(visit: Member, form: Form) -> Response:
    """Ask for access to a gated repository."""
    repo = opened(visit)
    with visit.hub.database.write() as session:
        gating.ask(session, visit.viewer, repo, form.get("reason", "").strip())
    return go(address(repo), notice="asked")


def _new_page(visit: Visit, given: dict[str, str], *, error: str | None = None, status: int = 200) -> Response:
    with visit.hub.database.read() as session:
        own = select(Account).where(Account.id.in_([visit.viewer.id, *visit.viewer.roles])).order_by(Account.lower)
        places = [place.name for place in session.execute(own).scalars() if may_create_in(visit.viewer, place)]
    return page(
        visit, "new.html", given=given, places=places, sdks=repositories.SDKS, own=visit.viewer.name, error=error,
        status=status,
    )  # fmt: skip


def _readme(visit: Visit, repo: Repo) -> str:
    """Return the text of README.md at the head of main, empty where there is none."""
    git = visit.hub.git.open(repo.id)
    head = git.head("refs/heads/main")
    entry = git.entry(head, "README.md") if head else None
    if entry is None or entry.kind != "file" or entry.lfs or entry.size > LARGEST_CARD:
        return ""
    return git.read(entry.oid).decode(errors="replace")
