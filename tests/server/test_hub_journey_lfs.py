"""The main client with Xet switched off: the same journey through git-lfs's protocol, in one piece and in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from medhub.server import transfers


def test_the_main_client_through_lfs(served, tmp_path: Path) -> None:
    out = served.script("main_client.py", tmp_path / "home", REPO="alice/through-lfs", HF_HUB_DISABLE_XET="1")
    assert "journey done" in out
    assert list((served.hub.settings.data / "blobs" / "lfs").rglob("*"))
    assert not (served.hub.settings.data / "blobs" / "xorb").exists()


def test_a_file_in_parts(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the limit arrives in parts, which the Hub announces, and comes back whole."""
    monkeypatch.setattr(transfers, "WHOLE", 1_000_000)
    monkeypatch.setattr(transfers, "PART", 6_000_000)
    code = """
        import hashlib, random
        from huggingface_hub import HfApi, hf_hub_download
        data = random.Random(3).randbytes(20_000_000)
        api = HfApi()
        api.create_repo("alice/parts")
        api.upload_file(repo_id="alice/parts", path_or_fileobj=data, path_in_repo="large.bin")
        found = hashlib.sha256(open(hf_hub_download("alice/parts", "large.bin"), "rb").read()).digest()
        assert found == hashlib.sha256(data).digest()
    """
    served.python(code, tmp_path / "home", HF_HUB_DISABLE_XET="1")


def test_lfs_in_xet_out(served, tmp_path: Path) -> None:
    """What one transport brought, a client of the other reads; the same bytes again are stored once."""
    code = """
        import os, random
        from huggingface_hub import HfApi, hf_hub_download
        data = random.Random(5).randbytes(4_000_000)
        api = HfApi()
        api.create_repo("alice/both", exist_ok=True)
        api.upload_file(repo_id="alice/both", path_or_fileobj=data, path_in_repo=os.environ["FILE"])
        for name in api.list_repo_files("alice/both"):
            if name.endswith(".bin"):
                assert open(hf_hub_download("alice/both", name), "rb").read() == data
    """
    served.python(code, tmp_path / "one", FILE="lfs.bin", HF_HUB_DISABLE_XET="1")
    served.python(code, tmp_path / "two", FILE="xet.bin")
    served.python(code, tmp_path / "three", FILE="third.bin", HF_HUB_DISABLE_XET="1")
