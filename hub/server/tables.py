"""The tables. Git and the blob store hold the true contents; what is queried about them stands here and can be rebuilt.

Ids are 24 hexadecimal digits. Names are unique whatever their case: each has a lower-case twin, which is indexed.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, ForeignKey, Index, LargeBinary, TypeDecorator, UniqueConstraint, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from medhub.server import trigrams


def new_id() -> str:
    """Return a fresh id: 24 hexadecimal digits."""
    return secrets.token_hex(12)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """A point in time, always in UTC, also in databases that do not keep the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Drop the zone on the way in."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Put the zone back on the way out."""
        return value.replace(tzinfo=UTC) if value else None


class Table(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Moment,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        bytes: LargeBinary,
    }


class Account(Table):
    """A user or an organisation: both own repositories, and share one set of names."""

    __tablename__ = "account"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]  # "user" or "org"
    name: Mapped[str]
    lower: Mapped[str] = mapped_column(unique=True)
    fullname: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    password: Mapped[str | None]  # scrypt; None: signs in with a token only
    admin: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(default=now)


class Membership(Table):
    """A user's role in an organisation: read, contributor, write or admin."""

    __tablename__ = "membership"

    org_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[str]


class Token(Table):
    """An access token, or a browser's session; only its sha256 is kept."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]  # "read", "write", "fineGrained", or "session"
    scopes: Mapped[list[Any]] = mapped_column(default=list)  # [{"type", "id", "name", "permissions": [...]}]
    created: Mapped[datetime] = mapped_column(default=now)
    expires: Mapped[datetime | None]
    used: Mapped[datetime | None]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("token.id", ondelete="CASCADE"))  # a session ends with it


class DeviceLogin(Table):
    """A login that waits for somebody to approve it in a browser (OAuth device code, RFC 8628)."""

    __tablename__ = "device_login"

    device_hash: Mapped[str] = mapped_column(primary_key=True)
    user_code: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(default="pending")  # "pending", "approved" or "denied"
    user_id: Mapped[str | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    expires: Mapped[datetime]


def _listing(name: str, order: str) -> Index:
    return Index(
        f"repo_by_{name}", "kind", order, "id", "visibility", "namespace_id", "gated",
        sqlite_where=text("deleted IS NULL"), postgresql_where=text("deleted IS NULL"),
    )  # fmt: skip


class Repo(Table):
    """A repository, with what was derived from the head of its main branch at the last commit."""

    __tablename__ = "repo"
    __table_args__ = (
        UniqueConstraint("kind", "path"),
        # a listing walks one of these in its order; what decides whether a caller may see a row is in the index, too
        _listing("update", "updated"),
        _listing("creation", "created"),
        _listing("downloads", "downloads"),
        _listing("likes", "likes"),
        Index("repo_by_namespace", "namespace_id", "updated", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]  # "model", "dataset" or "space"
    namespace_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    namespace: Mapped[str]
    name: Mapped[str]
    path: Mapped[str | None]  # "namespace/name" in lower case; None once deleted
    creator_id: Mapped[str | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    visibility: Mapped[str]  # "private" or "public"
    gated: Mapped[str | None]  # "auto", "manual" or None
    created: Mapped[datetime] = mapped_column(default=now)
    updated: Mapped[datetime] = mapped_column(default=now)
    deleted: Mapped[datetime | None]
    downloads: Mapped[int] = mapped_column(default=0)
    likes: Mapped[int] = mapped_column(default=0)
    dirty: Mapped[int] = mapped_column(default=0, index=True)  # how many changes of the git repository are under way
    # derived from git, at the head of main that `indexed` names
    indexed: Mapped[str | None]
    extensions: Mapped[dict[str, Any]] = mapped_column(default=dict)  # how many files there are of each
    card: Mapped[dict[str, Any]] = mapped_column(default=dict)
    facts: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # config, safetensors, sdk and the like, as the API shows them
    text: Mapped[str] = mapped_column(default="")  # what search looks through, in lower case
    storage: Mapped[int] = mapped_column(default=0)  # bytes of the files at the head of main

    @property
    def full_name(self) -> str:
        """The canonical "namespace/name"."""
        return f"{self.namespace}/{self.name}"


event.listen(Repo.__table__, "after_create", trigrams.create)


class RepoAlias(Table):
    """A name that a repository had before; it still leads there."""

    __tablename__ = "repo_alias"

    kind: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"), index=True)


class RepoTag(Table):
    """A tag that listings filter by: of the card, of the licence, of the file formats."""

    __tablename__ = "repo_tag"
    __table_args__ = (Index("repo_tag_by_tag", "tag", "repo_id"),)

    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)


class Like(Table):
    """A user likes a repository."""

    __tablename__ = "like"

    user_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"), primary_key=True, index=True)
    created: Mapped[datetime] = mapped_column(default=now)


class AccessRequest(Table):
    """A user asks to read a gated repository."""

    __tablename__ = "access_request"
    __table_args__ = (UniqueConstraint("repo_id", "user_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    status: Mapped[str]  # "pending", "accepted" or "rejected"
    reason: Mapped[str] = mapped_column(default="")  # given by the user who asks
    answer: Mapped[str] = mapped_column(default="")  # given with a rejection
    created: Mapped[datetime] = mapped_column(default=now)


class Content(Table):
    """A large file, by its sha256: whole in the blob store (`file_hash` None), or a recipe over xorbs."""

    __tablename__ = "content"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    file_hash: Mapped[str | None] = mapped_column(index=True)
    terms: Mapped[list[Any]] = mapped_column(default=list)  # [[xorb hash, first chunk, end chunk, bytes], ...]
    created: Mapped[datetime] = mapped_column(default=now)


class RepoContent(Table):
    """Content that somebody who may write brought into a repository. Without this link, its hash opens nothing."""

    __tablename__ = "repo_content"

    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("content.sha256", ondelete="CASCADE"), primary_key=True, index=True)
    created: Mapped[datetime] = mapped_column(default=now)
    used: Mapped[datetime] = mapped_column(
        default=now
    )  # last named by an upload or a commit; a sweep spares what is young


class Xorb(Table):
    """A block of chunks as the Xet client sent it; its chunk table lies beside it in the blob store."""

    __tablename__ = "xorb"

    hash: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    created: Mapped[datetime] = mapped_column(default=now)


class XorbOwner(Table):
    """A user who sent a xorb, and may therefore build files from it."""

    __tablename__ = "xorb_owner"

    hash: Mapped[str] = mapped_column(ForeignKey("xorb.hash", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)


class ContentXorb(Table):
    """A xorb that a content's recipe needs."""

    __tablename__ = "content_xorb"

    sha256: Mapped[str] = mapped_column(ForeignKey("content.sha256", ondelete="CASCADE"), primary_key=True)
    hash: Mapped[str] = mapped_column(ForeignKey("xorb.hash"), primary_key=True, index=True)


