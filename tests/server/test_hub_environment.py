"""What a client's machine needs: the settings that keep it at home, TLS of one's own authority, nginx in front.

The nginx configuration and the backup script are those of docs/hub.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medhub.server import accounts
from medhub.server.environment import client_settings
from medhub.server.fsck import find_faults
from medhub.server.hub import open_hub
from medhub.server.serve import running
from medhub.server.settings import Settings

DOCS = Path(__file__).parents[2] / "docs/hub.md"

VISITS = """
import contextlib, json, socket, sys
asked, resolve = set(), socket.getaddrinfo
def getaddrinfo(host, *rest, **named):
    asked.add(host)
    if host != "127.0.0.1":
        raise socket.gaierror("this machine knows nobody else")
    return resolve(host, *rest, **named)
socket.getaddrinfo = getaddrinfo

from huggingface_hub.cli.hf import main
sys.argv = ["hf", "version"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    main()
import datasets
assert datasets.load_dataset("alice/words")["train"]["word"] == ["heart", "lung"]
from transformers import BertModel
with contextlib.suppress(OSError):
    BertModel.from_pretrained("alice/pickled", use_safetensors=True)
import time
time.sleep(0.5)  # some of it happens in threads
print(json.dumps(sorted(asked)))
"""
"""What clients do by themselves, in a process that notes every host whose address is asked for."""

CIRCLE = """
import pathlib, sys
from huggingface_hub import HfApi
api, folder, name = HfApi(), pathlib.Path(sys.argv[1]), sys.argv[2]
api.create_repo(name)
api.upload_folder(repo_id=name, folder_path=folder)
print(api.snapshot_download(name, local_dir=sys.argv[3]))
"""


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"pickles": "flag"}


def environment(home: Path, token: str, **variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_TOKEN": token, **variables}


def test_with_the_settings_nobody_but_the_hub_is_asked(served: Any, tmp_path: Path) -> None:
    api = served.api()
    api.create_repo("alice/words", repo_type="dataset")
    api.upload_file(
        path_or_fileobj=b"word\nheart\nlung\n", path_in_repo="train.csv", repo_id="alice/words", repo_type="dataset"
    )
    api.create_repo("alice/pickled")
    for name, data in {"config.json": b'{"model_type": "bert"}', "pytorch_model.bin": b"\x80\x02."}.items():
        api.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id="alice/pickled")

    found = {variable.name: variable.value for variable in client_settings(served.url)}
    alone = {"HF_ENDPOINT": served.url}
    visits = {
        name: subprocess.Popen(
            [sys.executable, "-c", VISITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(tmp_path / name, served.tokens["alice"], **variables),
        )
        for name, variables in {"kept": found, "leaking": alone}.items()
    }  # fmt: skip
    asked = {}
    for name, visit in visits.items():
        output, errors = visit.communicate(timeout=120)
        assert visit.returncode == 0, errors
        asked[name] = set(json.loads(output.splitlines()[-1]))
    # docs/hub.md tells what to do about the data set viewer's host, which no variable turns off
    assert asked["kept"] <= {"127.0.0.1", "datasets-server.127.0.0.1"}
    outside = {"pypi.org", "s3.amazonaws.com", "safetensors-convert.hf.space"}
    assert outside <= asked["leaking"]  # else the settings have nothing to keep, and this test shows nothing


def test_the_docs_list_every_client_setting() -> None:
    table = section("environment")
    for variable in client_settings("https://hub.hospital.example"):
        assert f"| `{variable.name}={variable.value}` | {variable.reason} |" in table


def test_the_docs_list_every_setting() -> None:
    import ast
    import inspect
    from dataclasses import fields

    [tree] = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(tree, ast.ClassDef)
    texts = {
        before.target.id: node.value.value
        for before, node in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign) and isinstance(node, ast.Expr)
    }
    rows = [f"| `{field.name}` | {_shown(field.default)} | {texts[field.name]} |" for field in fields(Settings)]
    assert section("settings").strip().splitlines()[2:] == rows, "\n".join(rows)


def _shown(value: Any) -> str:
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


def section(name: str) -> str:
    """Return what stands between the two marks of the docs."""
    return DOCS.read_text().partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0]


def block(language: str, containing: str) -> str:
    """Return the one block of code of the docs in this language that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    [found] = [text for text in blocks if containing in text]
    return str(found)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and hub.pem and hub.key for localhost, signed by it."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for line in (
        [*make, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Hospital"],
        [*make[:1], *make[2:], "-keyout", "hub.key", "-out", "hub.csr", "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", "hub.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
         "-extfile", "names", "-out", "hub.pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *line], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is uploaded: a large file, a small one, and names that a proxy might spoil."""
    folder = tmp_path / "folder"
    (folder / "a folder").mkdir(parents=True)
    (folder / "large.bin").write_bytes(os.urandom(3_000_000))
    (folder / "a folder" / "50%+ü#.txt").write_text("small")
    return folder


def circle(url: str, token: str, folder: Path, *, certificates: Path, name: str, **variables: str) -> None:
    """Upload and download over https in a process that knows the authority by the documented variable only."""
    target = folder.parent / name.replace("/", "-")
    done = subprocess.run(
        [sys.executable, "-c", CIRCLE, str(folder), name, str(target)], capture_output=True, text=True, timeout=120,
        env=environment(folder.parent, token, HF_ENDPOINT=url, SSL_CERT_FILE=str(certificates / "ca.pem"), **variables),
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for path in folder.rglob("*.*"):
        assert (target / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_https_with_a_certificate_of_ones_own_authority(tmp_path: Path, folder: Path, certificates: Path) -> None:
    pair = {"certificate": str(certificates / "hub.pem"), "key": str(certificates / "hub.key")}
    hub = open_hub(Settings(data=tmp_path / "hub", port=0, **pair))
    with hub.database.write() as session:
        user = accounts.create_account(session, "alice")
        _, token = accounts.create_token(session, user, "test", role="write")
    with running(hub) as url:
        assert url.startswith("https://127.0.0.1:")
        url = url.replace("127.0.0.1", "localhost")
        circle(url, token, folder, certificates=certificates, name="alice/xet")
    hub.database.close()


@pytest.fixture
def nginx(served: Any, tmp_path: Path, certificates: Path) -> Iterator[str]:
    """The URL of nginx with the configuration of docs/hub.md, in front of the Hub."""
    if not shutil.which("nginx"):
        pytest.skip("no nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = block("nginx", "proxy_pass")
    for documented, here in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "hub.hospital.example": "localhost",
        "/etc/ssl/": f"{certificates}/",
        "http://127.0.0.1:8000": served.url,
    }.items():
        assert documented in server
        server = server.replace(documented, here)
    places = "".join(
        f"{kind}_temp_path {tmp_path}/nginx-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.log; events {{}}\n"
        f"http {{ access_log off; {places}\n{server}}}\n"
    )
    process = subprocess.Popen(
        ["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.PIPE
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("transport", ["xet", "lfs"])
def test_behind_nginx(served: Any, nginx: str, folder: Path, certificates: Path, transport: str) -> None:
    off = {"HF_HUB_DISABLE_XET": "1"} if transport == "lfs" else {}
    circle(nginx, served.tokens["alice"], folder, certificates=certificates, name=f"alice/{transport}", **off)
    target = folder.parent / "clone"
    place = nginx.replace("://", f"://alice:{served.tokens['alice']}@")
    known = {"GIT_SSL_CAINFO": str(certificates / "ca.pem"), "GIT_CONFIG_GLOBAL": os.devnull}
    variables = environment(folder.parent, "", **known)
    for line in (["clone", f"{place}/alice/{transport}", str(target)], ["-C", str(target), "lfs", "pull"]):
        done = subprocess.run(["git", *line], capture_output=True, text=True, env=variables, check=False)
        assert done.returncode == 0, done.stderr
    assert (target / "large.bin").read_bytes() == (folder / "large.bin").read_bytes()


def test_a_backup_as_documented_is_whole(served: Any, tmp_path: Path) -> None:
    """Taken while somebody commits, restored, repaired and checked."""
    if not all(map(shutil.which, ("rsync", "sqlite3", "flock"))):
        pytest.skip("no rsync, sqlite3 or flock")
    api = served.api()
    api.create_repo("alice/backed-up")
    api.upload_file(path_or_fileobj=os.urandom(500_000), path_in_repo="a.bin", repo_id="alice/backed-up")
    script = block("bash", "rsync").replace("/srv/medhub", str(served.hub.settings.data))
    script = script.replace("/backup", str(tmp_path / "backup"))
    (tmp_path / "backup").mkdir()
    backup = subprocess.Popen(["bash", "-euc", script], stderr=subprocess.PIPE, text=True)
    number = 0
    while backup.poll() is None:
        number += 1
        api.upload_file(path_or_fileobj=os.urandom(200_000), path_in_repo=f"{number}.bin", repo_id="alice/backed-up")
    assert (backup.returncode, backup.communicate()[1]) == (0, "")
    assert number

    restored = open_hub(Settings(data=tmp_path / "backup"))
    from medhub.server.fsck import rebuild

    rebuild(restored)
    assert list(find_faults(restored, deep=True)) == []
    restored.database.close()
