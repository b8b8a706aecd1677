"""A real Hub on a free port of loopback, with people and tokens, and the unmodified client pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from clients import client_environment, run_python
from web_client import Browser

from medhub.server import accounts
from medhub.server.database import Database
from medhub.server.hub import Hub, open_hub
from medhub.server.serve import running
from medhub.server.settings import Settings


@dataclass(frozen=True)
class TestHub:
    """A Hub that runs, and tokens of its people.

    alice and bob are ordinary users, carol has a token that only reads, root is the admin; alice is admin of the
    organisation radiology, bob may read there.
    """

    __test__ = False

    hub: Hub
    url: str
    tokens: dict[str, str]

    def client(self, who: str | None = "alice") -> httpx.Client:
        """Return a plain HTTP client that acts as `who`; None is a stranger."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def api(self, who: str = "alice") -> Any:
        """Return an unmodified huggingface_hub client that acts as `who`."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.url, token=self.tokens[who])

    def environment(self, home: Path, who: str | None = "alice", **more: str) -> dict[str, str]:
        """Return the environment in which another process's clients use this Hub as `who`, with a home of their own."""
        return client_environment(self.url, home, self.tokens[who] if who else None, **more)

    def script(self, name: str, home: Path, who: str | None = "alice", *, python: str = "", **more: str) -> str:
        """Run a script of journeys/ as `python` does."""
        code = (Path(__file__).parent / "journeys" / name).read_text()
        return self.python(code, home, who, python=python, **more)

    def python(self, code: str, home: Path, who: str | None = "alice", *, python: str = "", **more: str) -> str:
        """Run Python code with unmodified clients in a process of its own; return what it printed."""
        return run_python(code, self.environment(home, who, **more), cwd=home, python=python)


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """Settings beyond the defaults; a module overrides this fixture."""
    return {}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]) -> Iterator[TestHub]:
    """One Hub a test module; tests in it use repositories of their own names."""
    hub = open_hub(Settings(**{"data": tmp_path_factory.mktemp("hub"), "port": 0, **settings}))
    tokens = people(hub)
    with running(hub) as url, pytest.MonkeyPatch.context() as patch:
        # the client reads the variable once, when it is imported; all other tests are to stay offline
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield TestHub(hub, url, tokens)
    hub.database.close()


def people(hub: Hub) -> dict[str, str]:
    """Make the accounts that TestHub tells of; return their tokens."""
    tokens = {}
    with hub.database.write() as session:
        for name, role in {"alice": "write", "bob": "write", "carol": "read", "root": "write"}.items():
            user = accounts.create_account(session, name, email=f"{name}@hospital.example", admin=name == "root")
            _, tokens[name] = accounts.create_token(session, user, "test", role=role)
        org = accounts.create_account(session, "radiology", kind="org", fullname="Radiology")
        accounts.set_role(session, org, accounts.get_account(session, "alice"), "admin")
        accounts.set_role(session, org, accounts.get_account(session, "bob"), "read")
    return tokens


@pytest.fixture(scope="module")
def browse(served: TestHub) -> Iterator[Callable[..., Browser]]:
    """Returns a browser of somebody, or of a stranger."""
    with ExitStack() as stack:
        yield lambda who=None: stack.enter_context(closing(Browser(served, who)))


@pytest.fixture(scope="module")
def alice(browse: Callable[..., Browser]) -> Browser:
    return browse("alice")


@pytest.fixture(scope="module")
def bob(browse: Callable[..., Browser]) -> Browser:
    return browse("bob")


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of chem/toxicity, small and untrained, that a demo can run."""
    pytest.importorskip("gradio", reason="the extra 'demo' is not installed")
    pytest.importorskip("rdkit", reason="the extra 'chem' is not installed")
    from web_client import card

    from medhub.checks.subject import Subject
    from medhub.predictor import Predictor
    from medhub.registry import get

    network = Subject(get("chem/toxicity")).network("dnn")
    folder = Predictor(network.task, network.model(), network.processor).save(tmp_path_factory.mktemp("model") / "tox")
    (folder / "README.md").write_bytes(card("tox"))
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    database = Database(f"sqlite:///{tmp_path}/hub.sqlite")
    database.upgrade()
    yield database
    database.close()


@pytest.fixture(autouse=True)
def client_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the clients, so that no test sees another's cache or token."""
    home = tmp_path / "hf"
    home.mkdir()
    monkeypatch.setenv("HF_HOME", str(home))
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET"):
        monkeypatch.delenv(name, raising=False)
    return home
