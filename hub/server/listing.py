"""Which repositories there are, of those that the caller may see: filtered, in an order, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    bindparam,
    column,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from medhub.server import trigrams
from medhub.server.access import Principal, visible
from medhub.server.errors import BadRequest
from medhub.server.tables import Account, Repo, RepoTag

SORTS: Mapping[str, InstrumentedAttribute[Any]] = {
    "lastModified": Repo.updated,
    "createdAt": Repo.created,
    "downloads": Repo.downloads,
    "likes": Repo.likes,
    "trendingScore": Repo.likes,
}
"""What a list can be ordered by, always from the highest on. This Hub's trending score is the number of likes."""
FEW = 500
"""So many repositories with a tag are looked up by it; of more, a walk along the list finds the next soon enough."""
LAST = "\U0010ffff"
"""What no tag has in it, and what comes behind all that tags have."""
NUMBER = re.compile(r"(\d+(?:\.\d+)?)([KMBT]?)", re.IGNORECASE)
SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a repository has to fulfil to be listed; empty and None ask for nothing (protocol, section 3.4)."""

    tags: Sequence[str] = ()
    author: str | None = None
    search: Sequence[str] = ()
    pipeline_tag: str | None = None
    gated: bool | None = None
    num_parameters: str | None = None
    linked: bool = False
    """Whether only spaces that use a model or a data set are wanted."""


def search(
    session: Session,
    principal: Principal,
    kind: str | None,
    *,
    anonymous: bool,
    filters: Filters = Filters(),
    sort: str = "lastModified",
    limit: int = 100,
    cursor: Any = None,
) -> tuple[Sequence[Repo], Any]:
    """Return a page of the repositories of a kind (None: of all), and where the next begins, None on the last page.

    `anonymous` is the Hub's setting; `cursor` is what the page before gave. Raises BadRequest for a sort, a cursor or a
    filter that cannot be.
    """
    if sort not in SORTS:
        raise BadRequest(f"lists cannot be sorted by {sort!r}; sorts: {', '.join(SORTS)}")
    order = SORTS[sort]
    query = select(Repo).where(visible(principal, anonymous=anonymous), *_conditions(session, filters))
    if kind:
        query = query.where(Repo.kind == kind)
    if cursor is not None:
        query = query.where(tuple_(order, Repo.id) < tuple_(*_position(order, cursor)))
    rows = session.execute(query.order_by(order.desc(), Repo.id.desc()).limit(limit + 1)).scalars().all()
    if len(rows) <= limit:
        return rows, None
    last = getattr(rows[limit - 1], order.key)
    return rows[:limit], [last.isoformat() if isinstance(last, datetime) else last, rows[limit - 1].id]


def tags_of(session: Session, repos: Iterable[Repo]) -> dict[str, list[str]]:
    """Return the tags of repositories, by their ids, in alphabetical order."""
    found: dict[str, list[str]] = {repo.id: [] for repo in repos}
    for repo_id, tag in session.execute(_TAGS, {"ids": list(found)}):
        found[repo_id].append(tag)
    return found


# built once: that is half of what such a query costs
_TAGS = (
    select(RepoTag.repo_id, RepoTag.tag)
    .where(RepoTag.repo_id.in_(bindparam("ids", expanding=True)))
    .order_by(RepoTag.tag)
)


def tags_in_use(
    session: Session, principal: Principal, kind: str, *, anonymous: bool, prefix: str = ""
) -> Sequence[str]:
    """Return the tags that begin with `prefix`, of the repositories that the caller may see, in alphabetical order.

    Where they are many, it leaps along the index from one tag to the next: that costs what there are of tags.
    """
    begins = (RepoTag.tag >= prefix, RepoTag.tag < prefix + LAST)
    repos = (Repo.kind == kind, visible(principal, anonymous=anonymous))
    few = session.execute(select(Repo.id).where(*repos).limit(FEW + 1)).scalars().all()
    if len(few) <= FEW:
        theirs = select(RepoTag.tag).where(RepoTag.repo_id.in_(few), *begins)
        return session.execute(theirs.distinct().order_by(RepoTag.tag)).scalars().all()
    seen = exists().where(Repo.id == RepoTag.repo_id, *repos)
    first = select(RepoTag.tag).where(*begins, seen).order_by(RepoTag.tag).limit(1).scalar_subquery()
    found = select(first.label("tag")).cte("found", recursive=True)
    following = select(RepoTag.tag).where(RepoTag.tag > found.c.tag, *begins, seen).order_by(RepoTag.tag).limit(1)
    leap = select(following.scalar_subquery()).select_from(found).where(found.c.tag.is_not(None))
    found = found.union_all(leap)
    return session.execute(select(found.c.tag).where(found.c.tag.is_not(None))).scalars().all()


def tags_by_type(
    session: Session, principal: Principal, kind: str, *, anonymous: bool
) -> dict[str, list[dict[str, str]]]:
    """Return the tags in use among what the caller may see, by what they tell of: "license", "library" and so on."""
    told = select(_fact("library_name"), _fact("pipeline_tag")).where(
        Repo.kind == kind, visible(principal, anonymous=anonymous)
    )
    plain: dict[str | None, str] = {}
    for library, task in session.execute(told.distinct()):
        plain |= {library: "library", task: "pipeline_tag"}
    types = ("library", "pipeline_tag", "language", "license", "other")
    found: dict[str, list[dict[str, str]]] = {type_: [] for type_ in types}
    for tag in tags_in_use(session, principal, kind, anonymous=anonymous):
        prefix, colon, rest = tag.partition(":")
        type_ = plain.get(tag) or (prefix if colon else "other")
        found.setdefault(type_, []).append({"id": tag, "label": rest or tag, "type": type_})
    return found


def _conditions(session: Session, filters: Filters) -> list[ColumnElement[bool]]:
    """Return the conditions on Repo that the filters stand for."""
    conditions = [_tagged(session, tag) for tag in filters.tags]
    conditions += [_containing(session, word) for words in filters.search for word in words.replace("\0", " ").split()]
    if filters.author is not None:
        owner = select(Account.id).where(Account.lower == filters.author.lower()).scalar_subquery()
        conditions.append(Repo.namespace_id == owner)
    if filters.pipeline_tag is not None:
        conditions += [_tagged(session, filters.pipeline_tag), _fact("pipeline_tag") == filters.pipeline_tag]
    if filters.gated is not None:
        conditions.append(Repo.gated.is_not(None) if filters.gated else Repo.gated.is_(None))
    if filters.linked:
        conditions.append(or_(*(Repo.card[name].as_string().is_not(None) for name in ("models", "datasets"))))
    if filters.num_parameters is not None:
        total = Repo.facts[("safetensors", "total")].as_float()
        least, most = _between(filters.num_parameters)
        conditions += [total >= least] if most is None else [total >= least, total <= most]
    return conditions


def _tagged(session: Session, tag: str) -> ColumnElement[bool]:
    """Return the condition that a repository has a tag."""
    ids = select(RepoTag.repo_id).where(RepoTag.tag == tag)
    return _among(session, ids, exists().where(RepoTag.repo_id == Repo.id, RepoTag.tag == tag))


def _containing(session: Session, word: str) -> ColumnElement[bool]:
    """Return the condition that a repository's name or card contains the word, whatever its case."""
    contains = (func.coalesce(Repo.path, "") + " " + Repo.text).contains(word.lower(), autoescape=True)
    if len(word) < trigrams.SHORTEST:
        return contains
    if session.get_bind().dialect.name != "sqlite":
        return _among(session, select(Repo.id).where(contains), contains)
    phrase = 'text : "' + word.lower().replace('"', '""') + '"'
    matching = text("repo_search MATCH :phrase").bindparams(phrase=phrase)
    return _among(
        session, select(column("repo_id", String)).select_from(table("repo_search")).where(matching), contains
    )


