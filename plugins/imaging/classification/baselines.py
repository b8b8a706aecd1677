"""What the network must beat: the class frequencies, and logistic regression on the pixels or on less than those."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medhub.processing import Processor

from ..files import read_image
from .processing import ImageClassificationProcessor

SIZE = 28
"""Height and width of the pictures on whose pixels the regression is fitted."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
"""Of an image's grey levels, as what is known of its brightness."""


def majority(train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int) -> NDArray:
    """Return for every test row how often each class stands in the training rows."""
    counts = np.bincount(train["labels"][:], minlength=len(labels))
    return np.tile(counts / counts.sum(), (len(test), 1))


def pixel_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return the probabilities of logistic regression on a picture's (a volume's middle slice's) pixels."""
    return _fitted(LogisticRegression(C=0.1, max_iter=2000, random_state=seed), _pixels, train, test, labels=labels)


def size_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return the probabilities of logistic regression on what betrays a label without a look at the image.

    That is its number of slices, rows and columns and the percentiles of its brightness: a network that is no better
    may have learnt how the images were made.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed))
    return _fitted(model, _size_and_brightness, train, test, labels=labels)


def _fitted(
    model: BaseEstimator,
    numbers: Callable[[Dataset], NDArray],
    train: Dataset,
    test: Dataset,
    *,
    labels: tuple[str, ...],
) -> NDArray[np.floating]:
    model.fit(numbers(train), train["labels"][:])
    scores = np.zeros((len(test), len(labels)))
    scores[:, model.classes_] = model.predict_proba(numbers(test))
    return scores


def _size_and_brightness(rows: Dataset) -> NDArray[np.floating]:
    images = [read_image(raw) for raw in rows["input"]]
    return np.stack(
        [[*image.pixels.shape[:3], *np.percentile(image.grey_levels(), PERCENTILES)] for image in images]
    )  # fmt: skip


def _pixels(rows: Dataset) -> NDArray[np.floating]:
    processor = ImageClassificationProcessor(
        image_size=SIZE, channels=1, volume=False, max_slices=1, horizontal_flip=False, modalities=[],
        mean=[0.0], deviation=[1.0],
    )  # fmt: skip
    pictures = [processor.features(processor.read(raw))["pixel_values"] for raw in rows["input"]]
    return np.stack(pictures).reshape(len(rows), -1) / 255


BASELINES = {"majority": majority, "logistic regression on pixels": pixel_regression,
             "logistic regression on size and brightness": size_regression}  # fmt: skip
