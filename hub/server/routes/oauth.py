"""Signing in from a terminal through a browser: the OAuth device code (RFC 8628; protocol, section 3.1).

The page at /device, where a person approves, is one of the web pages.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse

from medhub.server import devices
from medhub.server.routes.dependencies import Caller, TheHub
from medhub.server.routes.paths import base_url

router = APIRouter(max_body_size=2**16)

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@router.post("/oauth/device")
def start(request: Request, hub: TheHub, caller: Caller) -> dict[str, Any]:
    """Begin a login; the client shows the user code and the address, and asks for its token meanwhile."""
    with hub.database.write() as session:
        device_code, user_code = devices.start(session)
    page = f"{base_url(request)}/device"
    return {
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?code={user_code}",
        "interval": devices.INTERVAL,
        "expires_in": int(devices.LIFETIME.total_seconds()),
    }


@router.post("/oauth/token")
def token(
    hub: TheHub,
    caller: Caller,
    grant_type: Annotated[str, Form()] = "",
    device_code: Annotated[str, Form()] = "",
) -> JSONResponse:
    """Give out the token of a login that was approved. There are no refresh tokens: a person signs in again."""
    if grant_type == "refresh_token":
        raise devices.OAuthError("invalid_grant", "this Hub renews no tokens; sign in again (hf auth login)")
    if grant_type != DEVICE_CODE:
        raise devices.OAuthError("unsupported_grant_type", f"this Hub knows the grant type {DEVICE_CODE} only")
    answer = {
        "access_token": devices.redeem(hub, device_code, address=caller.address),
        "token_type": "bearer",
        "expires_in": int(devices.TOKEN_LIFETIME.total_seconds()),
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})
