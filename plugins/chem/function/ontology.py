"""Terms that imply one another, as in the Gene Ontology: an OBO file, and what an annotation says beyond itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medhub.errors import InputError, suggest

IMPLYING = ("part_of",)
"""Relationships, beside is_a, by which a term implies another."""


@dataclass(frozen=True, kw_only=True)
class Ontology:
    """Terms by their id: what they are called, and what they directly imply."""

    title: str
    names: dict[str, str]
    parents: dict[str, tuple[str, ...]]
    replaced: dict[str, str]
    """The present id of terms that were merged or are obsolete."""

    def known(self, id: str) -> str:
        """Return the present id of a term; raise InputError, with the nearest, for one that is not there."""
        id = self.replaced.get(id, id)
        if id not in self.names:
            raise InputError(
                f"{self.title} has no term {id!r}{suggest(id, self.names)} Correct the term, or give the ontology that "
                "the annotations were made with"
            )
        return id

    def implied(self, ids: Iterable[str]) -> set[str]:
        """Return terms, by present ids, with all that they imply."""
        found: set[str] = set()
        waiting = [*ids]
        while waiting:
            if (id := waiting.pop()) not in found:
                found.add(id)
                waiting += self.parents[id]
        return found


def read_obo(path: Path) -> Ontology:
    """Read the terms of an OBO file; raise InputError for one that cannot be read, lacks terms or goes in circles."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; give a whole OBO file") from error
    names, parents, replaced = {}, {}, {}
    for stanza in _stanzas(lines):
        id = stanza.get("id", [""])[0]
        present = id
        if stanza.get("is_obsolete") == ["true"]:
            if "replaced_by" not in stanza:
                continue
            present = replaced[id] = stanza["replaced_by"][0]
        else:
            names[id], parents[id] = stanza.get("name", [id])[0], _parents(stanza)
        replaced |= dict.fromkeys(stanza.get("alt_id", []), present)
    if not names:
        raise InputError(f"{path.name} holds no [Term]; give an ontology in the OBO format, such as go-basic.obo")
    for id, above in parents.items():
        for parent in above:
            if parent not in names:
                raise InputError(f"{path.name}: {id} implies {parent}, which is no term of it; give the whole file")
    ontology = Ontology(title=path.name, names=names, parents=parents, replaced=replaced)
    for id in names:
        if id in ontology.implied(parents[id]):
            raise InputError(
                f"{path.name}: {id} implies itself; give an ontology without circles, such as go-basic.obo"
            )
    return ontology


def _stanzas(lines: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the tags of each [Term] with their values, without comments."""
    stanza: dict[str, list[str]] | None = None
    for line in lines:
        if line.startswith("["):
            if stanza:
                yield stanza
            stanza = {} if line.strip() == "[Term]" else None
        elif stanza is not None and ":" in line:
            tag, value = line.split(":", 1)
            stanza.setdefault(tag, []).append(value.partition(" ! ")[0].partition(" {")[0].strip())
    if stanza:
        yield stanza


def _parents(stanza: dict[str, list[str]]) -> tuple[str, ...]:
    """Return what a term directly implies: its is_a, and what it is part of."""
    related = (value.split() for value in stanza.get("relationship", []))
    return (*stanza.get("is_a", []), *(other for kind, other in related if kind in IMPLYING))
