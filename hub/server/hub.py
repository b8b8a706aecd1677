"""The Hub's parts, opened together: settings, database, git repositories, blobs and the signing key."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass

from medhub.server.database import Database
from medhub.server.settings import Settings
from medhub.server.signing import Signer
from medhub.server.storage.blobs import Blobs
from medhub.server.storage.git import GitStore
from medhub.server.storage.local import LocalBlobs
from medhub.server.tables import Secret


@dataclass(frozen=True)
class Hub:
    """What every request works with. It holds no state of its own, so that several processes can serve one Hub."""

    settings: Settings
    database: Database
    git: GitStore
    blobs: Blobs
    signer: Signer


def open_hub(settings: Settings) -> Hub:
    """Open the Hub in the data folder, making what is missing; the folder is the operator's alone (mode 0700)."""
    settings.data.mkdir(parents=True, exist_ok=True)
    os.chmod(settings.data, 0o700)
    database = Database(settings.database_url)
    database.upgrade()
    return Hub(
        settings=settings,
        database=database,
        git=GitStore(settings.data / "repositories"),
        blobs=LocalBlobs(settings.data / "blobs"),
        signer=Signer(_signing_key(database)),
    )


def _signing_key(database: Database) -> bytes:
    with database.write() as session:
        secret = session.get(Secret, "signing")
        if secret is None:
            secret = Secret(name="signing", value=secrets.token_bytes(32))
            session.add(secret)
        return secret.value
