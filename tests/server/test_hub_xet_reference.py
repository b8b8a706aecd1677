"""The formats beside the reference client: what hf_xet sends is understood, and what is made of it hf_xet can read."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medhub.server.xet import shard, xorb

hf_xet = pytest.importorskip("hf_xet")


class Store(ThreadingHTTPServer):
    """Keeps what the client uploads, as a Hub would, and answers questions about files from it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.tables: dict[str, xorb.Xorb] = {}
        self.files: dict[str, tuple[shard.FileRecord, int]] = {}

    def add_xorb(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.write_bytes(data)
        self.tables[name] = xorb.inspect(path)
        assert self.tables[name].hash == name

    def add_shard(self, data: bytes) -> None:
        parsed = shard.parse(data)
        assert {record.hash: record.chunks for record in parsed.xorbs}.items() <= {
            name: len(table) for name, table in self.tables.items()
        }.items()
        self.files |= {record.hash: (record, shard.check_file(record, self.tables)) for record in parsed.files}

    def content(self, name: str) -> bytes:
        parts = []
        for term in self.files[name][0].terms:
            start, stop = self.tables[term.xorb_hash].byte_range(term.start, term.end)
            parts.append(xorb.decode((self.folder / term.xorb_hash).read_bytes()[start:stop]))
        return b"".join(parts)

    def reconstruction(self, name: str) -> dict[str, Any]:
        terms = list(self.files[name][0].terms)
        return {
            "offset_into_first_range": 0,
            "terms": [
                {"hash": term.xorb_hash, "unpacked_length": term.unpacked_length, "range": span(term.start, term.end)}
                for term in terms
            ],
            "xorbs": {name: self.fetches(name, terms) for name in {term.xorb_hash for term in terms}},
        }

    def fetches(self, name: str, terms: list[shard.Term]) -> list[dict[str, Any]]:
        """The stretches of one xorb that hold the terms; the client cannot bear stretches that overlap."""
        merged: list[list[int]] = []
        for start, end in sorted({(term.start, term.end) for term in terms if term.xorb_hash == name}):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([start, end])
        fetches = []
        for start, end in merged:
            first, stop = self.tables[name].byte_range(start, end)
            ranges = [{"chunks": span(start, end), "bytes": span(first, stop - 1)}]
            fetches.append({"url": f"{self.url}/data/{name}", "ranges": ranges})
        return fetches


def span(start: int, end: int) -> dict[str, int]:
    return {"start": start, "end": end}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: bytes = b"{}") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/v1/xorbs/default/"):
            self.server.add_xorb(self.path.rsplit("/", 1)[1], body)
            self.answer(200, b'{"was_inserted": true}')
        elif self.path == "/v1/shards":
            self.server.add_shard(body)
            self.answer(200, b'{"result": 1}')
        else:
            self.answer(404)

    def do_GET(self) -> None:
        kind, name = self.path.split("/")[-2:]
        if kind == "reconstructions":
            self.answer(200, json.dumps(self.server.reconstruction(name)).encode())
        elif kind == "data":
            first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
            self.answer(206, (self.server.folder / name).read_bytes()[first : last + 1])
        else:
            self.answer(404)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "xorbs"
    folder.mkdir()
    with Store(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def contents() -> dict[str, bytes]:
    noise = np.random.default_rng(0)
    weights = (noise.standard_normal(250_001) * 0.02).astype(np.float32).tobytes()
    text = b"".join(b"visit %d of patient %d: stable\n" % (i % 13, i * i % 977) for i in range(20_000))
    block = noise.bytes(1_500_000)
    return {
        "noise": noise.bytes(5_000_000),
        "weights, which are byte-grouped": weights + b"xy",
        "text, which is compressed": text,
        "nothing": b"",
        "one byte": b"a",
        "repetition, which names chunks again": block + block + text + block[:800_000] + block,
        "zeros, which name one chunk all the time": bytes(3_000_000),
        "background and a little signal": b"".join(noise.bytes(90_000) + bytes(500_000) for _ in range(8)),
    }


def test_what_the_reference_client_sends_is_understood_and_can_be_read_again(store: Store, tmp_path: Path) -> None:
    connection = {"endpoint": store.url, "token": "any", "token_expiry_unix_secs": int(time.time()) + 3600}
    session = hf_xet.XetSession(hf_xet.XetConfig().with_config("telemetry.enabled", False))
    sent = contents()
    with session.new_upload_commit(**connection) as commit:
        handles = {
            name: commit.start_upload_bytes(content, sha256=hf_xet.COMPUTE_SHA256) for name, content in sent.items()
        }
    infos = {name: handle.result().xet_info for name, handle in handles.items()}
    for name, content in sent.items():
        record, size = store.files[infos[name].hash]
        assert (size, record.sha256) == (len(content), hashlib.sha256(content).hexdigest()), name
        assert store.content(record.hash) == content, name

    with session.new_file_download_group(**connection) as group:
        for name, info in infos.items():
            group.start_download_file(hf_xet.XetFileInfo(info.hash, info.file_size), str(tmp_path / name))
    for name, content in sent.items():
        assert (tmp_path / name).read_bytes() == content, name
