"""What the network must beat: the class frequencies, and logistic regression on the pixels."""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from .processing import ImageClassificationProcessor

SIZE = 28
"""Height and width of the pictures on whose pixels the regression is fitted."""


def majority(train: Dataset, test: Dataset, *, labels: tuple[str, ...], seed: int) -> NDArray:
    """Return for every test row how often each class stands in the training rows."""
    counts = np.bincount(train["labels"][:], minlength=len(labels))
    return np.tile(counts / counts.sum(), (len(test), 1))


def pixel_regression(train: Dataset, test: Dataset, *, labels: tuple[str, ...], seed: int) -> NDArray:
    """Return the probabilities of logistic regression on a picture's (a volume's middle slice's) pixels."""
    model = LogisticRegression(C=0.1, max_iter=2000, random_state=seed)
    model.fit(_pixels(train), train["labels"][:])
    scores = np.zeros((len(test), len(labels)))
    scores[:, model.classes_] = model.predict_proba(_pixels(test))
    return scores


def _pixels(rows: Dataset) -> NDArray[np.floating]:
    processor = ImageClassificationProcessor(
        image_size=SIZE, channels=1, volume=False, max_slices=1, horizontal_flip=False, modalities=[],
        mean=[0.0], deviation=[1.0],
    )  # fmt: skip
    pictures = [processor.features(processor.read(raw))["pixel_values"] for raw in rows["input"]]
    return np.stack(pictures).reshape(len(rows), -1) / 255


BASELINES = {"majority": majority, "logistic regression on pixels": pixel_regression}
