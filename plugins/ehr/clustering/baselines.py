"""What the network must beat: k-means on principal components, and on the inputs themselves.

Both read the inputs that the network reads, and make as many groups.
"""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from .placement import place
from .processing import PatientClusteringProcessor

RESTARTS = 10


def components(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: PatientClusteringProcessor, seed: int
) -> NDArray:
    """Return the placements of the test rows by k-means on as many principal components as the network has numbers."""
    learnt, asked = _inputs(train, processor), _inputs(test, processor)
    axes = PCA(len(processor.components), svd_solver="full").fit(learnt)
    return _by_kmeans(axes.transform(learnt), axes.transform(asked), asked, groups=processor.groups, seed=seed)


def all_inputs(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: PatientClusteringProcessor, seed: int
) -> NDArray:
    """Return the placements of the test rows by k-means on all inputs."""
    learnt, asked = _inputs(train, processor), _inputs(test, processor)
    return _by_kmeans(learnt, asked, asked, groups=processor.groups, seed=seed)


def _inputs(rows: Dataset, processor: PatientClusteringProcessor) -> NDArray[np.float32]:
    return np.stack([processor.features(processor.read(raw))["inputs"] for raw in rows["input"]])


def _by_kmeans(learnt: NDArray, asked: NDArray, inputs: NDArray, *, groups: int, seed: int) -> NDArray:
    found = KMeans(groups, n_init=RESTARTS, random_state=seed).fit(learnt)
    return place(np.eye(groups)[found.predict(asked)], asked, inputs)


BASELINES = {"PCA and k-means": components, "k-means": all_inputs}
