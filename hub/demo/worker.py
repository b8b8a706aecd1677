"""A demo in a process of its own, for a Hub: `python -P -m medhub.demo.worker org/name --socket FILE ...`.

It loads the model from the folder org/name in the working directory with what is installed, serves its page on a Unix
socket, and writes one line, READY, when it can be asked. Where the model cannot be loaded, the last line of standard
error says why, and the exit status is 1.
It ends, and removes the folder that the socket is in, as soon as standard input does: with whoever started it.

Every request says in X-Forwarded-Prefix which part of its path leads to the page, so that one worker serves every
visitor under an address of their own.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import socket
import sys
import threading
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from medhub.errors import MedHubError

READY = "ready"
OPEN_FILES = 1024
RESERVED = 3 << 30
"""Bytes that the limit on data allows beyond `--memory`: with any model of the zoo the libraries claim 1.2 GB that they
never touch, and threads need more."""
VISITORS_WAITING = 32
"""Predictions that may wait while one is made; who comes then is told to come back."""


def main() -> None:
    """Serve until standard input ends."""
    asked = _arguments()
    _limit(memory=asked.memory + RESERVED, file=asked.upload)
    threading.Thread(target=_end_with_parent, args=[asked.socket.parent], daemon=True).start()
    try:
        app = _page(asked.name, upload=asked.upload)
    except MedHubError as error:
        sys.exit(str(error))
    import uvicorn

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(asked.socket))
    listener.listen(128)
    config = uvicorn.Config(
        Prefixed(app), ws="none", log_level="warning", access_log=False, server_header=False,
        proxy_headers=True, forwarded_allow_ips="*",
    )  # fmt: skip
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


class Prefixed:
    """Middleware that takes the part of the path that X-Forwarded-Prefix names as where the application is mounted."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the root path, from which Gradio makes the addresses in its answers."""
        if scope["type"] == "http":
            prefix = dict(scope["headers"]).get(b"x-forwarded-prefix", b"")
            scope = {**scope, "root_path": prefix.decode("latin-1")}
        await self.app(scope, receive, send)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m medhub.demo.worker", description="Serve one model's demo.")
    parser.add_argument("name", help="what the model is called, org/name, and where it lies")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen, in a private folder that goes")
    parser.add_argument("--memory", type=int, required=True, help="bytes of memory that it may take")
    parser.add_argument("--upload", type=int, required=True, help="bytes of the largest file that a visitor may give")
    return parser.parse_args()


def _limit(*, memory: int, file: int) -> None:
    """Bound what this process may take, for good."""
    os.umask(0o077)
    os.nice(5)  # the Hub's own answers come first
    # what would take too much in one gulp, such as a picture that unpacks to many gigabytes, fails at the allocation
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _end_with_parent(private: Path) -> None:
    """Wait until standard input ends, which it does however the parent ended; leave nothing."""
    while os.read(0, 1024):
        pass
    shutil.rmtree(private, ignore_errors=True)
    os._exit(0)


def _page(name: str, *, upload: int) -> FastAPI:
    """Return the application: the page of a model by its name. Raises MedHubError where there can be none."""
    from medhub.demo import STYLE, build
    from medhub.predictor import from_pretrained

    page = build(from_pretrained(name, device="cpu"))
    page.queue(max_size=VISITORS_WAITING)
    import gradio

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # no run history: browsers are shared; no word of an unexpected error: it may quote what another visitor gave
    return gradio.mount_gradio_app(
        app, page, path="/", footer_links=[], run_history=False, show_error=False, max_file_size=upload,
        ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False, css=STYLE,
    )  # fmt: skip


if __name__ == "__main__":
    main()
