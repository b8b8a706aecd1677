"""What the API tells of a repository: its properties, by their names there (protocol, section 3.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from medhub.server import facts, listing, screening
from medhub.server.access import Principal, visible
from medhub.server.errors import BadRequest, RevisionNotFound
from medhub.server.routes.shapes import stamp
from medhub.server.storage.git import Entry, GitRepository
from medhub.server.tables import Repo, RepoTag

if TYPE_CHECKING:
    from medhub.server.hub import Hub

APP_FILES = {"gradio": "app.py", "streamlit": "app.py", "docker": "Dockerfile", "static": "index.html"}


@dataclass(frozen=True, kw_only=True)
class Related:
    """What other tables tell of a repository: its tags, the models made from it, and the spaces that use it."""

    tags: Sequence[str] = ()
    children: int = 0
    spaces: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A repository at one revision, with what its properties are read from. `files` reads them from git."""

    repo: Repo
    sha: str | None
    card: Mapping[str, Any]
    facts: Mapping[str, Any]
    related: Related
    files: Callable[[], Iterable[Entry]]


Property = Callable[[Shown], Any]


def _nothing(shown: Shown) -> None:
    """A property that clients know and this Hub has nothing to tell of."""


def _fact(name: str) -> Property:
    return lambda shown: shown.facts.get(name)


def _in_card(name: str) -> Property:
    return lambda shown: shown.card.get(name)


def _names(name: str) -> Property:
    """Return the property of a card that is one name or a list of them."""

    def names(shown: Shown) -> list[str]:
        found = shown.card.get(name) or []
        return [str(one) for one in found] if isinstance(found, list) else [str(found)]

    return names


def runtime(shown: Shown) -> dict[str, Any]:
    """Return the state of a space, which this Hub stores and does not run (protocol, section 3.13)."""
    app = shown.card.get("app_file") or APP_FILES.get(shown.facts.get("sdk") or "", "app.py")
    stage = "STOPPED" if any(entry.path == app for entry in shown.files()) else "NO_APP_FILE"
    return {"stage": stage, "hardware": {"current": None, "requested": None}, "storage": None, "gcTimeout": None}


COMMON: Mapping[str, Property] = {
    "author": lambda shown: shown.repo.namespace,
    "cardData": lambda shown: shown.card or None,
    "createdAt": lambda shown: stamp(shown.repo.created),
    "disabled": lambda shown: False,
    "lastModified": lambda shown: stamp(shown.repo.updated),
    "likes": lambda shown: shown.repo.likes,
    "private": lambda shown: shown.repo.visibility == "private",
    "resourceGroup": _nothing,
    "sha": lambda shown: shown.sha,
    "siblings": lambda shown: [{"rfilename": entry.path} for entry in shown.files() if entry.kind == "file"],
    "tags": lambda shown: shown.related.tags,
    "trendingScore": lambda shown: shown.repo.likes,
    "usedStorage": lambda shown: shown.repo.storage,
    "gated": lambda shown: shown.repo.gated or False,
    # this Hub counts without forgetting
    "downloads": lambda shown: shown.repo.downloads,
    "downloadsAllTime": lambda shown: shown.repo.downloads,
}
MODEL: Mapping[str, Property] = {
    "baseModels": _names("base_model"),
    "childrenModelCount": lambda shown: shown.related.children,
    "config": _fact("config"),
    "evalResults": _nothing,
    "gguf": _nothing,
    "inference": _nothing,
    "inferenceProviderMapping": _nothing,
    "library_name": _fact("library_name"),
    "mask_token": _nothing,
    "model-index": _in_card("model-index"),
    "pipeline_tag": _fact("pipeline_tag"),
    "safetensors": _fact("safetensors"),
    "spaces": lambda shown: shown.related.spaces,
    "transformersInfo": _nothing,
    "widgetData": _in_card("widget"),
}
DATASET: Mapping[str, Property] = {
    "citation": _nothing,
    "description": _fact("description"),
    "mainSize": lambda shown: shown.repo.storage,
    "paperswithcode_id": _in_card("paperswithcode_id"),
}
SPACE: Mapping[str, Property] = {
    "datasets": _names("datasets"),
    "host": _nothing,
    "models": _names("models"),
    "region": _nothing,
    "runtime": runtime,
    "sdk": _fact("sdk"),
    "subdomain": lambda shown: f"{shown.repo.namespace}-{shown.repo.name}".lower().replace(".", "-").replace("_", "-"),
}
PROPERTIES: Mapping[str, Mapping[str, Property]] = {
    "model": {**COMMON, **MODEL},
    "dataset": {**COMMON, **DATASET},
    "space": {**COMMON, **SPACE},
}
"""The properties of each kind; `expand` names them."""
ON_REQUEST = frozenset(
    ("baseModels", "childrenModelCount", "downloadsAllTime", "evalResults", "inferenceProviderMapping", "spaces")
)
"""Properties that are told only where they are asked for by name."""


