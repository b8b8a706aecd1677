"""Signed statements: who may do what with which bytes until when, in a URL or a short-lived token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any

from medhub.server.errors import Forbidden


class Signer:
    """Signs small JSON statements with one key, a purpose each, so that one kind cannot pass for another."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, purpose: str, statement: dict[str, Any], *, seconds: int) -> str:
        """Return a URL-safe text that `verify` takes back for `seconds` seconds, and for this purpose alone."""
        content = json.dumps({**statement, "until": int(time.time()) + seconds}, separators=(",", ":")).encode()
        return f"{_text(content)}.{_text(self._mac(purpose, content))}"

    def verify(self, purpose: str, signed: str) -> dict[str, Any]:
        """Return the statement. Raises Forbidden where it was changed, has another purpose, or is too old."""
        content, _, mac = signed.partition(".")
        try:
            statement = _bytes(content)
            genuine = hmac.compare_digest(_bytes(mac), self._mac(purpose, statement))
        except (ValueError, binascii.Error):
            genuine = False
        if not genuine:
            raise Forbidden("the signature is not one of this Hub's for this purpose; ask for a new link")
        found: dict[str, Any] = json.loads(statement)
        if found.pop("until") < time.time():
            raise Forbidden("the link has expired; ask for a new one")
        return found

    def _mac(self, purpose: str, content: bytes) -> bytes:
        return hmac.digest(self._key, purpose.encode() + b"\0" + content, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