def _among(session: Session, ids: Select[str], condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a repository is among these: by their ids where they are few, else row by row."""
    found = session.execute(ids.limit(FEW + 1)).scalars().all()
    if not found:
        return false()
    return Repo.id.in_(found) if len(found) <= FEW else condition


def _fact(name: str) -> ColumnElement[str]:
    return Repo.facts[name].as_string()


def _position(order: InstrumentedAttribute[Any], cursor: Any) -> tuple[ColumnElement[Any], ColumnElement[str]]:
    """Return the last row before a page, as the cursor tells of it."""
    moments = order in (Repo.updated, Repo.created)
    try:
        value, repo_id = cursor
        if not isinstance(repo_id, str) or (not moments and not -(2**63) <= value < 2**63):
            raise ValueError(cursor)
        value = datetime.fromisoformat(value).astimezone(UTC) if moments else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest("the cursor does not belong to this list; start again without it") from error
    return literal(value, order.type), literal(repo_id)


def _between(bounds: str) -> tuple[int, int | None]:
    """Return the bounds of "min:6B,max:128B", of which either may be missing. Raises BadRequest."""
    found = {"min": 0, "max": None}
    for bound in bounds.split(","):
        name, _, number = bound.partition(":")
        matched = NUMBER.fullmatch(number)
        if name not in found or not matched or len(number) > 20:
            raise BadRequest(f"num_parameters is {bounds!r}; write for example min:6B,max:128B, or one of the two")
        found[name] = int(float(matched[1]) * SCALES[matched[2].upper()])
    return found["min"] or 0, found["max"]
