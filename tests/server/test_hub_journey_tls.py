"""https with a hospital's own certificate authority, which the Hub speaks itself, and Python and Rust clients trust."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from medhub.server.hub import open_hub
from medhub.server.serve import running
from medhub.server.settings import Settings, SettingsError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A certificate for 127.0.0.1, signed by an authority made for this test."""
    place = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

    (place / "extensions").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem"
    )
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=hub", "-keyout", "hub.key", "-out", "hub.csr")
    openssl(
        "x509", "-req", "-in", "hub.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-extfile", "extensions", "-out", "hub.pem",
    )  # fmt: skip
    return {"certificate": str(place / "hub.pem"), "key": str(place / "hub.key")}


@pytest.mark.parametrize("transport", ["xet", "lfs"])
def test_upload_and_download_over_https(served, settings: dict[str, Any], tmp_path: Path, transport: str) -> None:
    assert served.url.startswith("https://")
    more = {"HF_HUB_DISABLE_XET": "1"} if transport == "lfs" else {}
    authority = str(Path(settings["certificate"]).parent / "ca.pem")
    code = f"""
        import random
        from huggingface_hub import HfApi, hf_hub_download
        data = random.Random("{transport}").randbytes(3_000_000)
        HfApi().create_repo("alice/{transport}")
        HfApi().upload_file(repo_id="alice/{transport}", path_or_fileobj=data, path_in_repo="w.bin")
        assert open(hf_hub_download("alice/{transport}", "w.bin"), "rb").read() == data
    """
    served.python(code, tmp_path / "home", SSL_CERT_FILE=authority, **more)


@pytest.mark.parametrize(("key", "message"), [("", "needs its key"), ("missing.pem", "cannot be used")])
def test_a_certificate_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, settings: dict[str, Any], key: str, message: str
) -> None:
    hub = open_hub(Settings(data=tmp_path / "hub", port=0, certificate=settings["certificate"], key=key))
    with pytest.raises(SettingsError, match=message), running(hub):
        pass
    hub.database.close()
