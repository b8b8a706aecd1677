"""`medhub hub user|token|org`: who may sign in, with what, and in which organisation. Every change is audited."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from medhub.cli.display import print_json, print_table
from medhub.cli.models import _say
from medhub.cli.serve import Data, changing, existing
from medhub.errors import MedHubError

users = typer.Typer(help="The people of the Hub.", no_args_is_help=True, rich_markup_mode=None)
tokens = typer.Typer(help="What people and programs sign in with.", no_args_is_help=True, rich_markup_mode=None)
orgs = typer.Typer(help="Organisations and their members.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
User = Annotated[str, typer.Argument(help="A user's name.")]
Org = Annotated[str, typer.Argument(help="An organisation's name.")]
Fullname = Annotated[str, typer.Option(help="The name for people.")]


@users.command("add")
def add_user(
    name: User,
    fullname: Fullname = "",
    email: Annotated[str, typer.Option(help="An address for people.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="May do everything, everywhere.")] = False,
    data: Data = None,
) -> None:
    """Make a user, who then needs a password or a token.

    Example: medhub hub user add alice --fullname "Alice Adams"
    """
    from medhub.server import accounts

    with changing(data, "user.create", note=name) as session:
        accounts.create_account(session, name, fullname=fullname, email=email, admin=admin)
    _say(f"made {name}; next: medhub hub user password {name}, or medhub hub token create {name}")


@users.command("list")
def list_users(json: Json = False, data: Data = None) -> None:
    """List the users.

    Example: medhub hub user list --json
    """
    from sqlalchemy import select

    from medhub.server.tables import Account

    headers = ["name", "fullname", "email", "admin", "disabled", "created"]
    columns = [getattr(Account, header) for header in headers]
    query = select(*columns).where(Account.kind == "user").order_by(Account.lower)
    with existing(data) as hub, hub.database.read() as session:
        show_rows(headers, session.execute(query).all(), as_json=json)


@users.command("disable")
def disable_user(name: User, data: Data = None) -> None:
    """Shut a user out at once: password, tokens and sessions stop working, nothing is deleted.

    Example: medhub hub user disable alice
    """
    _set_disabled(name, disabled=True, data=data)


@users.command("enable")
def enable_user(name: User, data: Data = None) -> None:
    """Let a disabled user in again.

    Example: medhub hub user enable alice
    """
    _set_disabled(name, disabled=False, data=data)


@users.command("password")
def set_password(name: User, data: Data = None) -> None:
    """Set a user's password, asked for or read from standard input, and end the user's browser sessions.

    Example: medhub hub user password alice
    """
    from medhub.server import accounts
    from medhub.server.web.sessions import end_sessions

    if sys.stdin.isatty():
        password = typer.prompt("new password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    with changing(data, "user.password", note=name) as session:
        user = accounts.get_account(session, name, kind="user")
        accounts.set_password(user, password)
        end_sessions(session, user.id)
    _say(f"{name} has a new password")


@tokens.command("create")
def create_token(
    user: User,
    name: Annotated[str, typer.Option(help="To tell it apart from others.")] = "made by the operator",
    role: Annotated[str | None, typer.Option(help="read (unless given) or write.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="TYPE:NAME:PERMISSION: may do this alone; may be given again.")
    ] = None,
    expires: Annotated[int | None, typer.Option(min=1, help="Days; never unless given.")] = None,
    data: Data = None,
) -> None:
    """Make a token and print it, this once.

    Example: medhub hub token create alice --scope org:radiology:repo.write --expires 90
    """
    from medhub.server import accounts

    if role and scope:
        raise typer.BadParameter("give --role, or --scope for a token that may do less")
    role = "fineGrained" if scope else role or "read"
    with changing(data, "token.create", note=f"{name} of {user}, {role}") as session:
        _, secret = accounts.create_token(
            session, accounts.get_account(session, user, kind="user"), name, role=role,
            scopes=[_scope(text) for text in scope or ()], lifetime=timedelta(days=expires) if expires else None,
        )  # fmt: skip
    print(secret)


@tokens.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Argument(help="One user only.")] = None, json: Json = False, data: Data = None
) -> None:
    """List the tokens, without what is secret in them.

    Example: medhub hub token list alice
    """
    from sqlalchemy import select

    from medhub.server import accounts
    from medhub.server.tables import Account, Token

    owned = select(Token, Account.name).join(Account, Account.id == Token.user_id)
    query = owned.order_by(Account.lower, Token.created)
    with existing(data) as hub, hub.database.read() as session:
        if user:
            query = query.where(Token.user_id == accounts.get_account(session, user, kind="user").id)
        rows = [
            (token.id, owner, token.name, token.role, ", ".join(map(_scope_text, token.scopes)),
             token.created, token.expires, token.used)
            for token, owner in session.execute(query)
        ]  # fmt: skip
    show_rows(["id", "user", "name", "role", "scopes", "created", "expires", "used"], rows, as_json=json)


@tokens.command("revoke")
def revoke_token(
    id: Annotated[str, typer.Argument(help="As `medhub hub token list` shows it.")], data: Data = None
) -> None:
    """End a token.

    Example: medhub hub token revoke 66f0c0ffee0123456789abcd
    """
    from medhub.server.tables import Token

    with changing(data, "token.revoke", note=id) as session:
        token = session.get(Token, id)
        if token is None:
            raise MedHubError(f"there is no token {id!r}; `medhub hub token list` shows them")
        session.delete(token)
    _say(f"{id} is no token any more")


@orgs.command("add")
def add_org(name: Org, fullname: Fullname = "", data: Data = None) -> None:
    """Make an organisation, which then needs an admin.

    Example: medhub hub org add radiology --fullname "Department of Radiology"
    """
    from medhub.server import accounts

    with changing(data, "org.create", note=name) as session:
        accounts.create_account(session, name, kind="org", fullname=fullname)
    _say(f"made {name}; next: medhub hub org member {name} USER admin")


@orgs.command("list")
def list_orgs(json: Json = False, data: Data = None) -> None:
    """List the organisations, a line for each member.

    Example: medhub hub org list
    """
    from sqlalchemy import select
    from sqlalchemy.orm import aliased

    from medhub.server.tables import Account, Membership

    person = aliased(Account)
    query = (
        select(Account.name, Account.fullname, person.name, Membership.role)
        .outerjoin(Membership, Membership.org_id == Account.id)
        .outerjoin(person, person.id == Membership.user_id)
        .where(Account.kind == "org")
        .order_by(Account.lower, person.lower)
    )
    with existing(data) as hub, hub.database.read() as session:
        show_rows(["name", "fullname", "member", "role"], session.execute(query).all(), as_json=json)


@orgs.command("member")
def set_member(
    org: Org,
    user: User,
    role: Annotated[str, typer.Argument(help="read, contributor, write or admin.")],
    data: Data = None,
) -> None:
    """Give a user a role in an organisation.

    Example: medhub hub org member radiology alice write
    """
    _set_role(org, user, role, data=data)


@orgs.command("remove")
def remove_member(org: Org, user: User, data: Data = None) -> None:
    """Take a user's role in an organisation.

    Example: medhub hub org remove radiology alice
    """
    _set_role(org, user, None, data=data)


def show_rows(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows as a table, or as a list of JSON objects."""
    if as_json:
        print_json([dict(zip(headers, row, strict=True)) for row in rows])
    else:
        print_table(headers, [[_cell(value) for value in row] for row in rows])


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)


