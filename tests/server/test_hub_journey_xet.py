"""The main client, huggingface_hub, by Xet: create, upload, look, download at each kind of revision, change, delete."""

from __future__ import annotations

import hashlib
from pathlib import Path


def test_the_main_client_through_xet(served, tmp_path: Path) -> None:
    assert "journey done" in served.script("main_client.py", tmp_path / "home", REPO="alice/through-xet")
    assert not list((served.hub.settings.data / "blobs" / "lfs").rglob("*")), "nothing went around Xet"


def test_two_people_one_content(served, tmp_path: Path) -> None:
    """The same bytes from two users are kept once, and neither needs the other's rights."""
    code = """
        import os, random, hashlib
        from huggingface_hub import HfApi, hf_hub_download
        api, name = HfApi(), HfApi().whoami()["name"]
        api.create_repo(f"{name}/shared")
        data = random.Random(7).randbytes(5_000_000)
        api.upload_file(repo_id=f"{name}/shared", path_or_fileobj=data, path_in_repo="w.bin")
        print(hashlib.sha256(open(hf_hub_download(f"{name}/shared", "w.bin"), "rb").read()).hexdigest())
    """
    import random

    expected = hashlib.sha256(random.Random(7).randbytes(5_000_000)).hexdigest()
    for who in ("alice", "bob"):
        # one home for both: the client's cache of chunks must not lead the second astray
        assert expected in served.python(code, tmp_path / "home", who)
    stored = sum(path.stat().st_size for path in (served.hub.settings.data / "blobs").rglob("*") if path.is_file())
    assert stored < 2 * 5_000_000 + 20_000_000 + 4_000_000
