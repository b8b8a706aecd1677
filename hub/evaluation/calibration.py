"""Probabilities that mean what they say: a temperature, and thresholds for conformal sets, fitted on validation rows.

For classes, logits and scores have the shape (examples, classes) and targets are class numbers; for multi-label tasks
all have the shape (examples, labels), and a NaN target is a missing label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from medhub.calibration import fit_temperature
from medhub.evaluation.scores import predict_logits, predict_scores
from medhub.metrics import METRICS

if TYPE_CHECKING:
    from medhub.data import Features
    from medhub.modeling import MedModel
    from medhub.processing import Processor

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What `calibrate` fitted, and the expected calibration error of the validation rows before and after."""

    temperature: float
    thresholds: list[float]
    coverage: float
    ece_before: float
    ece_after: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How conformal sets did on rows that they were not fitted on."""

    promised: float
    """Share of sets that should hold the truth."""
    measured: float
    """Share of sets that do."""
    by_truth: dict[str, float]
    """The same by what is true: a class, or "yes" and "no" over all labels."""
    mean_size: float
    """Mean number of answers in a set."""
    undecided: float
    """Share of sets that do not hold exactly one answer."""


def calibrate(model: MedModel, processor: Processor, validation: Features) -> Calibration | str | None:
    """Fit on prepared validation rows what makes the model's scores mean what they say, and set it in its config.

    For classes and yes-or-no labels that is `temperature` and `conformal_thresholds`. What other tasks fit, their
    processor knows (`Processor.calibrate`); returned is then its sentence for the card. The rows also chose the
    checkpoint, so what is measured on the test rows is what counts.
    """
    config = model.config
    if config.problem_type is None:
        return processor.calibrate(*predict_scores(model, validation, processor), config)
    logits, targets = predict_logits(model, validation, processor)
    config.temperature = fit_temperature(logits, targets)
    before, scores = probabilities(logits, targets), probabilities(logits / config.temperature, targets)
    config.conformal_thresholds = conformal_thresholds(scores, targets, coverage=config.coverage)
    ece = METRICS["ece"].compute
    return Calibration(
        temperature=config.temperature,
        thresholds=config.conformal_thresholds,
        coverage=config.coverage,
        ece_before=ece(before, targets),
        ece_after=ece(scores, targets),
        rows=len(targets),
    )


def probabilities(logits: Array, targets: NDArray) -> Array:
    """Return the softmax over classes, or each label's sigmoid where the targets are yes-or-no labels."""
    return softmax(logits, axis=1) if targets.ndim == 1 else expit(logits)


def conformal_thresholds(scores: Array, targets: NDArray, *, coverage: float = 0.9) -> list[float]:
    """Return the least probability with which an answer belongs to the conformal set: one value, or one a label.

    Split conformal prediction with the least ambiguous set (Sadinle et al. 2019): of the n probabilities that the truth
    got, ascending, the one of rank n + 1 - ceil((n + 1) * coverage). With too few rows for that rank the threshold is
    0, and everything stays possible.
    """
    scores = scores.astype(np.float64)  # as a prediction compares them
    if targets.ndim == 1:
        return [_threshold(scores[np.arange(len(targets)), targets], coverage)]
    true_scores = np.where(targets == 1, scores, 1 - scores)
    known = ~np.isnan(targets)
    return [_threshold(true_scores[known[:, j], j], coverage) for j in range(targets.shape[1])]


def _threshold(true_scores: Array, coverage: float) -> float:
    n = len(true_scores)
    rank = n + 1 - math.ceil(round((n + 1) * coverage, 9))  # rounded: 10 * 0.9 must not become 9.000000000000002
    return float(np.sort(true_scores)[rank - 1]) if rank >= 1 else 0.0


def measure_coverage(
    scores: Array, targets: NDArray, *, thresholds: list[float], promised: float, names: tuple[str, ...]
) -> Coverage:
    """Count how often the conformal set of each example (and label) holds the truth, and how large it is.

    `names` are the classes; where the targets are yes-or-no labels, the two answers of all labels count together.
    """
    scores = scores.astype(np.float64)
    if targets.ndim == 1:
        sets, truth = scores >= thresholds[0], targets
    else:
        # the answers stand in the order no, yes, compared as `Processor.result` compares them
        sets = np.stack([1 - scores >= thresholds, scores >= thresholds], axis=-1)
        known = ~np.isnan(targets)
        sets, truth, names = sets[known], targets[known].astype(int), ("no", "yes")
    covered, sizes = sets[np.arange(len(truth)), truth], sets.sum(axis=1)
    return Coverage(
        promised=promised,
        measured=float(covered.mean()),
        by_truth={names[i]: float(covered[truth == i].mean()) for i in np.unique(truth)},
        mean_size=float(sizes.mean()),
        undecided=float((sizes != 1).mean()),
    )
