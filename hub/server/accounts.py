"""Users, organisations, roles and tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from medhub.server.access import PERMISSION_RIGHTS, ROLE_RIGHTS, Principal
from medhub.server.errors import BadRequest, Conflict, NotFound, Unauthenticated
from medhub.server.tables import Account, Membership, Repo, Table, Token, now

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[-._](?=[A-Za-z0-9]))*")
RESERVED = frozenset({
    "admin", "api", "audit", "buckets", "collections", "dataset", "datasets", "device", "docs", "health", "help",
    "join", "kernels", "login", "logout", "me", "model", "models", "new", "notifications", "oauth", "organizations",
    "papers", "resolve", "search", "settings", "space", "spaces", "static", "tasks", "tokens", "uploads", "users",
    "xet",
})  # fmt: skip
"""Names that would stand in the way of the Hub's own addresses."""
TOKEN_ROLES = ("read", "write", "fineGrained")
SESSION_TIME = timedelta(days=7)
USED_STEP = timedelta(minutes=10)
"""How exact a token's time of last use is; finer would make each read a write."""


def create_account(
    session: Session, name: str, *, kind: str = "user", fullname: str = "", email: str = "", admin: bool = False
) -> Account:
    """Make a user or an organisation. Raises BadRequest for a name that cannot be, Conflict for one that is taken."""
    if not NAME.fullmatch(name) or not 2 <= len(name) <= 42 or "--" in name:
        raise BadRequest(f"{name!r} cannot be a name: 2 to 42 letters, digits, and single '-', '_' or '.' between them")
    if name.lower() in RESERVED and not (kind == "user" and name == "admin"):
        raise Conflict(f"the name {name!r} is the Hub's own; choose another")
    if session.execute(select(Account.id).where(Account.lower == name.lower())).scalar():
        raise Conflict(f"the name {name!r} is taken; choose another")
    account = Account(kind=kind, name=name, lower=name.lower(), fullname=fullname or name, email=email, admin=admin)
    session.add(account)
    session.flush()
    return account


def get_account(session: Session, name: str, *, kind: str | None = None) -> Account:
    """Return the user or organisation of this name, whatever its case. Raises NotFound."""
    found = session.execute(select(Account).where(Account.lower == name.lower())).scalar()
    if found is None or (kind and found.kind != kind):
        raise NotFound(f"there is no {dict(user='user', org='organisation').get(kind or '', 'account')} {name!r}")
    return found


def set_role(session: Session, org: Account, user: Account, role: str | None) -> None:
    """Give a user a role in an organisation, or take it (None). Raises BadRequest for an unknown role."""
    if role is not None and role not in ROLE_RIGHTS:
        raise BadRequest(f"there is no role {role!r}; roles: {', '.join(ROLE_RIGHTS)}")
    if org.kind != "org" or user.kind != "user":
        raise BadRequest(
            f"roles are held by users in organisations; {org.name} is a {org.kind}, {user.name} a {user.kind}"
        )
    held = session.get(Membership, (org.id, user.id))
    if held and role != "admin" and held.role == "admin" and _admins(session, org) == 1:
        raise Conflict(f"{user.name} is the last admin of {org.name}; make somebody else admin first")
    if held and role is None:
        session.delete(held)
    elif held and role:
        held.role = role
    elif role:
        session.add(Membership(org_id=org.id, user_id=user.id, role=role))
    session.flush()


def set_password(user: Account, password: str) -> None:
    """Set a user's password. Raises BadRequest where it is shorter than 12 characters."""
    if len(password) < 12:
        raise BadRequest("a password has at least 12 characters")
    user.password = _scrypt(password, secrets.token_bytes(16))


def check_password(session: Session, name: str, password: str) -> Account:
    """Return the user with this name and password. Raises Unauthenticated, after the same time for every reason."""
    user = session.execute(select(Account).where(Account.lower == name.lower(), Account.kind == "user")).scalar()
    kept = user.password if user and user.password else _scrypt(secrets.token_hex(8), bytes(16))
    right = hmac.compare_digest(kept, _scrypt(password, bytes.fromhex(kept.split("$")[0])))
    if not user or not user.password or user.disabled or not right:
        raise Unauthenticated("the name or the password is wrong")
    return user


