"""What the networks must beat: how frequent an outcome is, and two classical learners on a summary of the record."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..features import summary
from .processing import OutcomePredictionProcessor


def frequencies(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: OutcomePredictionProcessor, seed: int
) -> NDArray:
    """Return for every test row how often each outcome happened in the training rows."""
    values = np.array(train["labels"][:], dtype=float)
    known = ~np.isnan(values)
    return np.tile(np.nansum(values, axis=0) / known.sum(axis=0).clip(1), (len(test), 1))


def regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: OutcomePredictionProcessor, seed: int
) -> NDArray:
    """Return the risks of logistic regression; what was never measured is the median, and is said to be missing."""
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=500, random_state=seed),
    )
    return _score_each_outcome(model, train, test, processor=processor)


def boosting(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: OutcomePredictionProcessor, seed: int
) -> NDArray:
    """Return the risks of gradient-boosted trees."""
    model = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
    )
    return _score_each_outcome(model, train, test, processor=processor)


def summaries(rows: Dataset, processor: OutcomePredictionProcessor) -> NDArray[np.float32]:
    """Return the last, mean, least and greatest value of each variable, how often it was measured, and the statics."""
    samples = [processor.read(raw) for raw in rows["input"]]
    return np.stack(
        [
            np.concatenate([summary(processor.marked(sample), processor.scaler).ravel(),
                            processor.statics.vector(sample.record, sample.index)])
            for sample in samples
        ]
    )  # fmt: skip


def _score_each_outcome(model: Any, train: Dataset, test: Dataset, *, processor: OutcomePredictionProcessor) -> NDArray:
    """Fit a model to each outcome on the rows that know it; one that always or never happens gets that as its risk."""
    inputs, test_inputs = summaries(train, processor), summaries(test, processor)
    columns = []
    for outcome in np.array(train["labels"][:], dtype=float).T:
        known = ~np.isnan(outcome)
        if len(np.unique(outcome[known])) < 2:
            columns.append(np.full(len(test), outcome[known].mean() if known.any() else 0.5))
        else:
            columns.append(model.fit(inputs[known], outcome[known]).predict_proba(test_inputs)[:, 1])
    return np.stack(columns, axis=1)


BASELINES = {
    "outcome frequency": frequencies,
    "gradient boosting on summaries": boosting,
    "logistic regression on summaries": regression,
}
