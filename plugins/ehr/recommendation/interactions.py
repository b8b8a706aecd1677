"""The user's table of drugs that interact, checked before anything is learnt with it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError, suggest

COLUMNS = ("drug_a", "drug_b")
NOTE = "note"
"""A column that may say what the two do together."""
TYPO = 0.9
"""How alike (difflib's ratio) a name of the table and a drug's are that must be one misspelt."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Two drugs that are better not given together, and why."""

    drugs: tuple[str, str]
    note: str = ""

    def __str__(self) -> str:
        pair = " + ".join(self.drugs)
        return f"{pair}: {self.note}" if self.note else pair


def read_interactions(path: str | Path, drugs: Sequence[str]) -> list[Interaction]:
    """Read a CSV with the columns drug_a, drug_b and, if you like, note: a pair a line, in either order.

    Pairs with a drug that is none of `drugs` are left out. Raises InputError, naming the line, for a name that is
    nearly that of a drug, for a pair of a drug with itself and for one with two notes, and where no pair is left.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [*(reader.fieldnames or ())]
            for name in COLUMNS:
                if name not in header:
                    raise InputError(f"{path} has no column {name!r}{suggest(name, header)} "
                                     f"Columns: {', '.join(header) or 'none'}; "
                                     f"needed: {', '.join(COLUMNS)}")  # fmt: skip
            lines = [(f"{path.name}, line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the interaction table {path} cannot be read: {error}; give a CSV in UTF-8") from error
    found: dict[tuple[str, str], str] = {}
    for place, row in lines:
        first, second = sorted(_name(row[column], place, drugs) for column in COLUMNS)
        note = (row.get(NOTE) or "").strip()
        if first == second:
            raise InputError(f"{place}: {first!r} is paired with itself; name two drugs, or remove the line")
        if first in drugs and second in drugs and found.setdefault((first, second), note) != note:
            raise InputError(f"{place}: {first} + {second} stands in an earlier line with another note; keep one")
    if not found:
        raise InputError(
            f"{path}: none of its {len(lines)} pairs is of two drugs that the data gives; write them as here: "
            f"{', '.join(drugs[:5])}"
        )
    return [Interaction(drugs=pair, note=note) for pair, note in sorted(found.items())]


def pair_matrix(interactions: Iterable[Interaction], drugs: Sequence[str]) -> NDArray[np.float32]:
    """Return which drugs interact, (drugs, drugs) of 0 and 1, symmetric."""
    matrix = np.zeros((len(drugs), len(drugs)), np.float32)
    for interaction in interactions:
        first, second = (drugs.index(name) for name in interaction.drugs)
        matrix[first, second] = matrix[second, first] = 1
    return matrix


def among(interactions: Iterable[Interaction], drugs: Iterable[str]) -> tuple[Interaction, ...]:
    """Return the interactions of which both drugs are among `drugs`."""
    pairs = {*combinations(sorted(drugs), 2)}
    return tuple(interaction for interaction in interactions if interaction.drugs in pairs)


def _name(text: str | None, place: str, drugs: Sequence[str]) -> str:
    """Return the name of a drug; raise InputError for none, and for one that is nearly a drug's."""
    name = (text or "").strip()
    if not name:
        raise InputError(f"{place} names one drug only; give two, or remove the line")
    if name not in drugs and (near := get_close_matches(name, drugs, n=1, cutoff=TYPO)):
        raise InputError(f"{place}: no drug is called {name!r}; did you mean {near[0]!r}? Correct the line")
    return name
