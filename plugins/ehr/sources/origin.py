"""What a data set is, whichever task learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medhub.data import File, Source, Table


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A data set as it was published; its module has a function that makes records of the files' paths by name."""

    name: str
    version: str
    title: str
    files: tuple[File, ...]
    licence: str
    citation: str
    homepage: str
    traps: tuple[str, ...]
    """What a reader of the model card must know; for a Table's `notes`."""

    def declare(
        self, *, shows: str, load: Callable[[Mapping[str, Path]], Table], splits: tuple[str, ...] = ("group",)
    ) -> Source:
        """Return the data set as a task sees it: what its rows show, how they are made, how they may be split."""
        return Source(
            name=self.name, version=self.version, title=f"{self.title}: {shows}", files=self.files,
            licence=self.licence, citation=self.citation, homepage=self.homepage, group_by="patient", load=load,
            splits=splits,
        )  # fmt: skip


def wheel_files(wheel: str, folder: str, members: Mapping[str, tuple[str, int]]) -> tuple[File, ...]:
    """Return files that stand in one folder of a wheel, by their name: sha256 and bytes."""
    return tuple(
        File(name=name, sha256=sha256, bytes=size, wheel=wheel, member=f"{folder}/{name}")
        for name, (sha256, size) in members.items()
    )
