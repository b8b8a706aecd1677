"""The `hf` command: log in, repositories, upload with a pull request, download, lists."""

from __future__ import annotations

from pathlib import Path

from clients import run


def test_the_hf_command(served, tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = served.environment(home, None)

    def hf(*words: str, fails: bool = False) -> str:
        return run(["hf", *words], environment, home, fails=fails)

    assert "Not logged in" in hf("auth", "whoami", fails=True)
    hf("auth", "login", "--token", "hf_wrongwrongwrongwrongwrongwrongwron", fails=True)
    hf("auth", "login", "--token", served.tokens["alice"])
    assert "alice" in hf("auth", "whoami")
    hf("repos", "create", "alice/by-command", "--private")
    folder = home / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 8000)
    hf("upload", "alice/by-command", str(folder))
    hf("upload", "alice/by-command", str(folder / "config.json"), "other.json", "--create-pr")
    hf("upload", "alice/by-command", str(folder / "config.json"), "third.json", "--revision", "side")
    hf("download", "alice/by-command", "--local-dir", str(home / "back"))
    assert (home / "back" / "weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()
    assert not (home / "back" / "other.json").exists()
    hf("download", "alice/by-command", "third.json", "--revision", "side", "--local-dir", str(home / "side"))
    hf("repos", "tag", "create", "alice/by-command", "v1")
    assert "v1" in hf("repos", "tag", "list", "alice/by-command")
    assert "alice/by-command" in hf("models", "ls", "--author", "alice", "--no-truncate")
    assert "weights.bin" in hf("models", "ls", "alice/by-command")
    assert "alice/by-command" in hf("repos", "ls", "--no-truncate")
    assert "other.json" in hf("discussions", "list", "alice/by-command") or "1" in hf(
        "discussions", "list", "alice/by-command"
    )
    hf("repos", "delete-files", "alice/by-command", "weights.bin")
    assert "weights.bin" not in hf("models", "ls", "alice/by-command")
    hf("repos", "delete", "alice/by-command", "--yes")
    assert "alice/by-command" not in hf("models", "ls", "--author", "alice", "--no-truncate")
