"""What the network must beat: the class frequencies, and logistic regression on the usual variability figures."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medhub.processing import Processor

from .processing import ExampleRhythmProcessor


def class_frequencies(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return for every test row how often each class stands in the training rows."""
    counts = np.bincount(train["labels"], minlength=len(labels))
    return np.tile(counts / counts.sum(), (len(test), 1))


def variability_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return the probabilities of logistic regression on the mean interval, SDNN and RMSSD (Task Force, 1996)."""
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=seed))
    model.fit(_figures(train), train["labels"])
    scores = np.zeros((len(test), len(labels)))
    scores[:, model.classes_] = model.predict_proba(_figures(test))
    return scores


def _figures(rows: Dataset) -> NDArray:
    """Return the mean, the standard deviation and the root mean square of successive differences, one row each."""
    processor = ExampleRhythmProcessor(mean=0.0, deviation=1.0)
    recordings = [processor.read(raw) for raw in rows["input"]]
    return np.array([[r.mean(), r.std(), np.sqrt(np.mean(np.diff(r) ** 2))] for r in recordings])


# Change: at least one baseline that your field takes seriously.
BASELINES = {
    "class frequencies": class_frequencies,
    "logistic regression on variability": variability_regression,
}
