"""Demos on a Hub: from the click on "Try it" to the first prediction for each task, and ten visitors at one demo.

    python benchmarks/demos.py
    python benchmarks/demos.py --only visitors --visitors 10 --each 10

A Hub of its own on loopback, with one model of the zoo a task; everything goes through the Hub's proxy, asked by
gradio_client. Hub, worker and visitors share the cores. Two tables:

- tasks: seconds until the page "Try it" shows the demo, whose worker starts at the click; until the first prediction,
  and its explanation, is there, since the click; and what the next prediction takes.
- visitors: each with a page of their own, one prediction after the other; predictions a second, the median and the
  95th percentile of their times, and how many were lost.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio
import httpx
from gradio_client import Client, handle_file
from huggingface_hub import HfApi

import medhub
from medhub.publishing import files_to_push
from medhub.registry import zoo_index, zoo_models
from medhub.server import accounts
from medhub.server.hub import Hub, open_hub
from medhub.server.serve import running
from medhub.server.settings import Settings

FRAME = re.compile(r'<iframe class="demo" src="([^"]+)"')
BUSY = ("chest-xray-pneumonia", "tox21-toxicity")
"""Models that the visitors come to: a small network and a large one."""

Rows = Iterator[list[str]]


def tasks(url: str) -> Rows:
    """Yield the times of each task."""
    yield ["task", "model", "page", "first prediction", "explained", "next prediction"]
    for task, name in one_a_task().items():
        values = example(task)
        before = time.perf_counter()
        page = open_page(url, name)
        shown = time.perf_counter()
        page.predict(*values, api_name="/predict")
        first = time.perf_counter()
        page.predict(*values, api_name="/explain")
        explained = time.perf_counter()
        page.predict(*values, api_name="/predict")
        after = time.perf_counter()
        seconds = (shown - before, first - before, explained - before, after - explained)
        yield [task, name, *(f"{second:.1f} s" for second in seconds)]


def visitors(url: str, *, count: int, each: int) -> Rows:
    """Yield what so many visitors at once get, a row a model."""
    yield ["model", "visitors", "predictions", "a second", "median", "p95", "lost"]
    for name in BUSY:
        values = example(zoo_index()[name])
        pages = [open_page(url, name) for _ in range(count)]
        pages[0].predict(*values, api_name="/predict")

        def visit(page: Client, values: list[Any] = values) -> list[float | None]:
            return [timed(page, values) for _ in range(each)]

        before = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            found = [seconds for times in pool.map(visit, pages) for seconds in times]
        took = time.perf_counter() - before
        answered = sorted(seconds for seconds in found if seconds is not None)
        yield [
            name, str(count), str(len(answered)), f"{len(answered) / took:.1f}", f"{statistics.median(answered):.2f} s",
            f"{statistics.quantiles(answered, n=20)[-1]:.2f} s", str(len(found) - len(answered)),
        ]  # fmt: skip


def one_a_task() -> dict[str, str]:
    """Return the first model of the zoo of each task."""
    found: dict[str, str] = {}
    for name, task in zoo_index().items():
        found.setdefault(task, name)
    return dict(sorted(found.items()))


def models() -> set[str]:
    """Return all models that are tried."""
    return {*one_a_task().values(), *BUSY}


def example(task: str) -> list[Any]:
    """Return the first example of a task's demo as gradio_client takes it."""
    plugin = medhub.get(task).module("demo")
    with gradio.Blocks():
        components = plugin.inputs()
    return [as_given(component, value) for component, value in zip(components, plugin.examples()[0], strict=True)]


def as_given(component: Any, value: Any) -> Any:
    """Return a component's value with its files to be uploaded."""
    if not isinstance(component, gradio.File) or not value:
        return value
    return [handle_file(path) for path in value] if isinstance(value, list) else handle_file(value)


def open_page(url: str, name: str) -> Client:
    """Open the page "Try it" of a model and wait, as a browser does, until it has the demo."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as browser:
        while not (found := FRAME.search(answer := browser.get(f"/zoo/{name}/try").raise_for_status().text)):
            assert "is starting" in answer, answer
            time.sleep(0.5)
    return Client(found[1], verbose=False)


def timed(page: Client, values: list[Any]) -> float | None:
    """Return the seconds that a prediction takes, None where there is none."""
    before = time.perf_counter()
    try:
        page.predict(*values, api_name="/predict")
    except Exception as error:  # whatever it is, the visitor has no answer
        print(f"lost: {error!r}")
        return None
    return time.perf_counter() - before


def fill(hub: Hub, url: str) -> None:
    """Put the models on the Hub, for everybody to read."""
    with hub.database.write() as session:
        user = accounts.create_account(session, "zoo", email="zoo@example.org", admin=True)
        _, token = accounts.create_token(session, user, "benchmark", role="write")
    api, folders = HfApi(endpoint=url, token=token), zoo_models()
    for name in models():
        api.create_repo(f"zoo/{name}", private=False)
        api.upload_folder(repo_id=f"zoo/{name}", folder_path=folders[name], allow_patterns=files_to_push(folders[name]))


def main() -> None:
    """Print the tables, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("tasks", "visitors"))
    parser.add_argument("--visitors", type=int, default=10)
    parser.add_argument("--each", type=int, default=10, help="predictions of each visitor")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(Settings(data=Path(folder), port=0, anonymous=True, demos=len(models())))
        with running(hub) as url:
            fill(hub, url)
            tables = {"tasks": tasks(url), "visitors": visitors(url, count=given.visitors, each=given.each)}
            for part in [given.only] if given.only else tables:
                for number, row in enumerate(tables[part]):
                    print(
                        "| " + " | ".join(row) + " |" + ("\n|" + "---|" * len(row) if number == 0 else ""), flush=True
                    )
                print()


if __name__ == "__main__":
    main()
