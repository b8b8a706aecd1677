"""`medhub demo` in a process of its own, asked over a real socket as a browser asks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medhub.checks.subject import Subject
from medhub.predictor import Predictor
from medhub.registry import get

pytest.importorskip("gradio", reason="the extra 'demo' is not installed")


@pytest.fixture
def url(tmp_path: Path, cache: Path) -> Iterator[str]:
    """Where an untrained model's demo is served; the process is ended by Ctrl-C."""
    network = Subject(get("chem/toxicity")).network("dnn")
    folder = Predictor(network.task, network.model(), network.processor).save(tmp_path / "model")
    words = [sys.executable, "-m", "medhub.cli", "demo", str(folder)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        said = next(line for line in process.stderr if line.startswith("demo: "))
        yield said.split()[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) in (0, 130)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def ask(url: str, name: str, *values: Any) -> tuple[str, Any]:
    """Call a function of the page and return the kind of its last event with the event's data."""
    body = json.dumps({"data": values}).encode()
    request = urllib.request.Request(
        f"{url}gradio_api/call/{name}", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/{name}/{event}", timeout=120) as response:
        kind, data = response.read().decode().strip().split("\n\n")[-1].split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_the_demo_predicts_explains_and_refuses(url: str) -> None:
    assert url.startswith("http://127.0.0.1:")
    kind, answer = ask(url, "explain", "OC(=O)c1ccccc1OC(C)=O")
    said, bars, read_as, caption, picture, files, record, _ = answer
    assert kind == "complete"
    assert read_as == "CC(=O)Oc1ccccc1C(=O)O"
    assert all(f'<th scope="row">{name}</th>' in bars for name in record["probabilities"])
    assert said.startswith("<h2>")
    assert "spoke for" in caption["value"]
    assert picture["value"]["url"].startswith(url)
    assert [file["orig_name"] for file in files] == ["result.json", "result.png"]
    kind, (*_, caption, picture, _, _, _) = ask(url, "predict", "OC(=O)c1ccccc1OC(C)=O")
    assert (caption["visible"], picture["visible"]) == (False, False), "an explanation is one click more"
    kind, message = ask(url, "predict", "C1CC")
    assert kind == "error"
    assert "C1CC" in json.dumps(message), "a wrong input shows the predictor's sentence"
    with urllib.request.urlopen(f"{url}config", timeout=60) as response:
        assert "Not a medical device" in response.read().decode()