def repo_info(
    hub: Hub,
    principal: Principal,
    repo: Repo,
    revision: str | None = None,
    *,
    blobs: bool = False,
    security: bool = False,
    expand: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a repository at a revision, main unless given: everything, or only the properties that `expand` names.

    `blobs` adds size, git's id and the large file's sha256 to each file, `security` which files are pickles by name.
    Raises RevisionNotFound, and BadRequest for a property that the kind does not have.
    """
    check_properties(repo.kind, expand)
    names = expand or [name for name in PROPERTIES[repo.kind] if name not in ON_REQUEST]
    git = hub.git.open(repo.id)
    sha = _resolve(git, revision)
    with hub.database.read() as session:
        others = related(session, hub, principal, [repo], names)[repo.id]
    card, told = repo.card, repo.facts
    if sha != repo.indexed:
        # without the weights, whose headers can be large
        card, told = facts.read(hub, repo, sha, ("README.md", "config.json"), card={}, known={})
    files = cache(lambda: git.tree(sha, recursive=True) or [])
    found = describe(Shown(repo=repo, sha=sha, card=card, facts=told, related=others, files=files), names)
    if blobs:
        found["siblings"] = [_blob(entry) for entry in files() if entry.kind == "file"]
    if security:
        found["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": _issues(files())}
    return found


def row_info(hub: Hub, repo: Repo, names: Iterable[str], *, related: Related) -> dict[str, Any]:
    """Return the named properties of a repository at main as its row has them, for lists."""

    def files() -> Iterable[Entry]:
        git = hub.git.open(repo.id)
        return git.tree(_resolve(git, None), recursive=True) or []

    shown = Shown(repo=repo, sha=repo.indexed, card=repo.card, facts=repo.facts, related=related, files=files)
    return describe(shown, names)


def related(
    session: Session, hub: Hub, principal: Principal, repos: Sequence[Repo], names: Container[str]
) -> dict[str, Related]:
    """Return what other tables tell of repositories, by their ids, as far as the named properties need it."""
    tags = listing.tags_of(session, repos) if "tags" in names else {}
    children: dict[str, int] = {}
    spaces: defaultdict[str, list[str]] = defaultdict(list)
    if "childrenModelCount" in names:
        seen = visible(principal, anonymous=hub.settings.anonymous)
        made = select(RepoTag.tag, func.count()).where(*_naming("model", "base_model", repos), seen)
        children = {tag: count for tag, count in session.execute(made.group_by(RepoTag.tag))}
    if "spaces" in names:
        seen = visible(principal, anonymous=hub.settings.anonymous)
        for tag, space in session.execute(select(RepoTag.tag, Repo).where(*_naming("space", "model", repos), seen)):
            spaces[tag].append(space.full_name)
    return {
        repo.id: Related(
            tags=tags.get(repo.id, ()),
            children=children.get(f"base_model:{repo.full_name}", 0),
            spaces=spaces[f"model:{repo.full_name}"],
        )
        for repo in repos
    }


def _naming(kind: str, prefix: str, repos: Iterable[Repo]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for repositories of a kind, and their tags, whose cards name one of `repos`."""
    tags = [f"{prefix}:{repo.full_name}" for repo in repos]
    return Repo.id == RepoTag.repo_id, Repo.kind == kind, RepoTag.tag.in_(tags)


def describe(shown: Shown, names: Iterable[str]) -> dict[str, Any]:
    """Return the identity of a repository, and the named properties."""
    repo = shown.repo
    identity = {"_id": repo.id, "id": repo.full_name} | ({"modelId": repo.full_name} if repo.kind == "model" else {})
    return identity | {name: PROPERTIES[repo.kind][name](shown) for name in names}


def check_properties(kind: str, names: Iterable[str]) -> None:
    """Raise BadRequest for a name that is no property of this kind."""
    if unknown := [name for name in names if name not in PROPERTIES[kind]]:
        raise BadRequest(
            f"a {kind} has no property {unknown[0][:80]!r} to expand; it has {', '.join(PROPERTIES[kind])}"
        )


def resolve_revision(hub: Hub, repo: Repo, revision: str | None) -> str:
    """Return the sha of a branch, tag, pull request or commit; of main for None. Raises RevisionNotFound."""
    return _resolve(hub.git.open(repo.id), revision)


def _resolve(git: GitRepository, revision: str | None) -> str:
    found = git.resolve(revision or "main")
    if found is None:
        raise RevisionNotFound(revision or "main")
    return found


def _blob(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {"rfilename": entry.path, "size": entry.size, "blobId": entry.oid}
    if entry.lfs:
        shown["lfs"] = {"sha256": entry.lfs.sha256, "size": entry.lfs.size, "pointerSize": entry.lfs.pointer_size}
    return shown


def _issues(entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return the files whose names say that they are pickles; what their contents say, the tree tells where asked."""
    unsafe = [entry.path for entry in entries if screening.status(entry.path, b"") == "unsafe"]
    return [{"path": path, "level": "unsafe"} for path in unsafe]
