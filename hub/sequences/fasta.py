"""FASTA: read from files, plain or compressed, and from text; written as text."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from medhub.errors import InputError
from medhub.sequences.alphabets import Alphabet

SUFFIXES = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn", ".afa", ".mfa")
"""Endings of the names of FASTA files, each also with .gz or .bgz behind it."""
WIDTH = 60
"""Letters a line that is written."""
GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file, and of bgzip's, which is a row of gzip files."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sequence of a FASTA file; `line` is where it starts, None where it came from no file."""

    name: str
    sequence: str
    description: str = ""
    line: int | None = None


def read_fasta(source: str | Path, *, alphabet: Alphabet | None, gaps: bool = False) -> list[Record]:
    """Return all records of `iterate_fasta`."""
    return [*iterate_fasta(source, alphabet=alphabet, gaps=gaps)]


def iterate_fasta(source: str | Path, *, alphabet: Alphabet | None, gaps: bool = False) -> Iterator[Record]:
    """Yield the records of a FASTA file, or of text that starts with ">", one at a time.

    A string without ">" is a path where it ends as FASTA files do or has a "/" in it, else it is one bare sequence,
    named "sequence". Sequences of an `alphabet` come in upper case (a soft mask in lower case is lost), without the
    stop (`*`) at their end, and with gaps (`-`, `.`) only where `gaps` allows them; without an alphabet any text is
    taken as it stands, which suits labels. Raises InputError, with the record's name and line, for a letter that is
    none, an empty record, a name that stands twice, text before the first ">", and a source that cannot be read or is
    empty.
    """
    names: set[str] = set()
    title = str(source) if is_file(source) else "the text"
    with _open(source) as lines:
        for name, description, line, text in _records(lines, title):
            if name in names:
                raise InputError(f"{title}, line {line}: a second record {name!r}; give every record its own name")
            names.add(name)
            sequence = text if alphabet is None else text.upper().removesuffix("*")
            if not sequence:
                raise InputError(f"{title}, line {line}: record {name!r} is empty; add its sequence or remove it")
            if alphabet is not None:
                alphabet.check(sequence, name=name, line=line, gaps=gaps)
            yield Record(name=name, sequence=sequence, description=description, line=line)
    if not names:
        raise InputError(f"{title} holds no sequence; a FASTA record is a line '>name' and lines of letters")


def as_records(raw: Any, *, alphabet: Alphabet | None) -> list[Record]:
    """Return the sequences that a raw input holds: a source of `read_fasta`, a Record, or Biopython's SeqRecord.

    Raises InputError for anything else, and for letters that are none of the alphabet's; None takes any text.
    """
    if isinstance(raw, str | Path):
        return read_fasta(raw, alphabet=alphabet)
    if hasattr(raw, "seq") and hasattr(raw, "id"):
        raw = Record(name=str(raw.id), sequence=str(raw.seq).upper())
    if not isinstance(raw, Record):
        raise InputError(f"{type(raw).__name__} is no sequence; give its letters, FASTA text or a FASTA file's path")
    if not raw.sequence:
        raise InputError(f"record {raw.name!r} is empty; give its sequence")
    if alphabet is not None:
        alphabet.check(raw.sequence, name=raw.name, line=raw.line)
    return [raw]


def write_fasta(records: Iterable[Record]) -> str:
    """Return records as FASTA, 60 letters a line."""
    lines = []
    for record in records:
        lines.append(f">{record.name} {record.description}".rstrip())
        lines += [record.sequence[start : start + WIDTH] for start in range(0, len(record.sequence), WIDTH)]
    return "\n".join(lines) + "\n"


def is_file(source: str | Path) -> bool:
    """Whether a source is the path of a file, and not text; judged by how it is written."""
    if isinstance(source, Path):
        return True
    name = source.lower().removesuffix(".gz").removesuffix(".bgz")
    return "\n" not in source and ">" not in source and ("/" in source or name.endswith(SUFFIXES))


@contextmanager
def _open(source: str | Path) -> Iterator[TextIO]:
    """Open a source as text; a bare sequence gets a header."""
    if not is_file(source):
        text = str(source).removeprefix("\ufeff")
        bare = text.strip() and ">" not in text
        # newline=None reads every kind of line end, as `open` does
        yield io.StringIO(f">sequence\n{text}" if bare else text, newline=None)
        return
    try:
        with Path(source).open("rb") as file, _unzipped(file) as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{source} cannot be read: {reason}; give a whole FASTA file, plain or gzipped") from error


def _unzipped(file: io.BufferedReader) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file) if file.peek(2).startswith(GZIP) else file)


def _records(lines: Iterable[str], title: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield name, description, first line and text of each record."""
    name, description, start = None, "", 0
    text: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith(">"):
            if name is not None:
                yield name, description, start, "".join(text)
            if not line[1:].strip():
                raise InputError(f"{title}, line {number}: a record without a name; write one behind '>'")
            name, *rest = line[1:].split(maxsplit=1)
            description, start, text = "".join(rest).strip(), number, []
        elif name is not None:
            text.append(re.sub(r"\s", "", line))
        elif line.strip():
            raise InputError(f"{title}, line {number}: text before the first '>': {line.strip()[:30]!r}; remove it")
    if name is not None:
        yield name, description, start, "".join(text)


def pasted(text: str | None, *, cure: str) -> str:
    """Return what a visitor of a page pasted, one sequence or FASTA, as FASTA; `cure` says what to do without any.

    A visitor's text must never be taken for the path of a file on the server, which FASTA cannot be.
    """
    if text is None or not text.strip():
        raise InputError(f"there is no sequence; {cure}")
    return text if ">" in text else f">sequence\n{text}"
