"""Variants of a VCF in their surroundings: what stood in the reference, and what stands there instead."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote

from medhub.errors import InputError, suggest
from medhub.sequences.alphabets import DNA
from medhub.sequences.fasta import iterate_fasta

SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz")
"""Endings of the names of VCF files."""
HEADER = "##fileformat=VCF"
REFERENCE = "##reference="
COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT")
LETTERS = re.compile("[ACGTN]+")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One alternative allele, in its shortest form and as far left as it goes, and the sequence around it."""

    chromosome: str
    position: int
    """Of the first letter of `reference`, counted from 1."""
    reference: str
    alternative: str
    name: str | None = None
    """The VCF's ID: an rs number."""
    before: str
    """The surrounding letters of the reference sequence."""
    after: str
    """The same stretch with the alternative allele in it."""
    offset: int
    """Where in both stretches the alleles begin, counted from 0."""

    def __str__(self) -> str:
        text = f"{self.chromosome}:{self.position} {self.reference}>{self.alternative}"
        return f"{text} ({self.name})" if self.name else text


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One alternative allele as the VCF has it."""

    place: str
    chromosome: str
    position: int
    name: str | None
    reference: str
    alternative: str


def is_vcf(raw: Any) -> bool:
    """Whether a raw input is the path of a VCF, judged by its name."""
    return isinstance(raw, str | Path) and str(raw).lower().endswith(SUFFIXES)


def read_variants(
    vcf: str | Path, reference: str | Path | None = None, *, window: int
) -> list[Variant | InputError]:  # fmt: skip
    """Return every alternative allele of a VCF, in the file's order, with `window` letters around it.

    `reference` is the FASTA file that positions are counted in; None: the one that the VCF's header names. It is read
    once, a chromosome at a time, plain or gzipped. An allele that cannot be scored stands in the list as the InputError
    that says why: a REF that is not what the reference has there, an unknown chromosome, a symbolic allele (<DEL>), a
    breakend, an allele of other letters than A, C, G, T and N. Raises InputError for files that cannot be read.
    """
    entries, named = _read_vcf(Path(vcf))
    if reference is None:
        reference = _named_reference(Path(vcf), named)
    found: dict[int, Variant | InputError] = {}
    waiting: dict[str, list[int]] = {}
    for number, entry in enumerate(entries):
        waiting.setdefault(entry.chromosome, []).append(number)
    chromosomes = []
    for record in iterate_fasta(Path(reference), alphabet=DNA):
        chromosomes.append(record.name)
        for number in waiting.pop(record.name, []):
            try:
                found[number] = _place(entries[number], record.sequence, window=window)
            except InputError as error:
                found[number] = error
    for chromosome, numbers in waiting.items():
        for number in numbers:
            found[number] = InputError(
                f"{entries[number].place}: {reference} has no chromosome {chromosome!r}"
                f"{suggest(chromosome, chromosomes)} Give the reference that the variants were called against"
            )
    return [found[number] for number in range(len(entries))]


def normalise(position: int, reference: str, alternative: str, *, sequence: str) -> tuple[int, str, str]:
    """Return position, reference and alternative allele in their shortest form, as far left as it goes.

    An insertion or deletion in a repeat can be written in several places; this is the one that all callers agree on
    (Tan, Abecasis and Kang 2015). `sequence` is the chromosome, `position` is counted from 1.
    """
    while reference[-1] == alternative[-1] and (min(len(reference), len(alternative)) > 1 or position > 1):
        if min(len(reference), len(alternative)) == 1:
            position -= 1
            reference, alternative = sequence[position - 1] + reference, sequence[position - 1] + alternative
        reference, alternative = reference[:-1], alternative[:-1]
    while reference[0] == alternative[0] and min(len(reference), len(alternative)) > 1:
        position, reference, alternative = position + 1, reference[1:], alternative[1:]
    return position, reference, alternative


def _place(entry: _Entry, sequence: str, *, window: int) -> Variant:
    """Check an allele against its chromosome, and cut out what stands around it, before and after the change."""
    where = f"{entry.chromosome}:{entry.position}"
    if fault := _fault(entry):
        raise InputError(f"{entry.place}: {where} {entry.reference}>{entry.alternative} {fault}")
    there = sequence[entry.position - 1 : entry.position - 1 + len(entry.reference)]
    if there != entry.reference:
        found = f"has {there}" if there else f"ends at {len(sequence):,}"
        raise InputError(
            f"{entry.place}: REF is {entry.reference} at {where}, but the reference {found}; "
            "give the reference that the variants were called against"
        )
    position, reference, alternative = normalise(
        entry.position, entry.reference, entry.alternative, sequence=sequence
    )  # fmt: skip
    first, end = position - 1, position - 1 + len(reference)
    start = max(0, min(first - window // 2, len(sequence) - window))
    return Variant(
        chromosome=entry.chromosome,
        position=position,
        reference=reference,
        alternative=alternative,
        name=entry.name,
        before=sequence[start : start + window],
        # as long as before, so that a deletion brings letters in from the right
        after=(sequence[start:first] + alternative + sequence[end : end + window])[:window],
        offset=first - start,
    )


def _fault(entry: _Entry) -> str | None:
    """Say why an allele has no sequence to be scored; None where it has one."""
    if entry.alternative == ".":
        return "is no change; remove the line"
    if entry.alternative == "*":
        return "stands for a deletion on another line, which is scored there"
    if entry.alternative.startswith("<") or "[" in entry.alternative or "]" in entry.alternative:
        return "is a symbolic allele or a breakend, which names no letters; write the sequence, or remove the line"
    for allele in (entry.reference, entry.alternative):
        if not LETTERS.fullmatch(allele):
            return f"has letters other than A, C, G, T and N in {allele}; correct it"
    same = entry.reference == entry.alternative
    return "changes nothing: REF and ALT are the same; remove the line" if same else None


def _read_vcf(path: Path) -> tuple[list[_Entry], str | None]:
    """Return the alleles of a VCF, and the reference that its header names."""
    try:
        with _open(path) as lines:
            return _parse(path, lines)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}; give a whole VCF, plain or gzipped") from error


def _open(path: Path) -> TextIO:
    data = path.read_bytes()
    return io.StringIO((gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig"))


def _parse(path: Path, lines: TextIO) -> tuple[list[_Entry], str | None]:
    entries: list[_Entry] = []
    reference = None
    if not lines.readline().startswith(HEADER):
        raise InputError(f"{path} is no VCF: its first line is not {HEADER}v4.x; give a file in that format")
    for number, text in enumerate(lines, start=2):
        line = text.rstrip("\r\n")
        if line.startswith(REFERENCE):
            reference = line.removeprefix(REFERENCE).strip()
        if line and not line.startswith("#"):
            entries += _alleles(f"{path.name}, line {number}", line.split("\t"))
    if not entries:
        raise InputError(f"{path} holds no variant; give at least one line beneath the header")
    return entries, reference


def _alleles(place: str, fields: list[str]) -> Iterator[_Entry]:
    """Yield each alternative allele of a line."""
    if len(fields) < len(COLUMNS):
        raise InputError(f"{place} has {len(fields)} columns; a VCF has {', '.join(COLUMNS)} ..., parted by tabs")
    chromosome, position, name, reference, alternatives = fields[: len(COLUMNS)]
    if not position.isdecimal() or int(position) < 1:
        raise InputError(f"{place}: the position is {position!r}; positions count from 1")
    for alternative in alternatives.split(","):
        yield _Entry(
            place=place, chromosome=chromosome, position=int(position), name=None if name == "." else name,
            reference=reference.upper(), alternative=alternative.upper(),
        )  # fmt: skip


def _named_reference(vcf: Path, named: str | None) -> Path:
    """Return the file that a VCF's header names as its reference, sought from the VCF's folder."""
    if named is None:
        raise InputError(f"{vcf} names no reference ({REFERENCE}...); give the reference's FASTA file beside it")
    path = vcf.parent / unquote(named.removeprefix("file://"))
    if not path.is_file():
        raise InputError(f"{vcf} names the reference {named}, which is no file here; give its FASTA file beside it")
    return path