def create_token(
    session: Session,
    user: Account,
    name: str,
    *,
    role: str = "read",
    scopes: Sequence[Mapping[str, Any]] = (),
    lifetime: timedelta | None = None,
) -> tuple[Token, str]:
    """Make a token; return its row, and the token itself, which is kept nowhere and cannot be shown again.

    `scopes`, of a fine-grained token, are {"type", "name", "permissions"}; type is user, org, model, dataset or space.
    Raises BadRequest for an unknown role, permission or entity.
    """
    if role not in (*TOKEN_ROLES, "session"):
        raise BadRequest(f"there is no token role {role!r}; roles: {', '.join(TOKEN_ROLES)}")
    if (role == "fineGrained") != bool(scopes):
        raise BadRequest("a fineGrained token has scopes, and no other has")
    if not name or len(name) > 96:
        raise BadRequest("a token has a name of 1 to 96 characters, so that it can be told apart from others")
    secret = "hf_" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(34))
    token = Token(
        user_id=user.id, name=name, hash=_hash(secret), role=role, scopes=[_scope(session, scope) for scope in scopes],
        expires=now() + lifetime if lifetime else None,
    )  # fmt: skip
    session.add(token)
    session.flush()
    return token, secret


def authenticate(session: Session, secret: str, *, address: str = "") -> Principal:
    """Return the principal of a token. Raises Unauthenticated where it is unknown, expired, or its user disabled."""
    return _principal(session.execute(_BY_SECRET, {"hash": _hash(secret)}).all(), address)


def principal_of_token(session: Session, token_id: str, *, address: str = "") -> Principal:
    """Return the principal of a token by its id, for what was signed on its behalf. Raises Unauthenticated."""
    return _principal(session.execute(_BY_ID, {"id": token_id}).all(), address)


def touch(session: Session, token_id: str) -> None:
    """Note that a token was used now (in a write transaction)."""
    if token := session.get(Token, token_id):
        token.used = now()


# every request asks: plain statements, built once, cost a third of what rows as objects do
_USERS, _TOKENS, _MEMBERS = (Table.metadata.tables[name] for name in ("account", "token", "membership"))
_ACTING = (
    select(
        _USERS.c.id, _USERS.c.name, _USERS.c.admin, _USERS.c.disabled,
        _TOKENS.c.id.label("token_id"), _TOKENS.c.name.label("token_name"), _TOKENS.c.role.label("token_role"),
        _TOKENS.c.scopes, _TOKENS.c.expires, _TOKENS.c.used, _MEMBERS.c.org_id, _MEMBERS.c.role,
    )
    .join_from(_TOKENS, _USERS, _USERS.c.id == _TOKENS.c.user_id)
    .outerjoin(_MEMBERS, _MEMBERS.c.user_id == _USERS.c.id)
)  # fmt: skip
_BY_SECRET = _ACTING.where(_TOKENS.c.hash == bindparam("hash"))
_BY_ID = _ACTING.where(_TOKENS.c.id == bindparam("id"))


def _principal(rows: Sequence[Any], address: str) -> Principal:
    """Return who acts with a token: a row for each organisation of its user, or one without. Raises Unauthenticated."""
    found = rows[0] if rows else None
    if found is None or found.disabled or (found.expires and found.expires < now()):
        # the clients know this sentence, and do not report a missing repository instead
        raise Unauthenticated("Invalid credentials in Authorization header")
    return Principal(
        id=found.id, name=found.name, admin=found.admin, token_id=found.token_id, token_name=found.token_name,
        token_role=found.token_role, token_used=found.used, scopes=tuple(found.scopes), address=address,
        roles={row.org_id: row.role for row in rows if row.org_id},
    )  # fmt: skip


def _scope(session: Session, scope: Mapping[str, Any]) -> dict[str, Any]:
    kind, name, permissions = scope["type"], scope["name"], list(scope["permissions"])
    if unknown := [permission for permission in permissions if permission not in PERMISSION_RIGHTS]:
        raise BadRequest(f"there is no permission {unknown[0]!r}; permissions: {', '.join(PERMISSION_RIGHTS)}")
    if kind in {"user", "org"}:
        found: Account | Repo | None = get_account(session, name, kind=kind)
    else:
        found = session.execute(select(Repo).where(Repo.kind == kind, Repo.path == name.lower())).scalar()
    if found is None:
        raise BadRequest(f"there is no {kind} {name!r} to limit the token to")
    return {"type": kind, "id": found.id, "name": name, "permissions": permissions}


def _admins(session: Session, org: Account) -> int:
    count = select(func.count()).where(Membership.org_id == org.id, Membership.role == "admin")
    return session.execute(count).scalar_one()


def _hash(secret: str) -> str:
    # a token has 190 bits of chance in it: a plain hash cannot be guessed back
    return hashlib.sha256(secret.encode()).hexdigest()


def _scrypt(password: str, salt: bytes) -> str:
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()}"
