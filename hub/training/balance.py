"""Weights that let a rare class count as much as a common one."""

from __future__ import annotations

import inspect

import numpy as np
import torch
from torch import Tensor

from medhub.data import Features
from medhub.errors import ConfigError, LabelError
from medhub.modeling import MedModel

_ROWS = 1024


def class_weights(train: Features, model: MedModel) -> Tensor:
    """Return weights inverse to how often each class stands in the training rows, 1 on average over the rows.

    Shape (classes,) where `labels` are class numbers; (2, labels) where they are yes or no each, first the weights of
    a no, then those of a yes. Raises ConfigError where the labels or the model know no such weights.
    """
    if "sample_weight" not in inspect.signature(model.forward).parameters:
        raise ConfigError(f"{type(model).__name__}.forward takes no sample_weight; train it with balance='none'")
    parts = [
        np.asarray(train.take(np.arange(start, min(start + _ROWS, len(train))))["labels"])
        for start in range(0, len(train), _ROWS)
    ]
    labels = np.concatenate(parts)
    if labels.dtype.kind in "iu" and labels.ndim == 1:
        counts = np.bincount(labels)
        known: np.ndarray | int = len(labels)
    elif labels.dtype.kind == "f" and labels.ndim == 2:
        counts = np.stack([(labels == 0).sum(axis=0), (labels == 1).sum(axis=0)])
        known = counts.sum(axis=0)
    else:
        raise LabelError(f"labels of type {labels.dtype} and shape {labels.shape} have no classes; use balance='none'")
    # a class that never occurs weighs nothing, and nothing will ask for its weight
    weights = np.where(counts > 0, known / (np.maximum(counts, 1) * len(counts)), 0)
    return torch.from_numpy(weights).float()


def sample_weights(labels: Tensor, weights: Tensor) -> Tensor:
    """Return the weight of each label of a batch, in the shape of `labels`; see `class_weights`."""
    if labels.is_floating_point():
        return torch.where(labels == 1, weights[1], weights[0])  # the loss leaves unknown (NaN) labels out by itself
    return weights[labels]
