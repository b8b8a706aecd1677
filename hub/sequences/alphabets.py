"""The letters of DNA and of proteins: their numbers, their ambiguity codes, and the strand opposite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError

GAPS = "-."
"""What stands in an aligned sequence where a letter is missing; no letter of any alphabet."""
PADDING = 0
"""The number of a place behind the end of a sequence."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Alphabet:
    """The letters that a sequence is written in, as numbers: 0 is padding, 1 the first letter, and so on.

    One number more stands for every ambiguity code: which letter it is, nobody knows.
    """

    name: str
    title: str
    """What a letter is called in messages: "nucleotide"."""
    letters: str
    ambiguous: Mapping[str, str]
    """The letters that each ambiguity code may mean."""
    aliases: Mapping[str, str]
    """Letters that are read as another: RNA's U as T."""
    complement: Mapping[str, str] | None = None
    """The letter opposite to each, ambiguity codes included; None for what has one strand only."""

    @property
    def size(self) -> int:
        """How many numbers there are, with those for padding and for unknown."""
        return len(self.letters) + 2

    @property
    def unknown(self) -> int:
        """The number of every ambiguity code."""
        return len(self.letters) + 1

    @property
    def wildcard(self) -> str:
        """The ambiguity code that may mean every letter: N of DNA, X of proteins."""
        return next(code for code, meant in self.ambiguous.items() if set(meant) == set(self.letters))

    def encode(self, sequence: str) -> NDArray[np.uint8]:
        """Return the numbers of a sequence's letters, (length,); raise InputError for a letter that has none."""
        codes = self._numbers[np.frombuffer(sequence.upper().encode("latin-1", "replace"), dtype=np.uint8)]
        if not codes.all():
            self.check(sequence.upper(), name="sequence")
        return codes

    def decode(self, codes: NDArray[np.integer]) -> str:
        """Return the letters of numbers (length,), without the padding; what was ambiguous becomes the wildcard."""
        written = np.frombuffer(("?" + self.letters + self.wildcard).encode(), dtype=np.uint8)
        return written[codes[codes != PADDING]].tobytes().decode()

    def reverse_complement(self, sequence: str) -> str:
        """Return the opposite strand of a sequence, read in its own direction."""
        return sequence.upper().translate(str.maketrans(*self._strands))[::-1]

    @cached_property
    def complement_codes(self) -> NDArray[np.uint8]:
        """The number of the opposite letter by the number of each, (size,); padding and unknown stay."""
        strand = self._strand()
        pairs = [self._numbers[ord(strand[letter])] for letter in self.letters]
        return np.array([PADDING, *pairs, self.unknown], dtype=np.uint8)

    def check(self, sequence: str, *, name: str, line: int | None = None, gaps: bool = False) -> None:
        """Raise InputError for a letter that is none of this alphabet, or a sequence that looks like another's.

        `sequence` is in upper case; `name` and the `line` where it starts say where to look. `gaps` may stand in it
        where allowed.
        """
        place = f"record {name!r}" if line is None else f"record {name!r} (line {line})"
        looks = guess(sequence)
        advice = f"it looks like {looks}, this needs {self.name}" if looks not in (None, self.name) else ""
        known = self._known + re.escape(GAPS if gaps else "")
        if odd := re.search(f"[^{known}]", sequence):
            kind = "a gap" if odd[0] in GAPS else "a stop" if odd[0] == "*" else f"no {self.title}"
            raise InputError(
                f"{place}: {odd[0]!r} at position {odd.start() + 1} is {kind}; "
                f"{advice or f'correct it, or write {self.wildcard} for unknown'}"
            )
        if advice:
            raise InputError(f"{place}: {advice}")

    @cached_property
    def _known(self) -> str:
        return self.letters + "".join(self.ambiguous) + "".join(self.aliases)

    @cached_property
    def _numbers(self) -> NDArray[np.uint8]:
        """The number of each character of Latin-1; 0 for those that are no letters."""
        numbers = np.zeros(256, dtype=np.uint8)
        for number, letter in enumerate(self.letters, start=1):
            numbers[ord(letter)] = number
        for code in self.ambiguous:
            numbers[ord(code)] = self.unknown
        for alias, letter in self.aliases.items():
            numbers[ord(alias)] = numbers[ord(letter)]
        return numbers

    def _strand(self) -> Mapping[str, str]:
        if self.complement is None:
            raise InputError(f"{self.name} has no reverse complement; only dna has two strands")
        return self.complement

    @property
    def _strands(self) -> tuple[str, str]:
        """All letters and codes, and what stands opposite to them."""
        strand = self._strand()
        opposite = {**strand, **{alias: strand[letter] for alias, letter in self.aliases.items()}}
        return "".join(opposite), "".join(opposite.values())


DNA = Alphabet(
    name="dna",
    title="nucleotide",
    letters="ACGT",
    ambiguous={
        "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
        "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
    },
    aliases={"U": "T"},
    complement=dict(zip("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN", strict=True)),
)  # fmt: skip
"""Nucleotides with the ambiguity codes of IUPAC; RNA's U is read as T."""

PROTEIN = Alphabet(
    name="protein",
    title="amino acid",
    letters="ARNDCQEGHILKMFPSTWYV",  # in the order of BLOSUM62's rows
    ambiguous={"B": "DN", "Z": "EQ", "J": "IL", "X": "ARNDCQEGHILKMFPSTWYV"},
    aliases={"U": "C", "O": "K"},
)
"""Amino acids; selenocysteine (U) and pyrrolysine (O) are read as what they stand in for."""

ALPHABETS: dict[str, Alphabet] = {alphabet.name: alphabet for alphabet in (DNA, PROTEIN)}

NUCLEOTIDES = re.compile("[ACGTUN]")
AMINO_ACIDS_ONLY = re.compile("[EFILPQZJXO]")
LEAST_NUCLEOTIDES = 30


def guess(sequence: str) -> str | None:
    """Return the name of the alphabet that a sequence in upper case looks like, None where it may be either.

    DNA is what has at least 30 letters of which more than nine in ten are A, C, G, T, U or N; protein is what has a
    letter that no nucleotide is written with.

    >>> guess("MKVLEE")
    'protein'
    """
    length = len(sequence) - sum(map(sequence.count, GAPS))
    if length >= LEAST_NUCLEOTIDES and len(NUCLEOTIDES.findall(sequence)) > 0.9 * length:
        return "dna"
    return "protein" if AMINO_ACIDS_ONLY.search(sequence) else None


def alphabet_of(sequences: Iterable[str]) -> Alphabet:
    """Return the alphabet that sequences in upper case are all written in: DNA where its letters are enough."""
    letters = {*DNA.letters, *DNA.ambiguous, *DNA.aliases}
    return DNA if all(letters.issuperset(sequence) for sequence in sequences) else PROTEIN
