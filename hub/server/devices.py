"""Signing in a device that has no browser, from one that has (OAuth device code, RFC 8628; protocol, section 3.1)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from medhub.server import accounts, audit
from medhub.server.access import Principal
from medhub.server.errors import BadRequest, Forbidden, NotFound
from medhub.server.hub import Hub
from medhub.server.tables import Account, DeviceLogin, now

LIFETIME = timedelta(minutes=15)
"""How long a login waits to be approved."""
TOKEN_LIFETIME = timedelta(days=30)
"""How long the token of a device is good; then the person signs in again."""
INTERVAL = 5
"""Seconds between two questions of a client whether it was approved."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of a user code: no vowels, so that it is no word, and no digits to mistake letters for (RFC 8628, section 6.1)."""


class OAuthError(BadRequest):
    """What OAuth clients read from `error`: authorization_pending, access_denied, expired_token, invalid_grant ..."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, error=code, error_description=message)


def start(session: Session) -> tuple[str, str]:
    """Begin a login; return the device code, a secret of the device, and the user code, which a person types."""
    session.execute(delete(DeviceLogin).where(DeviceLogin.expires < now() - LIFETIME))
    device_code = secrets.token_urlsafe(32)
    letters = [secrets.choice(LETTERS) for _ in range(8)]
    user_code = "".join(letters[:4]) + "-" + "".join(letters[4:])
    session.add(DeviceLogin(device_hash=_hash(device_code), user_code=user_code, expires=now() + LIFETIME))
    return device_code, user_code


def approve(session: Session, principal: Principal, user_code: str) -> None:
    """Let the device that shows this code sign in as the caller. Raises NotFound for a code that no login waits with.

    Codes can be guessed: call it within Limits.attempt.
    """
    if principal.token_role not in {"session", "write"}:
        raise Forbidden("this token may do less than a device could that it lets sign in; sign in yourself")
    login = _waiting(session, user_code)
    login.status, login.user_id = "approved", principal.id
    audit.record(session, principal, "device.approve", note=login.user_code)


def deny(session: Session, principal: Principal, user_code: str) -> None:
    """Refuse the device that shows this code. Raises NotFound as `approve` does, and is to be limited like it."""
    login = _waiting(session, user_code)
    login.status = "denied"
    audit.record(session, principal, "device.deny", note=login.user_code)


def redeem(hub: Hub, device_code: str, *, address: str = "") -> str:
    """Return the token of a login that was approved, once. Raises OAuthError while it was not, and ever after."""
    with hub.database.read() as session:
        _approved(session, device_code)  # clients ask every few seconds: only the last answer is worth a write
    with hub.database.write() as session:
        login = _approved(session, device_code)
        user = session.get(Account, login.user_id)
        session.delete(login)
        if user is None or user.disabled:
            raise OAuthError("access_denied", "the account that approved this login is disabled")
        name = f"device login {now():%Y-%m-%d}"
        token, secret = accounts.create_token(session, user, name, role="write", lifetime=TOKEN_LIFETIME)
        principal = Principal(id=user.id, name=user.name, token_id=token.id, address=address)
        audit.record(session, principal, "token.create", note=name)
        return secret


def _waiting(session: Session, user_code: str) -> DeviceLogin:
    letters = "".join(letter for letter in user_code[:32].upper() if letter.isalnum())
    found = session.execute(
        select(DeviceLogin).where(
            DeviceLogin.user_code == f"{letters[:4]}-{letters[4:]}",
            DeviceLogin.status == "pending",
            DeviceLogin.expires > now(),
        )
    ).scalar()
    if found is None:
        raise NotFound("no login waits with this code; compare it with what the device shows, or start again there")
    return found


def _approved(session: Session, device_code: str) -> DeviceLogin:
    login = session.get(DeviceLogin, _hash(device_code))
    if login is None:
        raise OAuthError("invalid_grant", "this device code is unknown, or was used; start the login again")
    if login.expires < now():
        raise OAuthError("expired_token", "the login was not approved in time; start it again")
    if login.status == "denied":
        raise OAuthError("access_denied", "the login was refused in the browser")
    if login.status == "pending":
        raise OAuthError("authorization_pending", "the login waits to be approved in the browser")
    return login


def _hash(device_code: str) -> str:
    return hashlib.sha256(device_code.encode()).hexdigest()
