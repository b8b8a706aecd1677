"""git and git-lfs: clone, push, branches, a push that must be refused, and both worlds on one repository."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from clients import run

pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")


class Git:
    """git in one folder, as one person."""

    def __init__(self, served, home: Path, who: str | None = "alice") -> None:
        self.environment = served.environment(home, who)
        scheme, rest = served.url.split("://")
        self.remote = f"{scheme}://{who}:{served.tokens[who]}@{rest}" if who else served.url
        self.home = home
        self("config", "--global", "user.name", who or "nobody", cwd=home)
        self("config", "--global", "user.email", f"{who}@hospital.example", cwd=home)
        self("config", "--global", "init.defaultBranch", "main", cwd=home)
        run(["git", "lfs", "install"], self.environment, home)

    def __call__(self, *words: str, cwd: Path, fails: bool = False) -> str:
        return run(["git", *words], self.environment, cwd, fails=fails, timeout=60)


def test_clone_push_and_the_other_clients(served, tmp_path: Path) -> None:
    api = served.api("alice")
    api.create_repo("alice/with-git")
    weights = random.Random(0).randbytes(12_000_000)
    api.upload_file(repo_id="alice/with-git", path_or_fileobj=weights, path_in_repo="weights.safetensors")
    git = Git(served, tmp_path / "home")
    git("clone", f"{git.remote}/alice/with-git", "clone", cwd=git.home)
    clone = git.home / "clone"
    assert (clone / "weights.safetensors").read_bytes() == weights, "git-lfs fetched what Xet brought"

    scan = random.Random(1).randbytes(7_000_000)
    (clone / "scan.nii.gz").write_bytes(scan)
    (clone / "README.md").write_text("---\nlicense: mit\n---\n# By git\n")
    git("add", "-A", cwd=clone)
    git("commit", "-m", "A scan", cwd=clone)
    git("push", "origin", "main", cwd=clone)
    git("checkout", "-b", "side", cwd=clone)
    git("commit", "--allow-empty", "-m", "side", cwd=clone)
    git("push", "origin", "side", cwd=clone)
    git("tag", "-a", "v1", "-m", "first", cwd=clone)
    git("push", "origin", "v1", cwd=clone)

    info = api.model_info("alice/with-git", files_metadata=True)
    assert {file.rfilename: file.size for file in info.siblings}["scan.nii.gz"] == len(scan)
    assert info.card_data.license == "mit", "the index follows a push"
    assert "license:mit" in info.tags, "the index follows a push"
    refs = api.list_repo_refs("alice/with-git")
    assert {branch.name for branch in refs.branches} == {"main", "side"}
    assert refs.tags[0].name == "v1"
    back = api.hf_hub_download("alice/with-git", "scan.nii.gz", revision="v1", cache_dir=tmp_path / "cache")
    assert Path(back).read_bytes() == scan

    api.upload_file(repo_id="alice/with-git", path_or_fileobj=b"by the API", path_in_repo="note.txt")
    (clone / "late.txt").write_text("late")
    git("checkout", "main", cwd=clone)
    git("add", "late.txt", cwd=clone)
    git("commit", "-m", "late", cwd=clone)
    assert "rejected" in git("push", "origin", "main", cwd=clone, fails=True)
    git("pull", "--rebase", "origin", "main", cwd=clone)
    git("push", "origin", "main", cwd=clone)
    assert {"note.txt", "late.txt"} <= set(api.list_repo_files("alice/with-git"))


def test_what_a_push_may_not_bring(served, tmp_path: Path) -> None:
    api = served.api("alice")
    api.create_repo("alice/refusing")
    api.create_repo("bob/other", token=served.tokens["bob"])
    secret = random.Random(9).randbytes(2_000_000)
    commit = api.upload_file(
        repo_id="bob/other", path_or_fileobj=secret, path_in_repo="w.safetensors", token=served.tokens["bob"]
    )
    with served.client("bob") as client:
        foreign = client.get(f"/bob/other/raw/{commit.oid}/w.safetensors").text
    git = Git(served, tmp_path / "home")
    git("clone", f"{git.remote}/alice/refusing", "clone", cwd=git.home)
    clone = git.home / "clone"
    head = api.model_info("alice/refusing").sha

    def refused(name: str, data: bytes, reason: str) -> None:
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_bytes(data)
        (clone / ".gitattributes").write_text("# nothing is large\n")
        git("add", "-A", cwd=clone)
        git("commit", "-m", "bad", cwd=clone)
        assert reason in git("push", "--no-verify", "origin", "main", cwd=clone, fails=True)
        git("reset", "--hard", "origin/main", cwd=clone)
        assert api.model_info("alice/refusing").sha == head, "nothing changed"

    refused("big.txt", b"x" * (10 * 2**20 + 1), "10 MiB")
    refused("stolen.safetensors", foreign.encode(), "LFS pointer")
    refused("dangling.bin", _pointer("0" * 64), "LFS")
    refused("model.pkl", b"\x80\x04]q\x00.", "pickle")
    git("commit", "--amend", "-m", "rewritten", cwd=clone)
    git("push", "--force", "origin", "main", cwd=clone, fails=True)
    git("push", "origin", ":main", cwd=clone, fails=True)
    assert api.model_info("alice/refusing").sha == head


def test_only_people_with_the_right(served, tmp_path: Path) -> None:
    served.api("alice").create_repo("alice/locked")
    for who in ("bob", None):
        git = Git(served, tmp_path / str(who), who)
        git("clone", f"{git.remote}/alice/locked", "clone", cwd=git.home, fails=True)
        git("ls-remote", f"{git.remote}/alice/locked.git", cwd=git.home, fails=True)
    served.api("alice").update_repo_settings("alice/locked", visibility="public")
    git = Git(served, tmp_path / "reader", "bob")
    git("clone", f"{git.remote}/alice/locked", "clone", cwd=git.home)
    git("commit", "--allow-empty", "-m", "mine now", cwd=git.home / "clone")
    git("push", "origin", "main", cwd=git.home / "clone", fails=True)


def _pointer(sha256: str) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 5\n".encode()
