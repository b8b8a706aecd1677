"""The life of a repository: made, changed in its settings, moved, duplicated, deleted.

The git folder comes first, under an id that nobody knows yet, and the row second: whatever dies in between leaves a
folder without a row, which does no harm and can be found, and never a row without its history.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from medhub.server import audit, contents, index
from medhub.server.access import Principal, may_create_in
from medhub.server.accounts import get_account
from medhub.server.errors import BadRequest, Conflict, Forbidden, Refusal, RepoNotFound
from medhub.server.storage.git import Author
from medhub.server.tables import Account, Repo, RepoAlias, RepoContent, RepoTag, new_id, now

if TYPE_CHECKING:
    from medhub.server.hub import Hub

KINDS = ("model", "dataset", "space")
VISIBILITIES = ("public", "private")
SDKS = ("gradio", "docker", "static", "streamlit")
NAME = re.compile(r"(?![-.])[A-Za-z0-9._-]+(?<![-.])")
LONGEST = 96
"""Letters of "namespace/name"."""
RESERVED = frozenset(("commit", "commits", "paths-info", "preupload", "resolve", "revision", "tree"))
"""Names that follow a repository's own in an address: /api/models/NAME/tree/main has to be a missing namespace."""
LARGE = (
    "*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot "
    "*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar *.tflite *.tgz *.wasm *.xz "
    "*.zip *.zst *tfevents* *.nii *.dcm *.nrrd *.nhdr *.mha *.raw *.mgz *.svs *.ndpi *.tif *.tiff *.edf *.bdf *.h5ad "
    "**/*.zarr/**"
)
"""Patterns of what is kept outside git: weights, archives and tables, then medical images and signals (appendix C)."""
GITATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE.split())
SPACE_CARD = """\
---
title: "{name}"
sdk: {sdk}
---
"""


COPIED = ("gated", "indexed", "extensions", "card", "facts", "text", "storage")
"""What a copy's row says from the start; what was committed to the source since then, `index.refresh` adds."""


class NameTaken(Conflict):
    """The repository exists already; clients look for its address in the answer."""

    def __init__(self, kind: str, full_name: str) -> None:
        super().__init__(f"You already created this {kind} repo")
        self.kind, self.full_name = kind, full_name


def create(
    hub: Hub,
    principal: Principal,
    *,
    kind: str,
    namespace: str | None = None,
    name: str,
    visibility: str | None = None,
    sdk: str | None = None,
) -> Repo:
    """Make a repository with its first commit; in the caller's own namespace and private, unless said otherwise.

    Raises BadRequest for a name, visibility or sdk that cannot be, NotFound for a namespace that is not there,
    Forbidden where the caller may not make any in it, NameTaken.
    """
    if kind not in KINDS:
        raise BadRequest(f"this Hub has no repositories of type {kind!r}; types: {', '.join(KINDS)}")
    if (kind == "space") != (sdk in SDKS):
        raise BadRequest(
            f"the sdk of a {kind} is {sdk!r}; a space has one of {', '.join(SDKS)}, and nothing else has any"
        )
    with hub.database.read() as session:
        owner = _namespace(session, principal, namespace or principal.name or "")
        repo = _row(principal, owner, kind=kind, name=name, visibility=visibility or "private")
        _require_free(session, repo)
        author = author_of(session, principal)
    with _git_folder(hub, repo):
        commit = hub.git.create(repo.id, first_files(repo, sdk), author=author, message="initial commit")
        with hub.database.write() as session:
            _claim(session, repo)
            index.refresh(hub, session, repo)
            audit.record(session, principal, "repo.create", repo=_label(repo), commit=commit, note=repo.visibility)
    return repo


def delete(hub: Hub, principal: Principal, repo: Repo) -> None:
    """Delete a repository: nobody sees it, its name is free; what it held goes with the next garbage collection."""
    with hub.database.write() as session:
        current = _current(session, principal, repo)
        audit.record(session, principal, "repo.delete", repo=_label(current))
        current.deleted, current.path = now(), None
        session.execute(delete_rows(RepoAlias).where(RepoAlias.repo_id == current.id))


def move(hub: Hub, principal: Principal, repo: Repo, *, namespace: str, name: str) -> Repo:
    """Give a repository another name or namespace; the former name leads to it until somebody else takes it.

    Raises BadRequest, NotFound and Forbidden as `create` does for the new name, Conflict where it is taken.
    """
    with hub.database.write() as session:
        owner = _namespace(session, principal, namespace)
        _check_name(owner.name, name)
        moved = _current(session, principal, repo)
        former, label, path = moved.path, _label(moved), f"{owner.name}/{name}".lower()
        if (holder := _holder(session, moved.kind, path)) and holder is not moved:
            raise Conflict(f"A {moved.kind} repository called {holder.full_name} already exists")
        moved.namespace_id, moved.namespace, moved.name, moved.path = owner.id, owner.name, name, path
        _drop_alias(session, moved)
        if former != path:
            session.merge(RepoAlias(kind=moved.kind, path=former, repo_id=moved.id))
        audit.record(session, principal, "repo.move", repo=_label(moved), note=f"from {label}")
        return moved


def update(
    hub: Hub,
    principal: Principal,
    repo: Repo,
    *,
    visibility: str | None = None,
    gated: Literal["auto", "manual", False] | None = None,
) -> Repo:
    """Change who sees a repository, and whether readers have to ask first; None leaves a setting as it is.

    Raises BadRequest for a visibility that cannot be.
    """
    with hub.database.write() as session:
        current = _current(session, principal, repo)
        if visibility is not None:
            current.visibility = _visibility(visibility)
        if gated is not None:
            current.gated = gated or None
        note = f"visibility={current.visibility} gated={current.gated or False}"
        audit.record(session, principal, "repo.settings", repo=_label(current), note=note)
        return current


