"""Lists of models, data sets and spaces, and the tags to filter them by (protocol, section 3.4)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from medhub.server import info, listing
from medhub.server.listing import Filters
from medhub.server.routes.dependencies import Caller, TheHub
from medhub.server.routes.pagination import decode, linked

router = APIRouter()

PAGE, LONGEST_PAGE, LONGEST_WITH_FILES = 100, 1000, 100
LISTED = (
    "author", "createdAt", "downloads", "gated", "lastModified", "likes", "private", "tags", "trendingScore",
)  # fmt: skip
LISTED_OF_KIND = {
    "model": ("library_name", "pipeline_tag"),
    "dataset": ("description",),
    "space": ("sdk",),
}
FULL = ("disabled", "sha", "siblings", "cardData")


class Asked(BaseModel):
    """What the query of a list says; other parameters ask for nothing that this Hub has."""

    filter: list[str] = []
    author: str | None = None
    search: list[str] = []
    pipeline_tag: str | None = None
    gated: bool | None = None
    num_parameters: str | None = None
    inference: str | None = None
    inference_provider: list[str] = []
    apps: list[str] = []
    models: list[str] = []
    datasets: list[str] = []
    linked: bool = False
    sort: str = "lastModified"
    limit: int = Field(default=PAGE, ge=1)
    cursor: str | None = None
    full: bool = False
    cardData: bool = False  # noqa: N815 - the clients' name
    config: bool = False
    expand: list[str] = []

    def filters(self) -> Filters:
        """Return the conditions on repositories."""
        used = [f"model:{name}" for name in self.models] + [f"dataset:{name}" for name in self.datasets]
        return Filters(
            tags=[*self.filter, *used], author=self.author, search=self.search, pipeline_tag=self.pipeline_tag,
            gated=self.gated, num_parameters=self.num_parameters, linked=self.linked,
        )  # fmt: skip

    def properties(self, kind: str) -> list[str]:
        """Return the names of the properties that are asked for."""
        if self.expand:
            return self.expand
        names = [*LISTED, *LISTED_OF_KIND[kind], *(FULL if self.full else ())]
        names += ["cardData"] * (self.cardData and not self.full) + ["config"] * (self.config and kind == "model")
        return names


@router.get("/api/{kind:kind}")
def list_repositories(
    request: Request, hub: TheHub, caller: Caller, kind: str, asked: Annotated[Asked, Query()]
) -> JSONResponse:
    """List a page of the repositories that the caller may see."""
    names = asked.properties(kind)
    info.check_properties(kind, names)
    if asked.inference or asked.inference_provider or asked.apps:
        return linked(request, [], None)  # nothing here is served by a provider or known to an app
    limit = min(asked.limit, LONGEST_WITH_FILES if {"siblings", "runtime"} & set(names) else LONGEST_PAGE)
    with hub.database.read() as session:
        rows, cursor = listing.search(
            session, caller, kind, anonymous=hub.settings.anonymous, filters=asked.filters(), sort=asked.sort,
            limit=limit, cursor=decode(asked.cursor),
        )  # fmt: skip
        related = info.related(session, hub, caller, rows, names)
    return linked(request, [info.row_info(hub, row, names, related=related[row.id]) for row in rows], cursor)


@router.get("/api/{kind:kind}-tags-by-type")
def list_tags(hub: TheHub, caller: Caller, kind: str) -> dict[str, Any]:
    """List the tags in use, by type, among the repositories that the caller may see."""
    with hub.database.read() as session:
        return listing.tags_by_type(session, caller, kind, anonymous=hub.settings.anonymous)
