"""What the network must beat: giving what was given last, one set for everybody, and regressions on the last visit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from .processing import RecommendationProcessor

PENALTY = 0.1
"""scikit-learn's C of the regressions: the inverse of the penalty on their weights."""
OFTEN = 10
"""Rows of a set below which its mean outcome is not trusted."""


def copy_last(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: RecommendationProcessor, seed: int
) -> NDArray:
    """Return of each test row the drugs of the visit before."""
    return np.stack([np.stack([last, last]) for last, _ in _visits(test, processor)])


def best_for_all(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: RecommendationProcessor, seed: int
) -> NDArray:
    """Return for every test row the one set that serves the training rows best, and how frequent each drug is.

    That is the set that agrees most with what was given or, of a randomised trial, the arm of the best mean outcome.
    """
    given, outcomes = _given(train), _outcomes(train)
    choices = processor.choices
    if processor.objective == "outcome":
        arms = choices.nearest(given)
        counts = np.bincount(arms, minlength=len(choices.sets))
        means = np.bincount(arms, weights=outcomes, minlength=len(choices.sets)) / np.maximum(counts, 1)
        chosen = choices.sets[np.where(counts >= OFTEN, means, -1).argmax()]
    else:
        shares = np.bincount(choices.nearest(given), minlength=len(choices.sets)) / len(given)
        chosen = choices.decide(shares[None])[0]
    return np.tile(np.stack([given.mean(0), chosen]), (len(test), 1, 1))


def regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: RecommendationProcessor, seed: int
) -> NDArray:
    """Return the probabilities of a logistic regression a drug on the last visit and the coming one, and its best set.

    Of a randomised trial there is a regression an arm, of the outcome.
    """
    given, choices = _given(train), processor.choices
    inputs, test_inputs = (csr_array(np.stack([row for _, row in _visits(rows, processor)])) for rows in (train, test))
    if processor.objective == "outcome":
        arms, outcomes = choices.nearest(given), _outcomes(train)
        chances = np.zeros((len(test), len(choices.sets)))
        for arm in np.flatnonzero(np.bincount(arms, minlength=len(choices.sets)) >= OFTEN):
            chances[:, arm] = _fit(inputs[arms == arm], outcomes[arms == arm], test_inputs)
        drugs = np.where(choices.sets[None] > 0, chances[..., None], 0).max(1)
        return np.stack([drugs, choices.sets[chances.argmax(1)]], axis=1)
    drugs = np.stack([_fit(inputs, column, test_inputs) for column in given.T], axis=1).clip(1e-6, 1 - 1e-6)
    # of the sets that the network may recommend, each as probable as its drugs make it
    likelihood = np.log(drugs) @ choices.sets.T + np.log1p(-drugs) @ (1 - choices.sets.T)
    distribution = np.exp(likelihood - likelihood.max(1, keepdims=True))
    return np.stack([drugs, choices.decide(distribution)], axis=1)


def _fit(inputs: csr_array, target: NDArray, test_inputs: csr_array) -> NDArray:
    """Return the probabilities of a logistic regression; of a target of one value only, that value."""
    if len(np.unique(target)) < 2:
        return np.full(test_inputs.shape[0], target.mean())
    model = LogisticRegression(C=PENALTY, max_iter=300, solver="liblinear").fit(inputs, target)
    return model.predict_proba(test_inputs)[:, 1]


def _visits(rows: Dataset, processor: RecommendationProcessor) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield of each row the drugs of the last visit, and what a regression sees."""
    for raw in rows["input"]:
        features = processor.features(processor.read(raw))
        *earlier, coming = features["visits"].astype(np.float32)
        last = earlier[-1] if earlier else np.zeros_like(coming)
        yield last[: len(processor.drugs)], np.concatenate([last, coming, features["statics"]])


def _given(rows: Dataset) -> NDArray[np.float32]:
    return np.array([label["given"] for label in rows["labels"]], np.float32)


def _outcomes(rows: Dataset) -> NDArray[np.float64]:
    return np.array([label["outcome"] for label in rows["labels"]], float)


BASELINES = {
    "the last visit's drugs again": copy_last,
    "one best set for all": best_for_all,
    "logistic regression on the last visit": regression,
}
