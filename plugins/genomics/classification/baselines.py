"""What the networks must beat: the class frequencies, and logistic regression on how often short words occur."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from medhub.processing import Processor

from .processing import SequenceClassificationProcessor

LONGEST_WORD = {"dna": 5, "protein": 2}
"""Letters of the longest words that are counted: some hundreds of different words."""


def majority(train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int) -> NDArray:
    """Return for every test row how often each class stands in the training rows."""
    counts = np.bincount(train["labels"][:], minlength=len(labels))
    return np.tile(counts / counts.sum(), (len(test), 1))


def kmer_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return the probabilities of logistic regression on the counts of all words of up to five nucleotides.

    Of proteins, words have up to two letters.
    """
    assert isinstance(processor, SequenceClassificationProcessor)
    longest = LONGEST_WORD[processor.alphabet]
    model = make_pipeline(
        CountVectorizer(analyzer="char", ngram_range=(1, longest), lowercase=False, dtype=np.float64),
        FunctionTransformer(np.log1p),
        MaxAbsScaler(),
        LogisticRegression(max_iter=300, random_state=seed),
    )
    model.fit(train["input"][:], train["labels"][:])
    scores = np.zeros((len(test), len(labels)))
    scores[:, model.classes_] = model.predict_proba(test["input"][:])
    return scores


BASELINES = {"majority": majority, "logistic regression on k-mers": kmer_regression}
