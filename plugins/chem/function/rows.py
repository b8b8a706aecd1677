"""The rows of this task: a sequence, its functions as yes or no, and which of these imply which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, List, Value

from medhub.sequences.rows import make_rows

LABELS = List(Value("float64"))
LINKS = "links"
"""The column of pairs of a row's functions, by their numbers, of which the first implies the second."""


def rows_of(records: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return records with `input`, `labels` and `group`, and if known `links` and `split`, as rows."""
    links = [[[*pair] for pair in record.get(LINKS, ())] for record in records]
    return make_rows(records, labels=LABELS).add_column(LINKS, links, feature=List(List(Value("int64"))))
