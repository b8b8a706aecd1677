"""`medhub serve`, the Hub in the foreground; and how all commands open a Hub's folder."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medhub.errors import MedHubError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from medhub.server.hub import Hub
    from medhub.server.settings import Settings

Data = Annotated[Path | None, typer.Option(help="The Hub's folder; MEDHUB_HUB_DATA, or else ./hub-data, unless given.")]
ABANDONED = 24 * 3600.0
"""Seconds after which a temporary file belongs to no upload any more; another process may serve the same folder."""


def serve(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="8000 unless given; 0 takes a free one.")] = None,
    host: Annotated[str | None, typer.Option(help="127.0.0.1 unless given; 0.0.0.0 for every interface.")] = None,
) -> None:
    """Serve a Hub for huggingface_hub, git and browsers, and make its data folder at the first start.

    Example: medhub serve --data /srv/medhub --port 8000
    """
    # both end the server in order; without this SIGTERM would end the process before it says so
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), opened(read_settings(data=data, port=port, host=host)) as hub:
        from medhub.server.serve import listen

        server, listener, url = listen(hub)
        recover(hub)
        token = first_token(hub)
        print(f"Hub          {url}\ndata         {hub.settings.data.resolve()}")
        if token:
            print(f"admin token  {token}  (shown this once)")
        else:
            print(f"new token    medhub hub token create USER --role write --data {hub.settings.data}")
        print("Ctrl-C ends it", flush=True)
        server.run(sockets=[listener])
    print("stopped; nothing is lost")


def read_settings(**given: Any) -> Settings:
    """Return the settings, the command line's over the environment's over the file's. Raises MedHubError."""
    try:
        from medhub.server.settings import Settings
    except ImportError as error:
        raise _not_installed(error) from error
    return Settings.read(**given)


@contextmanager
def opened(settings: Settings) -> Iterator[Hub]:
    """Open the Hub for the length of a `with` block. Raises MedHubError where its folder cannot be used."""
    try:
        from sqlalchemy.exc import SQLAlchemyError

        from medhub.server.hub import open_hub
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        hub = open_hub(settings)
    except (OSError, SQLAlchemyError) as error:
        raise MedHubError(f"the data folder {settings.data} cannot be used: {str(error).splitlines()[0]}") from error
    try:
        yield hub
    finally:
        hub.database.close()


@contextmanager
def existing(data: Path | None) -> Iterator[Hub]:
    """Open a Hub that is there already. Raises MedHubError for a folder that holds none, instead of making one."""
    settings = read_settings(data=data)
    if not settings.database and not (settings.data / "hub.sqlite").exists():
        raise MedHubError(f"there is no Hub in {settings.data}; give its folder with --data, or make one: medhub serve")
    with opened(settings) as hub:
        yield hub


@contextmanager
def changing(data: Path | None, action: str, *, note: str) -> Iterator[Session]:
    """Open a Hub and a write transaction on it, which ends with the change's line in the audit log."""
    from medhub.server import audit
    from medhub.server.access import OPERATOR

    with existing(data) as hub, hub.database.write() as session:
        yield session
        audit.record(session, OPERATOR, action, note=note)


def recover(hub: Hub) -> None:
    """Bring in order what a killed process left behind: changes that the database has not seen, abandoned files."""
    from medhub.server import demos, index

    index.refresh_dirty(hub)
    hub.git.sweep(ABANDONED)
    hub.blobs.sweep(ABANDONED)
    demos.sweep(hub)


def first_token(hub: Hub) -> str | None:
    """Make the user `admin` where there is no user at all, and return its token; None where there are users."""
    from sqlalchemy import select

    from medhub.server import accounts, audit
    from medhub.server.access import OPERATOR
    from medhub.server.tables import Account

    with hub.database.write() as session:
        if session.execute(select(Account.id).where(Account.kind == "user").limit(1)).scalar():
            return None
        admin = accounts.create_account(session, "admin", admin=True)
        _, secret = accounts.create_token(session, admin, "first start", role="write")
        audit.record(session, OPERATOR, "user.create", note="admin, at the first start")
        return secret


def _not_installed(error: ImportError) -> MedHubError:
    return MedHubError(f"the Hub needs {error.name}; pip install 'medhub[server]'")
