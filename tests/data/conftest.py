"""Small tables, and a processor that makes a fixed-shape and a ragged column of a word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from datasets import Dataset

from medhub.data import Table
from medhub.errors import InputError
from medhub.processing import Processor


@dataclass(kw_only=True)
class WordProcessor(Processor):
    """Makes of "12a" its letters, one number each, and a fixed vector of the letters' sum."""

    RAGGED: ClassVar[tuple[str, ...]] = ("letters", "tokens")

    width: int = 3

    @classmethod
    def fit(cls, rows, config):
        return cls()

    def read(self, raw: str) -> str:
        if not raw.isalnum():
            raise InputError(f"{raw!r} is not a word")
        return raw

    def features(self, sample: str) -> dict[str, Any]:
        letters = np.frombuffer(sample.encode(), dtype=np.uint8)
        return {"total": np.full(self.width, letters.sum(), dtype=np.float32), "letters": letters.astype(np.int32)}

    def describe(self, sample: str) -> str:
        return sample

    def explain(self, model, sample, label):
        raise NotImplementedError


def rows_of(words: list[str], **columns: list[Any]) -> Dataset:
    """Rows with the words as inputs, labels 0 and 1 in turn, and a group of its own for every word unless given."""
    given = {"labels": [i % 2 for i in range(len(words))], "group": [f"g{i}" for i in range(len(words))], **columns}
    return Dataset.from_dict({"input": words, **given})


@pytest.fixture
def processor() -> WordProcessor:
    return WordProcessor()


@pytest.fixture
def make_processor() -> type[WordProcessor]:
    return WordProcessor


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., Dataset]:
    return rows_of


@pytest.fixture(scope="session")
def make_table() -> Callable[..., Table]:
    def make(words: list[str], *, label_names: tuple[str, ...] = ("no", "yes"), **columns: list[Any]) -> Table:
        return Table(rows=rows_of(words, **columns), label_names=label_names)

    return make
