"""What the networks must beat: how frequent each function is, counts of short words, and the nearest neighbour."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from medhub.processing import Processor

from .neighbours import align, compare
from .processing import FunctionProcessor

LONGEST_WORD = {"dna": 5, "protein": 2}
"""Letters of the longest words that are counted: some hundreds of different words."""


def naive(train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int) -> NDArray:
    """Return for every test row how frequent each function is in the training rows (CAFA's naive method)."""
    return np.tile(_labels(train).mean(0), (len(test), 1))


def kmer_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return the probabilities of a logistic regression a function on the counts of words of up to two amino acids.

    Of DNA, words have up to five letters.
    """
    assert isinstance(processor, FunctionProcessor)
    words = make_pipeline(
        CountVectorizer(
            analyzer="char", ngram_range=(1, LONGEST_WORD[processor.alphabet]), lowercase=False, dtype=np.float64
        ),
        FunctionTransformer(np.log1p),
        MaxAbsScaler(),
    )
    counts, test_counts = (
        words.fit_transform(_sequences(train, processor)),
        words.transform(_sequences(test, processor)),
    )
    scores = naive(train, test, labels=labels, processor=processor, seed=seed)
    for number, target in enumerate(_labels(train).T):
        if 0 < target.mean() < 1:
            model = LogisticRegression(max_iter=300, random_state=seed).fit(counts, target)
            scores[:, number] = model.predict_proba(test_counts)[:, 1]
    return processor.propagate(scores)


def nearest_neighbour(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return how much nearer the nearest training row with a function is than the nearest without it, by alignment."""
    assert isinstance(processor, FunctionProcessor)
    targets, known = _labels(train), _sequences(train, processor)
    similar = (align(sequence, known, alphabet=processor.alphabet) for sequence in _sequences(test, processor))
    return np.stack([compare(scores, targets) for scores in similar])


def _labels(rows: Dataset) -> NDArray[np.floating]:
    return np.array(rows["labels"][:], dtype=float)


def _sequences(rows: Dataset, processor: FunctionProcessor) -> list[str]:
    """Return the rows' sequences as the network reads them."""
    return [processor.ends(processor.read(raw).sequence) for raw in rows["input"]]


BASELINES = {
    "naive frequency": naive,
    "logistic regression on k-mers": kmer_regression,
    "nearest neighbour by alignment": nearest_neighbour,
}
