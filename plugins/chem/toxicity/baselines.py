"""What the networks must beat: the labels' frequencies, and two classical learners on circular fingerprints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from medhub.plugins.chem.molecules import read_molecule
from medhub.processing import Processor

ECFP_SIZE, ECFP_RADIUS = 2048, 2  # the usual ECFP4


def frequencies(train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int) -> NDArray:
    """Return for every test row how often each label is 1 among the training rows that know it."""
    values = np.array(train["labels"][:], dtype=float)
    known = ~np.isnan(values)
    return np.tile(np.nansum(values, axis=0) / known.sum(axis=0).clip(1), (len(test), 1))


def ecfp_forest(train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int) -> NDArray:
    """Return the probabilities of a random forest a label, on which molecules hold which substructures (ECFP4)."""

    def fit(inputs: NDArray, target: NDArray) -> RandomForestClassifier:
        forest = RandomForestClassifier(100, min_samples_leaf=2, n_jobs=2, random_state=seed).fit(inputs, target)
        # two threads would add up the trees in any order, and so give sums that differ from call to call
        return forest.set_params(n_jobs=1)

    return _score_each_label(fit, train, test)


def ecfp_regression(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: Processor, seed: int
) -> NDArray:
    """Return the probabilities of logistic regression a label on ECFP4, with a strong penalty."""
    model = LogisticRegression(C=0.05, solver="liblinear", random_state=seed)
    return _score_each_label(model.fit, train, test)


def _score_each_label(fit: Callable[[NDArray, NDArray], Any], train: Dataset, test: Dataset) -> NDArray:
    """Fit a model for each label on the rows that know it; a label of one value only gets that value."""
    inputs, test_inputs = _fingerprints(train), _fingerprints(test)
    columns = []
    for target in np.array(train["labels"][:], dtype=float).T:
        known = ~np.isnan(target)
        if len(np.unique(target[known])) < 2:
            columns.append(np.full(len(test), target[known].mean() if known.any() else 0.5))
            continue
        columns.append(fit(inputs[known], target[known]).predict_proba(test_inputs)[:, 1])
    return np.stack(columns, axis=1)


def _fingerprints(rows: Dataset) -> NDArray[np.uint8]:
    """Return which of the folded circular substructures each row's molecule has: (rows, ECFP_SIZE) of 0 and 1."""
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=ECFP_RADIUS, fpSize=ECFP_SIZE)
    return np.stack([generator.GetFingerprintAsNumPy(read_molecule(raw)) for raw in rows["input"]])


BASELINES = {
    "label frequencies": frequencies,
    "random forest on ECFP4": ecfp_forest,
    "logistic regression on ECFP4": ecfp_regression,
}