class Discussion(Table):
    """A discussion or a pull request; both are numbered in one sequence a repository."""

    __tablename__ = "discussion"

    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    status: Mapped[str]  # "open", "closed", "merged" or "draft"
    pull_request: Mapped[bool]
    author_id: Mapped[str | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    author: Mapped[str]
    base: Mapped[str | None]  # the ref that a pull request wants to change
    merge_commit: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(default=now)


class DiscussionEvent(Table):
    """What happened in a discussion: a comment, a commit, a new title or status."""

    __tablename__ = "discussion_event"
    __table_args__ = (Index("event_by_discussion", "repo_id", "number", "created"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    repo_id: Mapped[str] = mapped_column(ForeignKey("repo.id", ondelete="CASCADE"))
    number: Mapped[int]
    type: Mapped[str]  # "comment", "status-change", "title-change" or "commit"
    author_id: Mapped[str | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    author: Mapped[str]
    data: Mapped[dict[str, Any]]
    created: Mapped[datetime] = mapped_column(default=now)


class AuditRecord(Table):
    """One line of the audit log. `hash` covers the line and the hash before it, so any change or gap shows."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    token_id: Mapped[str]
    address: Mapped[str]
    action: Mapped[str]
    repo: Mapped[str] = mapped_column(index=True)
    commit: Mapped[str]
    path: Mapped[str]
    bytes: Mapped[int]
    note: Mapped[str]
    hash: Mapped[str]


class Epoch(Table):
    """How often xorbs were removed. Xet clients remember xorbs by the Hub's address; a new epoch gives it a new one."""

    __tablename__ = "epoch"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    began: Mapped[datetime] = mapped_column(default=now)


class Secret(Table):
    """A key that the Hub signs with; made at the first start."""

    __tablename__ = "secret"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[bytes]
