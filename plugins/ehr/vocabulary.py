"""The codes that a model knows, learnt from the training records; those of few patients are never listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from medhub.errors import LabelError

from .events import Record

PADDING, OTHER = 0, 1
"""The number of a place behind the end of a sequence, and of every code that is rare or unknown."""
LEAST = 10
"""Patients that a code must be of to be listed: a rarer one could identify them."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Codes and how many training patients each is of, the most frequent first; as a dataclass it goes into JSON."""

    codes: tuple[str, ...]
    patients: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("codes", "patients"):  # JSON knows lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def fit(
        cls, records: Iterable[Record], *, keep: Callable[[str], bool] | None = None, least: int = LEAST
    ) -> Vocabulary:
        """Learn the codes of at least `least` patients, of those that `keep` chooses; records of one patient are one.

        Raises LabelError where there is none.
        """
        codes_of: dict[int, set[str]] = {}
        for record in records:
            codes_of.setdefault(record.subject, set()).update(record.codes)
        counts = Counter(code for codes in codes_of.values() for code in codes if keep is None or keep(code))
        found = sorted((-count, code) for code, count in counts.items() if count >= least)
        if not found:
            raise LabelError(
                f"no code is of {least} patients or more, of {len(codes_of)} patients with {len(counts)} codes; "
                "give more patients, or codes that they share"
            )
        return cls(codes=tuple(code for _, code in found), patients=tuple(-count for count, _ in found))

    def __len__(self) -> int:
        """How many numbers there are, with those of padding and of other codes."""
        return len(self.codes) + 2

    def encode(self, record: Record) -> NDArray[np.int64]:
        """Return the number of each event's code, (n,): 2 is the first code's, OTHER what is rare or unknown."""
        numbers = self._numbers
        return np.fromiter(map(numbers.get, record.codes.tolist(), repeat(OTHER)), np.int64, len(record))

    def decode(self, number: int) -> str:
        """Return the code of a number."""
        return "padding" if number == PADDING else "other" if number == OTHER else self.codes[number - 2]

    def unknown(self, record: Record) -> int:
        """Return how many events have a code that is rare or unknown: what a prediction must say."""
        return int(np.count_nonzero(self.encode(record) == OTHER))

    def multi_hot(self, records: Iterable[Record]) -> NDArray[np.float32]:
        """Return which codes each record has, (records, codes), without padding and other codes."""
        rows = [np.bincount(self.encode(record), minlength=len(self))[2:] > 0 for record in records]
        return np.array(rows, dtype=np.float32).reshape(len(rows), len(self.codes))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {code: number for number, code in enumerate(self.codes, start=2)}
