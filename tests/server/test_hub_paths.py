"""Which paths and which globs the Hub takes, beside git itself."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.server.errors import BadRequest
from medhub.server.storage.git import check_path, ignored
from medhub.server.storage.patterns import has_lfs_filter

BAD = (
    "", "/", "/etc/passwd", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\\b", "..\\a", "a\0b", "a\nb", "a\x7f",
    "a\x85", "\udc80", "a" * 256, "é" * 128, "a/" * 64 + "a", "/".join(["abcdefg"] * 150),
    ".git", ".GIT/config", "a/.Git/hooks/x", ".git.", ".git ", ".git. .", "git~1", "GIT~2/x", ".git:x",
    ".git::$INDEX_ALLOCATION", ".g\u200cit", "\ufeff.git/config",
)  # fmt: skip
GOOD = (
    "a", "README.md", ".gitattributes", ".github/workflows/x.yml", "a b", "...", "..a", "git", "é/ü.txt", "a" * 255,
    "2020-01-01T10:00.csv", ".git-x", "gits~1", "x.git", "/".join(["a"] * 64), "-x", "a:b", "日本語",
)  # fmt: skip


@pytest.mark.parametrize("path", BAD, ids=ascii)
def test_bad_paths(path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_path(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 6000


@pytest.mark.parametrize("path", GOOD, ids=ascii)
def test_good_paths(path: str) -> None:
    assert check_path(path) == path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


SEGMENT = st.text(st.sampled_from(".gitGIT~1 :\\/\u200c\u202eaé\0\n"), max_size=8) | st.sampled_from(
    [".git", "git~1", ".."]
)


@given(st.lists(SEGMENT, max_size=4).map("/".join) | st.text(max_size=20))
@settings(max_examples=80, deadline=None)
def test_what_is_taken_git_takes_too(folder: Path, path: str) -> None:
    """git's own rules for all file systems are the measure: nothing that it refuses may pass."""
    try:
        check_path(path)
    except BadRequest:
        return
    line = f"100644 {'1' * 40}\t{path}\0".encode()
    strict = ["-c", "core.protectNTFS=true", "-c", "core.protectHFS=true"]
    made = subprocess.run(["git", "-C", folder, *strict, "update-index", "-z", "--index-info"], input=line)
    listed = subprocess.run(["git", "-C", folder, "ls-files", "-z"], capture_output=True, check=True)
    subprocess.run(["git", "-C", folder, "read-tree", "--empty"], check=True)
    assert made.returncode == 0
    assert listed.stdout == path.encode() + b"\0"


NAMES = ("a", "b", "ab", "c.txt", "x", "*", "ba", ".a", " ", "#", "a b", "!a", "1", "ä")
GLOBS = (
    "a", "b", "ab", "*", "?", "[ab]", "[!a]", "[^b]", "[]a]", "[a-c]", "[c-a]", "[[:alpha:]]", "[[:digit:]x]", "\\*",
    "\\a", ".", "!", "#", "*.txt", "c.*", "*a*", "[a", "-", "ä", "[z-a]",
)  # fmt: skip


def glob(rng: random.Random) -> str:
    segments = [
        "**" if rng.random() < 0.25 else "".join(rng.choices(GLOBS, k=rng.randint(1, 3)))
        for _ in range(rng.randint(1, 3))
    ]
    return rng.choice(["", "", "/"]) + "/".join(segments) + rng.choice(["", "", "/"])


def test_ignores_agree_with_git(folder: Path) -> None:
    rng = random.Random(0)
    paths = sorted({"/".join(rng.choices(NAMES, k=rng.randint(1, 4))) for _ in range(150)})
    hits = 0
    for _ in range(120):
        rules = "\n".join(rng.choice(["", "", "!"]) + glob(rng) for _ in range(3)) + "\n"
        (folder / ".gitignore").write_text(rules)
        command = ["git", "-C", folder, "check-ignore", "--no-index", "--stdin", "-z"]
        found = subprocess.run(command, input="\0".join(paths).encode(), capture_output=True).stdout.decode()
        expected = set(filter(None, found.split("\0")))
        assert ignored(rules, paths) == expected, rules
        hits += len(expected)
    assert hits > 1000


def test_attributes_agree_with_git(folder: Path) -> None:
    rng = random.Random(1)
    paths = sorted({"/".join(rng.choices(NAMES, k=rng.randint(1, 4))) for _ in range(150)})
    values = [" filter=lfs diff=lfs -text", "\tfilter=lfs", " -filter", " !filter", " filter", " text"]
    hits = 0
    (folder / "a").mkdir()
    for _ in range(120):
        texts = ["\n".join(glob(rng).replace("#", "x") + rng.choice(values) for _ in range(3)) + "\n" for _ in range(2)]
        (folder / ".gitattributes").write_text(texts[0])
        (folder / "a/.gitattributes").write_text(texts[1])
        command = ["git", "-C", folder, "check-attr", "--stdin", "-z", "filter"]
        found = subprocess.run(command, input="\0".join(paths).encode(), capture_output=True, check=True)
        fields = found.stdout.decode().split("\0")
        expected = {path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == "lfs"}
        below = {path: [("", texts[0]), ("a", texts[1])][: 1 + path.startswith("a/")] for path in paths}
        assert {path for path in paths if has_lfs_filter(below[path], path)} == expected, texts
        hits += len(expected)
    assert hits > 1000


def test_hostile_globs_take_no_time() -> None:
    """git's and libgit2's matchers need minutes for these."""
    rules = "**/" * 30 + "*a*a*a*a*a*b\n" + "a*" * 60 + "b\n" + "*/**/" * 20 + "zz\n"
    paths = ["a" * 255, "/".join(["aaa"] * 64)]
    start = time.perf_counter()
    assert ignored(rules, paths) == set()
    assert not any(has_lfs_filter([("", rules.replace("\n", " filter=lfs\n"))], path) for path in paths)
    assert time.perf_counter() - start < 1


def test_quoted_and_spaced_attributes() -> None:
    rules = [("", '"a b.bin" filter=lfs\nc[[:space:]]d.bin filter=lfs\r\n# x filter=lfs\n')]
    assert [has_lfs_filter(rules, path) for path in ("a b.bin", "c d.bin", "x", "a")] == [True, True, False, False]
