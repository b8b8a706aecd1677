"""Running the Hub: in the foreground for `medhub serve`, or in a thread beside other work."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from anyio.to_thread import run_sync

from medhub.errors import MedHubError
from medhub.server.app import create_app
from medhub.server.demos import Demos
from medhub.server.hub import Hub
from medhub.server.settings import SettingsError


class AddressInUse(MedHubError):
    """The port is taken by another program, or the address is not this machine's."""


class _Server(uvicorn.Server):
    """A server that ends the demos before it waits for the requests under way: an open page's would never end."""

    def __init__(self, config: uvicorn.Config, demos: Demos) -> None:
        super().__init__(config)
        self._demos = demos

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the demos, then everything else."""
        await run_sync(self._demos.close)
        await super().shutdown(sockets)


def listen(hub: Hub) -> tuple[uvicorn.Server, socket.socket, str]:
    """Bind the address of the settings; return the server, its socket and its URL.

    Raises AddressInUse, and SettingsError for a certificate that cannot be used.
    """
    settings = hub.settings
    if bool(settings.certificate) != bool(settings.key):
        raise SettingsError("a certificate needs its key, and a key its certificate; set both, or neither")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise AddressInUse(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror}; "
            "choose another with --port, or 0 for a free one"
        ) from error
    listener.listen(2048)
    demos = Demos(hub)
    config = uvicorn.Config(
        create_app(hub, demos), http="httptools", ws="none", lifespan="off", log_level="warning", access_log=False,
        server_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=10,
        # with a proxy on this machine in front, the caller's address is the one that the proxy saw
        proxy_headers=bool(settings.public_url), forwarded_allow_ips="127.0.0.1",
        ssl_certfile=settings.certificate or None, ssl_keyfile=settings.key or None,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:  # of the certificate's files; ssl's errors are OSErrors
        listener.close()
        raise SettingsError(f"the certificate or its key cannot be used: {error}") from error
    host = "127.0.0.1" if settings.host in {"0.0.0.0", ""} else settings.host
    url = settings.public_url or f"{'https' if config.is_ssl else 'http'}://{host}:{listener.getsockname()[1]}"
    return _Server(config, demos), listener, url


@contextmanager
def running(hub: Hub) -> Iterator[str]:
    """Serve the Hub from a thread for the length of a `with` block, which gets its URL."""
    server, listener, url = listen(hub)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="medhub-hub", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
