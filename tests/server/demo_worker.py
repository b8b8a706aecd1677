"""Stands in for medhub.demo.worker where a test is about the Hub: it starts at once, and tells what reaches it.

ANY/echo      what was asked, with which headers and body size; this process's environment and files
GET/events    events without end
GET/grow      takes 300 MB of memory
GET/die       ends at once
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

taken: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        getattr(self, self.path.rpartition("/")[2].partition("?")[0], self.echo)()

    def do_POST(self) -> None:
        self.echo()

    def echo(self) -> None:
        told = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": sum(map(len, self._pieces())),
            "environment": dict(os.environ),
            "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
            "pid": os.getpid(),
        }
        self._answer("application/json", json.dumps(told).encode())

    def grow(self) -> None:
        taken.append(bytes(range(256)) * (300_000_000 // 256))
        self._answer("text/plain", b"more")

    def die(self) -> None:
        os._exit(3)

    def events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                piece = b"data: now\n\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                time.sleep(0.05)
        except OSError:
            (Path(given.socket).parent / "hung-up").touch()
            self.close_connection = True

    def _pieces(self) -> Any:
        if "content-length" in self.headers:
            yield self.rfile.read(int(self.headers["content-length"]))
        elif "transfer-encoding" in self.headers:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Set-Cookie": "medhub_session=taken",
            "Access-Control-Allow-Origin": "https://elsewhere.example",
            "Location": "https://elsewhere.example",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> Any:
        connection, _ = super().get_request()
        return connection, ("", 0)


def wait_for_the_end() -> None:
    while os.read(0, 100):
        pass
    os._exit(0)


parser = argparse.ArgumentParser()
parser.add_argument("name")
for option in ("--socket", "--memory", "--upload"):
    parser.add_argument(option, required=True)
given = parser.parse_args()
folder = Path(given.name)
threading.Thread(target=wait_for_the_end, daemon=True).start()
if not (folder / "model.safetensors").exists():
    sys.exit(f"WeightsError\n{given.name} holds no model.safetensors")
server = Server(given.socket, Handler)
if (folder / "slow.json").exists():
    time.sleep(3600)
print("ready", flush=True)
server.serve_forever()
