"""What the networks must beat: molecules drawn from the training rows, and a genetic algorithm on their graphs."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.processing import as_rows

from .genetic import breed, mutate
from .processing import OptimizationProcessor
from .proposals import Proposals

NEIGHBOURS = 4
"""Changes of each test row's molecule."""


def copies(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: OptimizationProcessor, seed: int
) -> NDArray:
    """Return training molecules, drawn at random: nothing new, but spread as molecules should be."""
    random = np.random.default_rng(seed)
    drawn = _draw(train, len(test), processor, random)
    near = _draw(train, len(test), processor, random)
    return as_rows([Proposals(sampled=one, near=(other,)) for one, other in zip(drawn, near, strict=True)])


def genetic(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: OptimizationProcessor, seed: int
) -> NDArray:
    """Return children of two training molecules each, and changes of the test rows' molecules."""
    random = np.random.default_rng(seed)
    mothers, fathers = (_draw(train, len(test), processor, random) for _ in range(2))
    rows = []
    for mother, father, raw in zip(mothers, fathers, test["input"], strict=True):
        near = [mutate(processor.read(raw), random) for _ in range(NEIGHBOURS)]
        rows.append(Proposals(sampled=breed(mother, father, random) or mother, near=tuple(filter(None, near))))
    return as_rows(rows)


def _draw(train: Dataset, count: int, processor: OptimizationProcessor, random: np.random.Generator) -> list[str]:
    """Return molecules of the training rows, none twice while there are enough."""
    places = random.choice(len(train), size=count, replace=count > len(train))
    return [processor.read(raw) for raw in train.select(places)["input"]]


BASELINES = {"training molecules": copies, "graph genetic algorithm": genetic}
