"""`medhub serve` as a process, and `medhub hub` on the data folder of a Hub that runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from medhub.cli import app
from medhub.errors import MedHubError

DOCS = Path(__file__).parents[2] / "docs/hub.md"
PASSWORD = "correct horse battery staple"
COMMANDS = [
    ["serve"], *(["hub", name] for name in ("env", "fsck", "gc", "audit")),
    *(["hub", "user", name] for name in ("add", "list", "disable", "enable", "password")),
    *(["hub", "token", name] for name in ("create", "list", "revoke")),
    *(["hub", "org", name] for name in ("add", "list", "member", "remove")),
    *(["hub", "repo", name] for name in ("list", "delete", "visibility", "rename")),
]  # fmt: skip


def hub(served: Any, *words: str, stdin: str | None = None) -> Result:
    """Run `medhub hub ...` on the folder of the Hub that runs; what it raises on purpose is raised here."""
    done = CliRunner().invoke(app, ["hub", *words, "--data", str(served.hub.settings.data)], input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def whoami(served: Any, token: str) -> httpx.Response:
    return httpx.get(f"{served.url}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"}, trust_env=False)


class Serving:
    """`medhub serve` in a process of its own; `lines` is what it says before it serves."""

    def __init__(self, data: Path, *options: str) -> None:
        command = [sys.executable, "-m", "medhub.cli", "serve", "--data", str(data), "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.lines = list(takewhile(lambda line: line != "Ctrl-C ends it\n", self.process.stdout))
        self.url = self.lines[0].split()[-1]

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=30)
        return self.process.returncode, output, errors


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "hub"


def test_first_start_shows_a_token_that_works_and_later_starts_do_not(data: Path) -> None:
    first = Serving(data)
    token = re.search("hf_[A-Za-z]{34}", "\n".join(first.lines))
    assert token
    found = httpx.get(f"{first.url}/api/whoami-v2", headers={"Authorization": f"Bearer {token[0]}"}, trust_env=False)
    assert found.json()["name"] == "admin"
    assert first.end(signal.SIGINT) == (0, "stopped; nothing is lost\n", "")
    assert data.stat().st_mode & 0o077 == 0

    second = Serving(data)
    assert "hf_" not in "\n".join(second.lines)
    assert "medhub hub token create USER --role write" in second.lines[2]
    found = httpx.get(f"{second.url}/api/whoami-v2", headers={"Authorization": f"Bearer {token[0]}"}, trust_env=False)
    assert found.json()["name"] == "admin"
    assert second.end(signal.SIGTERM) == (0, "stopped; nothing is lost\n", "")


def test_what_cannot_start_says_why_in_one_line(data: Path, tmp_path: Path) -> None:
    def error(*options: str) -> str:
        command = [sys.executable, "-m", "medhub.cli", "serve", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        return done.stderr

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "Address already in use; choose another with --port" in error("--data", str(data), "--port", port)
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file" in error("--data", str(tmp_path / "file"))
    (data / "hub.toml").write_text("prot = 1")
    assert "did you mean 'port'" in error("--data", str(data))
    (data / "hub.toml").unlink()
    (data / "hub.sqlite").write_text("no database, but long enough to be taken for one" * 100)
    assert "file is not a database" in error("--data", str(data))


def test_serving_imports_no_model_library(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from medhub.cli.serve import first_token, opened, read_settings, recover\n"
        "from medhub.server.serve import listen\n"
        f"with opened(read_settings(data=pathlib.Path({str(tmp_path)!r}), port=0)) as hub:\n"
        "    recover(hub), first_token(hub), listen(hub)[1].close()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "transformers", "datasets", "gradio", "huggingface_hub"} & set(done.stdout.split())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_shows_an_example_and_has_a_heading_in_the_docs(words: list[str]) -> None:
    name = " ".join(["medhub", *words])
    assert re.search(rf"Example: .*{name}", CliRunner().invoke(app, [*words, "--help"]).stdout)
    assert f"### {' '.join(name.split()[:3])}\n" in DOCS.read_text()
    assert len(words) < 3 or f"    {name}" in DOCS.read_text()


def test_a_folder_without_a_hub_is_refused_and_not_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["hub", "user", "list", "--data", str(tmp_path / "no")])
    assert isinstance(done.exception, MedHubError)
    assert "there is no Hub in" in str(done.exception)
    assert not (tmp_path / "no").exists()


def test_a_user_from_beginning_to_end(served: Any) -> None:
    hub(served, "user", "add", "dora", "--fullname", "Dora", "--email", "dora@hospital.example")
    hub(served, "user", "password", "dora", stdin=PASSWORD + "\n")
    token = hub(served, "token", "create", "dora", "--name", "laptop", "--expires", "9").stdout.strip()
    found = whoami(served, token).json()
    assert (found["name"], found["fullname"], found["auth"]["accessToken"]["role"]) == ("dora", "Dora", "read")

    hub(served, "user", "disable", "dora")
    assert whoami(served, token).status_code == 401
    hub(served, "user", "enable", "dora")
    assert whoami(served, token).status_code == 200

    [row] = json.loads(hub(served, "token", "list", "dora", "--json").stdout)
    assert (row["name"], row["role"]) == ("laptop", "read")
    assert row["expires"]
    hub(served, "token", "revoke", row["id"])
    assert whoami(served, token).status_code == 401

    rows = json.loads(hub(served, "user", "list", "--json").stdout)
    assert [row["email"] for row in rows if row["name"] == "dora"] == ["dora@hospital.example"]
    lines = [json.loads(line) for line in hub(served, "audit").stdout.splitlines()]
    mine = [line["action"] for line in lines if line["actor"] == "operator" and "dora" in line["note"]]
    assert mine == ["user.create", "user.password", "token.create", "user.disable", "user.enable"]
    assert all(line["address"] == "console" for line in lines if line["actor"] == "operator")


def test_a_new_password_ends_browser_sessions_and_keeps_tokens(served: Any) -> None:
    from medhub.server import accounts

    hub(served, "user", "add", "emil")
    with served.hub.database.write() as session:
        _, browser = accounts.create_token(session, accounts.get_account(session, "emil"), "browser", role="session")
    token = hub(served, "token", "create", "emil").stdout.strip()
    with pytest.raises(MedHubError, match="at least 12 characters"):
        hub(served, "user", "password", "emil", stdin="short\n")
    assert whoami(served, browser).status_code == 200
    hub(served, "user", "password", "emil", stdin=PASSWORD + "\n")
    assert (whoami(served, browser).status_code, whoami(served, token).status_code) == (401, 200)
    with served.hub.database.read() as session:
        assert accounts.check_password(session, "emil", PASSWORD).name == "emil"


def test_organisations_and_scoped_tokens(served: Any) -> None:
    hub(served, "org", "add", "oncology", "--fullname", "Oncology")
    hub(served, "org", "member", "oncology", "bob", "admin")
    hub(served, "org", "member", "oncology", "carol", "read")
    hub(served, "org", "remove", "oncology", "carol")
    rows = json.loads(hub(served, "org", "list", "--json").stdout)
    assert [row for row in rows if row["name"] == "oncology"] == [
        {"name": "oncology", "fullname": "Oncology", "member": "bob", "role": "admin"}
    ]
    token = hub(served, "token", "create", "bob", "--scope", "org:oncology:repo.write").stdout.strip()
    made = {"name": "scoped", "organization": "oncology"}
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=served.url, headers=bearer, trust_env=False) as client:
        assert client.post("/api/repos/create", json=made).status_code == 200
        assert client.post("/api/repos/create", json={"name": "mine"}).status_code == 403
    assert hub(served, "token", "create", "bob", "--scope", "oncology").exit_code == 2
    assert hub(served, "token", "create", "bob", "--role", "read", "--scope", "a:b:c").exit_code == 2


def test_repositories(served: Any) -> None:
    api = served.api("alice")
    api.create_repo("alice/first")
    hub(served, "repo", "visibility", "alice/first", "public")
    assert served.api("bob").model_info("alice/first").private is False
    hub(served, "repo", "rename", "alice/first", "radiology/second")
    rows = json.loads(hub(served, "repo", "list", "--json").stdout)
    assert ("model", "radiology/second", "public") in [(row["type"], row["name"], row["visibility"]) for row in rows]
    assert api.model_info("alice/first").id == "radiology/second"
    assert hub(served, "repo", "delete", "radiology/second", stdin="n\n").exit_code == 1
    assert api.repo_exists("radiology/second")
    hub(served, "repo", "delete", "radiology/second", "--yes")
    assert not api.repo_exists("radiology/second")
    with pytest.raises(MedHubError, match="there is no dataset 'radiology/second'"):
        hub(served, "repo", "delete", "radiology/second", "--type", "dataset", "--yes")


def test_checks_on_a_hub_that_runs(served: Any) -> None:
    assert hub(served, "fsck").stdout == ""
    assert hub(served, "fsck", "--deep", "--repair").exit_code == 0
    assert hub(served, "audit", "--verify").stdout == "the chain is whole\n"
    assert "0 bytes" in hub(served, "gc").stdout
    lines = hub(served, "audit").stdout.splitlines()
    assert hub(served, "audit", "--since", "2").stdout.splitlines() == lines[2:]


def test_env_is_read_by_a_shell(served: Any) -> None:
    printed = hub(served, "env", "--url", "https://hub.hospital.example/").stdout
    command, environment = ["sh", "-euc", 'eval "$1"; env', "sh", printed], {"PATH": os.environ["PATH"]}
    shell = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    variables = dict(line.split("=", 1) for line in shell.stdout.splitlines())
    assert variables["HF_ENDPOINT"] == "https://hub.hospital.example"
    assert variables["DISABLE_SAFETENSORS_CONVERSION"] == "1"
    assert "SSL_CERT_FILE" in printed
    assert "SSL_CERT_FILE" not in hub(served, "env").stdout
