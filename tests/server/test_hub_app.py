"""The application as a whole: what it needs, how it is found, and what every answer carries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from medhub.server.hub import open_hub
from medhub.server.serve import AddressInUse, running
from medhub.server.settings import Settings


def test_it_needs_neither_torch_nor_a_plugin() -> None:
    code = """
import sys, medhub.server.app, medhub.server.serve
heavy = {"torch", "transformers", "datasets", "gradio", "numpy", "pandas", "sklearn", "huggingface_hub"}
found = heavy & set(sys.modules) | {name for name in sys.modules if name.startswith("medhub.plugins.")}
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_answer_can_be_asked_about(served) -> None:
    with served.client() as client:
        assert client.get("/api/whoami-v2", headers={"X-Amzn-Trace-Id": "root=1"}).headers["X-Request-Id"] == "root=1"
        answer = client.get("/api/nothing/here")
    assert answer.status_code == 404
    assert answer.headers["X-Request-Id"]
    assert "nothing at GET /api/nothing/here" in answer.json()["error"]
    assert answer.headers["X-Error-Message"] == answer.json()["error"]


def test_a_wrong_token_is_said_in_the_words_that_clients_know(served) -> None:
    with served.client(None) as client:
        answer = client.get("/api/models/alice/any", headers={"Authorization": "Bearer hf_wrong"})
    assert answer.status_code == 401
    assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"


@pytest.mark.parametrize(
    "path", ["/api/models/alice/%ff", "/%00", "/api/models/..%2f..%2fetc/passwd", "/alice/a/resolve/main/%2e%2e/x"]
)
def test_strange_addresses_are_refused_and_break_nothing(served, path: str) -> None:
    with served.client() as client:
        assert client.get(path).status_code in (400, 401, 404)


def test_a_port_that_is_taken_is_one_sentence(served, tmp_path: Path) -> None:
    port = int(served.url.rpartition(":")[2])
    hub = open_hub(Settings(data=tmp_path / "hub", port=port))
    with pytest.raises(AddressInUse, match=f"cannot listen at 127.0.0.1:{port}.*--port"), running(hub):
        pass
    hub.database.close()
