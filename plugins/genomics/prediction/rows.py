"""The labels of this task's rows."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import List, Value

from medhub.errors import LabelError
from medhub.sequences.alphabets import Alphabet

from .model import IGNORED

LABELS = List(Value("int16"))
"""The class number of each position of the sequence, IGNORED where it is not scored."""
SCORED = "01"
"""What a mask is written with: 1 for a position that is scored, 0 for one that is not."""


def as_labels(labels: str, mask: str | None, names: Sequence[str]) -> list[int]:
    """Return a string of labels, one letter a position, as class numbers; IGNORED where the mask is 0."""
    numbers = {name: number for number, name in enumerate(names)}
    return [
        numbers[label] if scored == "1" else IGNORED
        for label, scored in zip(labels, mask or "1" * len(labels), strict=True)
    ]


def next_letters(sequence: str, alphabet: Alphabet) -> list[int]:
    """Return the place in the alphabet of the letter behind each one, IGNORED where that is ambiguous or missing."""
    codes = alphabet.encode(sequence)[1:].tolist()
    return [*(IGNORED if code == alphabet.unknown else code - 1 for code in codes), IGNORED]


def check_lengths(place: str, sequence: str, labels: str, mask: str | None) -> None:
    """Raise LabelError unless there is one label, and one figure of the mask, for each letter of a sequence."""
    for what, text in (("labels", labels), ("mask", mask)):
        if text is not None and len(text) != len(sequence):
            raise LabelError(
                f"{place}: {len(text)} letters of {what} for a sequence of {len(sequence)}; give one a letter"
            )
    if mask is not None and (odd := set(mask) - set(SCORED)):
        raise LabelError(f"{place}: the mask holds {min(odd)!r}; write 1 for a position that is scored, else 0")
