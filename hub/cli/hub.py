"""`medhub hub`: administering a Hub on its data folder, while it runs or not."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

from medhub.cli.accounts import Json, orgs, show_rows, tokens, users
from medhub.cli.models import _say
from medhub.cli.serve import Data, existing, read_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from medhub.server.tables import Repo

app = typer.Typer(help="Administer a Hub: accounts, repositories, checks.", no_args_is_help=True, rich_markup_mode=None)
repos = typer.Typer(help="Repositories.", no_args_is_help=True, rich_markup_mode=None)
for _name, _group in {"user": users, "token": tokens, "org": orgs, "repo": repos}.items():
    app.add_typer(_group, name=_name)

Name = Annotated[str, typer.Argument(help="namespace/name.")]
Kind = Annotated[str, typer.Option("--type", help="model, dataset or space.")]


@repos.command("list")
def list_repos(json: Json = False, data: Data = None) -> None:
    """List the repositories; `storage` is the bytes of the files at the head of main.

    Example: medhub hub repo list --json
    """
    from sqlalchemy import select

    from medhub.server.tables import Repo

    headers = ["type", "name", "visibility", "gated", "storage", "downloads", "updated"]
    query = select(Repo).where(Repo.deleted.is_(None)).order_by(Repo.kind, Repo.path)
    with existing(data) as hub, hub.database.read() as session:
        rows = [
            (repo.kind, repo.full_name, repo.visibility, repo.gated, repo.storage, repo.downloads, repo.updated)
            for repo in session.execute(query).scalars()
        ]
    show_rows(headers, rows, as_json=json)


@repos.command("delete")
def delete_repo(
    name: Name,
    kind: Kind = "model",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Delete a repository; its large files go with the next `medhub hub gc --delete`.

    Example: medhub hub repo delete alice/old-model --yes
    """
    from medhub.server import repositories
    from medhub.server.access import OPERATOR

    with existing(data) as hub:
        with hub.database.read() as session:
            repo = _repo(session, name, kind=kind)
        if not yes:
            typer.confirm(f"delete the {repo.kind} {repo.full_name}?", abort=True)
        repositories.delete(hub, OPERATOR, repo)
    _say(f"{name} is deleted")


@repos.command("visibility")
def set_visibility(
    name: Name,
    visibility: Annotated[str, typer.Argument(help="private or public.")],
    kind: Kind = "model",
    data: Data = None,
) -> None:
    """Make a repository private or public.

    Example: medhub hub repo visibility alice/my-model public
    """
    from medhub.server import repositories
    from medhub.server.access import OPERATOR

    with existing(data) as hub:
        with hub.database.read() as session:
            repo = _repo(session, name, kind=kind)
        repositories.update(hub, OPERATOR, repo, visibility=visibility)
    _say(f"{name} is {visibility}")


@repos.command("rename")
def rename_repo(
    name: Name,
    to: Annotated[str, typer.Argument(help="The new namespace/name.")],
    kind: Kind = "model",
    data: Data = None,
) -> None:
    """Rename a repository, or move it to another namespace; the old name still leads there.

    Example: medhub hub repo rename alice/my-model radiology/chest-model
    """
    from medhub.server import repositories
    from medhub.server.access import OPERATOR

    with existing(data) as hub:
        with hub.database.read() as session:
            repo = _repo(session, name, kind=kind)
        namespace, new_name = repositories.split_name(to)
        repositories.move(hub, OPERATOR, repo, namespace=namespace, name=new_name)
    _say(f"{name} is {to} now")


@app.command()
def env(
    url: Annotated[str | None, typer.Option(help="The Hub's address; that of the settings unless given.")] = None,
    data: Data = None,
) -> None:
    """Print the settings of the clients that keep data inside, as lines for the shell.

    Example: eval "$(medhub hub env --url https://hub.hospital.example)"
    """
    settings = read_settings(data=data)
    from medhub.server.environment import shell_lines

    scheme = "https" if settings.certificate else "http"
    print(shell_lines(url or settings.public_url or f"{scheme}://{settings.host}:{settings.port}"))


@app.command()
def fsck(
    deep: Annotated[bool, typer.Option(help="Read and hash every byte of the large files, too.")] = False,
    repair: Annotated[bool, typer.Option(help="Build anew what is derived from git.")] = False,
    data: Data = None,
) -> None:
    """Check that nothing is missing or damaged; exit with 1 where something is.

    Example: medhub hub fsck --deep
    """
    from medhub.server.fsck import find_faults, orphans, rebuild

    with existing(data) as hub:
        if repair:
            _say(f"built the index of {rebuild(hub)} repositories anew")
        faults = 0
        for fault in find_faults(hub, deep=deep):
            print(fault, flush=True)
            faults += 1
        if left := orphans(hub):
            _say(f"{len(left)} git folders belong to no repository; creations that were cut off leave them, harmless")
    _say(f"{faults} faults" if faults else "nothing is wrong")
    raise typer.Exit(1 if faults else 0)


@app.command()
def gc(
    delete: Annotated[bool, typer.Option(help="Remove it; without this it is only counted.")] = False,
    data: Data = None,
) -> None:
    """Count the large files that no repository needs any more, and remove them.

    Example: medhub hub gc --delete
    """
    from medhub.server import erasure

    with existing(data) as hub:
        collected = erasure.collect(hub, delete=delete)
    print(collected)


@app.command()
def audit(
    since: Annotated[int, typer.Option(help="Only the lines after this number.")] = 0,
    verify: Annotated[bool, typer.Option(help="Check the chain instead; exit with 1 where it is broken.")] = False,
    data: Data = None,
) -> None:
    """Print the audit log as JSON, a line each, oldest first.

    Example: medhub hub audit --since 1200
    """
    from medhub.server import audit

    with existing(data) as hub, hub.database.read() as session:
        if verify:
            faults = audit.verify(session)
            print("\n".join(faults) or "the chain is whole")
            raise typer.Exit(1 if faults else 0)
        for line in audit.lines(session, since=since):
            print(json_module.dumps(line, ensure_ascii=False))


def _repo(session: Session, name: str, *, kind: str) -> Repo:
    """Return a repository by its name. Raises NotFound."""
    from sqlalchemy import select

    from medhub.server.errors import NotFound
    from medhub.server.tables import Repo

    found = session.execute(select(Repo).where(Repo.kind == kind, Repo.path == name.lower())).scalar()
    if found is None:
        raise NotFound(f"there is no {kind} {name!r}; `medhub hub repo list` shows them")
    return found
