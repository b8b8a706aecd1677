"""The lists: models, data sets and Spaces, searched and filtered."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response

from medhub.server import listing
from medhub.server.routes import pagination
from medhub.server.web.layout import page
from medhub.server.web.overview import Row, label
from medhub.server.web.sessions import Visit, Visitor

router = APIRouter()
PAGE = 24
FACETS = {"area": "Area", "task": "Task", "license": "Licence"}
"""What lists can be narrowed by: the prefix of a tag, and its name for people."""
SORTS = {
    "lastModified": "Last changed",
    "downloads": "Most downloads",
    "likes": "Most likes",
    "createdAt": "Newest",
}


@router.get("/")
def front(visit: Visitor) -> Response:
    """The front page: the models, and a line on what this Hub is."""
    return _listing_page(visit, "model", front=True)


@router.get("/models")
def models(visit: Visitor) -> Response:
    """The models."""
    return _listing_page(visit, "model")


@router.get("/datasets")
def datasets(visit: Visitor) -> Response:
    """The data sets."""
    return _listing_page(visit, "dataset")


@router.get("/spaces")
def spaces(visit: Visitor) -> Response:
    """The Spaces."""
    return _listing_page(visit, "space")


def _listing_page(visit: Visit, kind: str, *, front: bool = False) -> Response:
    asked = visit.request.query_params
    tags = [f"{facet}:{value}" for facet in FACETS if (value := asked.get(facet))]
    words = asked.get("search", "")
    sort = asked.get("sort") or "lastModified"
    anonymous = visit.hub.settings.anonymous
    with visit.hub.database.read() as session:
        repos, cursor = listing.search(
            session, visit.viewer, kind, anonymous=anonymous, filters=listing.Filters(tags=tags, search=[words]),
            sort=sort, limit=PAGE, cursor=pagination.decode(asked.get("cursor")),
        )  # fmt: skip
        tags_of = listing.tags_of(session, repos)
        used = {
            facet: listing.tags_in_use(session, visit.viewer, kind, anonymous=anonymous, prefix=f"{facet}:")
            for facet in FACETS
        }
    facets = [(name, title, _choices(used[name], name, asked.get(name))) for name, title in FACETS.items()]
    return page(
        visit, "list.html", kind=kind, front=front, rows=[Row.of(repo, tags_of[repo.id]) for repo in repos],
        next=pagination.encode(cursor) if cursor else None, facets=[facet for facet in facets if facet[2]], words=words,
        sort=sort, sorts=SORTS, asked=list(asked.multi_items()), narrowed=bool(tags or words),
    )  # fmt: skip


def _choices(used: Iterable[str], facet: str, chosen: str | None) -> list[tuple[str, str]]:
    """Return the values that a facet can have, each with its label; what is chosen is among them."""
    values = {tag.partition(":")[2] for tag in used} | ({chosen} if chosen else set())
    return [(value, label(facet, value)) for value in sorted(values)]