def duplicate(
    hub: Hub, principal: Principal, source: Repo, *, namespace: str, name: str, visibility: str | None = None
) -> Repo:
    """Copy a repository, history and files, under another name; as visible as the source unless given, and as gated.

    The caller has to be allowed to read the source. Raises as `create` does.
    """
    with hub.database.read() as session:
        owner = _namespace(session, principal, namespace)
        repo = _row(principal, owner, kind=source.kind, name=name, visibility=visibility or source.visibility)
        _require_free(session, repo)
    for column in COPIED:
        setattr(repo, column, getattr(source, column))
    with _git_folder(hub, repo):
        hub.git.copy(source.id, repo.id)
        with hub.database.write() as session:
            _claim(session, repo)
            held = session.execute(select(RepoContent.sha256).where(RepoContent.repo_id == source.id)).scalars().all()
            contents.link(session, repo.id, *held)
            tags = session.execute(select(RepoTag.tag).where(RepoTag.repo_id == source.id)).scalars().all()
            session.add_all(RepoTag(repo_id=repo.id, tag=tag) for tag in tags)
            index.refresh(hub, session, repo)
            audit.record(session, principal, "repo.duplicate", repo=_label(repo), note=f"from {_label(source)}")
    return repo


def first_files(repo: Repo, sdk: str | None) -> dict[str, bytes]:
    """Return the files of a repository's first commit: what goes to large file storage, and a space's card."""
    files = {".gitattributes": GITATTRIBUTES.encode()}
    if sdk:
        files["README.md"] = SPACE_CARD.format(name=repo.name, sdk=sdk).encode()
    return files


def author_of(session: Session, principal: Principal) -> Author:
    """Return who the caller is in a commit."""
    user = session.get(Account, principal.id)
    return Author(principal.name or "", user.email if user else "")


def split_name(full_name: str) -> tuple[str, str]:
    """Return namespace and name of "namespace/name". Raises BadRequest."""
    namespace, slash, name = full_name.partition("/")
    if not slash or not namespace:
        raise BadRequest(f"{full_name!r} is no full name of a repository; write namespace/name")
    return namespace, name


def _namespace(session: Session, principal: Principal, name: str) -> Account:
    """Return the account that a repository shall belong to. Raises NotFound, and Forbidden where the caller may not."""
    owner = get_account(session, name)
    if not may_create_in(principal, owner):
        raise Forbidden(
            f"you may not make repositories in {owner.name}; ask one of its admins, or use a token that may"
        )
    return owner


def _row(principal: Principal, owner: Account, *, kind: str, name: str, visibility: str) -> Repo:
    _check_name(owner.name, name)
    return Repo(
        id=new_id(), kind=kind, namespace_id=owner.id, namespace=owner.name, name=name,
        path=f"{owner.name}/{name}".lower(), creator_id=principal.id or None, visibility=_visibility(visibility),
        extensions={}, card={}, facts={}, text="",
    )  # fmt: skip


def _check_name(namespace: str, name: str) -> None:
    if not NAME.fullmatch(name) or "--" in name or ".." in name or name.lower().endswith(".git"):
        raise BadRequest(
            f"{name!r} cannot be a repository's name: it takes letters, digits, '-', '_' and '.', begins and ends with "
            "neither '-' nor '.', has no '--' and no '..', and does not end in .git"
        )
    if len(namespace) + 1 + len(name) > LONGEST:
        raise BadRequest(f"{namespace}/{name} is longer than {LONGEST} letters; choose a shorter name")
    if name.lower() in RESERVED:
        raise BadRequest(f"the name {name!r} is a word of the Hub's own addresses; choose another")


def _visibility(visibility: str) -> str:
    if visibility == "protected":
        raise BadRequest(
            "this Hub does not offer protected Spaces, since it does not run them; choose public or private"
        )
    if visibility not in VISIBILITIES:
        raise BadRequest(f"the visibility is {visibility!r}; it can be public or private")
    return visibility


def _holder(session: Session, kind: str, path: str) -> Repo | None:
    return session.execute(select(Repo).where(Repo.kind == kind, Repo.path == path)).scalar()


def _require_free(session: Session, repo: Repo) -> None:
    if holder := _holder(session, repo.kind, repo.path or ""):
        raise NameTaken(holder.kind, holder.full_name)


def _claim(session: Session, repo: Repo) -> None:
    """Add the row; its name, if it was another repository's former one, leads there no longer. Raises NameTaken."""
    _require_free(session, repo)
    _drop_alias(session, repo)
    session.add(repo)
    session.flush()


def _drop_alias(session: Session, repo: Repo) -> None:
    session.execute(delete_rows(RepoAlias).where(RepoAlias.kind == repo.kind, RepoAlias.path == repo.path))


def _current(session: Session, principal: Principal, repo: Repo) -> Repo:
    """Return the row as it is now. Raises RepoNotFound where it was deleted since the caller's right was checked."""
    current = session.get(Repo, repo.id)
    if current is None or current.deleted:
        raise RepoNotFound(repo.full_name, stranger=principal.stranger)
    return current


@contextmanager
def _git_folder(hub: Hub, repo: Repo) -> Iterator[None]:
    """A `with` block that makes a repository's git folder and then its row; where the row is refused, the folder goes.

    After any other error it stays, since the row may have been written nevertheless.
    """
    try:
        yield
    except Refusal:
        hub.git.delete(repo.id)
        raise


def _label(repo: Repo) -> str:
    return f"{repo.kind} {repo.full_name}"
