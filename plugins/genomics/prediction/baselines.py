"""What the network must beat: how frequent each label is, and a logistic regression on nearby letters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from medhub.processing import as_rows

from .processing import SequencePredictionProcessor

REACH = 8
"""Letters on either side of a position that the regression sees; to tell the next one, twice as many before it."""
MOST_POSITIONS = 300_000
"""Positions, drawn at random from the training rows, that the regression is fitted to."""


def frequencies(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: SequencePredictionProcessor, seed: int
) -> NDArray:
    """Return at every position of the test rows how frequent each label is in the training rows."""
    known = np.concatenate([*_labels(train)])
    # one more of each, for a label that training never shows is not impossible
    counts = np.bincount(known[known >= 0], minlength=len(labels)) + 1
    shares = (counts / counts.sum()).astype(np.float32)
    return as_rows([np.tile(shares, (len(sequence), 1)) for sequence in test["input"]])


def window_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: SequencePredictionProcessor, seed: int
) -> NDArray:
    """Return the probabilities of a logistic regression on the letters, one-hot, in a window around each position."""
    random = np.random.default_rng(seed)
    known = np.concatenate([*_labels(train)])
    scored = np.flatnonzero(known >= 0)
    chosen = np.sort(random.choice(scored, min(len(scored), MOST_POSITIONS), replace=False))
    inputs = np.concatenate([*_windows(train, processor)])[chosen]
    size = processor.letters.size
    model = LogisticRegression(C=0.1, max_iter=500, tol=1e-3).fit(_one_hot(inputs, size), known[chosen])
    answers = []
    for windows in _windows(test, processor):
        probabilities = np.zeros((len(windows), len(labels)), dtype=np.float32)
        probabilities[:, model.classes_] = model.predict_proba(_one_hot(windows, size))
        answers.append(probabilities)
    return as_rows(answers)


def _labels(rows: Dataset) -> Iterator[NDArray[np.int16]]:
    return (np.asarray(labels, dtype=np.int16) for labels in rows["labels"])


def _windows(rows: Dataset, processor: SequencePredictionProcessor) -> Iterator[NDArray[np.uint8]]:
    """Yield of each row the letters around each position, (length, 2 * REACH + 1), 0 beyond the ends."""
    before = 2 * REACH if processor.objective == "next" else REACH
    for sequence in rows["input"]:
        codes = np.pad(processor.letters.encode(sequence), (before, 2 * REACH - before))
        yield np.lib.stride_tricks.sliding_window_view(codes, 2 * REACH + 1)


def _one_hot(windows: NDArray[np.uint8], size: int) -> csr_array:
    """Return letters (rows, places) as a sparse table (rows, places * size) of a 1 a place."""
    rows, places = windows.shape
    columns = windows + np.arange(places) * size
    starts = np.arange(rows + 1) * places
    return csr_array((np.ones(columns.size), columns.ravel(), starts), shape=(rows, places * size))


BASELINES = {"label frequencies": frequencies, "logistic regression on 17 residues": window_regression}