def _set_disabled(name: str, *, disabled: bool, data: Path | None) -> None:
    from medhub.server import accounts

    with changing(data, "user.disable" if disabled else "user.enable", note=name) as session:
        accounts.get_account(session, name, kind="user").disabled = disabled
    _say(f"{name} is {'shut out' if disabled else 'let in'}")


def _set_role(org: str, user: str, role: str | None, *, data: Path | None) -> None:
    from medhub.server import accounts

    with changing(data, "org.member", note=f"{user} in {org}: {role or 'no role'}") as session:
        found = accounts.get_account(session, org, kind="org")
        accounts.set_role(session, found, accounts.get_account(session, user, kind="user"), role)
    _say(f"{user} has {f'the role {role}' if role else 'no role'} in {org}")


def _scope(text: str) -> dict[str, Any]:
    """Return a scope from text such as "org:radiology:repo.write"."""
    kind, _, rest = text.partition(":")
    name, _, permission = rest.partition(":")
    if not permission:
        raise typer.BadParameter(f"--scope takes TYPE:NAME:PERMISSION, such as org:radiology:repo.write, not {text!r}")
    return {"type": kind, "name": name, "permissions": [permission]}


def _scope_text(scope: dict[str, Any]) -> str:
    return f"{scope['type']}:{scope['name']}:{'+'.join(scope['permissions'])}"
