"""A network's scores for a whole split, in the order of its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import ModelOutput

from medhub.data.tables import LABELS
from medhub.errors import WeightsError

if TYPE_CHECKING:
    from medhub.data import Features
    from medhub.modeling import MedModel
    from medhub.processing import Processor


def predict_scores(
    model: MedModel, features: Features, processor: Processor, *, batch_size: int = 256
) -> tuple[NDArray, NDArray]:
    """Return (scores, truths) of prepared rows, both in row order.

    They are what `processor.scores` and `processor.truths` return, with the first axis the row. The network answers in
    evaluation mode, on the device where it is, and is left in the mode in which it was found. Raises WeightsError when
    a score is not a number.
    """

    def read(outputs: ModelOutput) -> NDArray:
        return processor.scores(outputs, model.config)

    return _predict(model, features, processor=processor, batch_size=batch_size, read=read)


def predict_logits(
    model: MedModel, features: Features, processor: Processor, *, batch_size: int = 256
) -> tuple[NDArray, NDArray]:
    """Return (logits, targets) of prepared rows as `predict_scores` does: what calibration is fitted on."""

    def read(outputs: ModelOutput) -> NDArray:
        return outputs["logits"].float().cpu().numpy()

    return _predict(model, features, processor=processor, batch_size=batch_size, read=read)


def _predict(
    model: MedModel,
    features: Features,
    *,
    processor: Processor,
    batch_size: int,
    read: Callable[[ModelOutput], NDArray],
) -> tuple[NDArray, NDArray]:
    # rows of like length stand together, so that little is padded
    order = np.arange(len(features)) if features.lengths is None else np.argsort(features.lengths, kind="stable")
    values, truths = [], []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                columns = features.take(order[start : start + batch_size])
                truths.append(processor.truths(columns))
                inputs = {name: column for name, column in columns.items() if name != LABELS}
                batch = {name: tensor.to(model.device) for name, tensor in processor.collate(inputs).items()}
                values.append(read(model(**batch)))
    finally:
        model.train(was_training)
    if any(value.dtype.kind == "f" and np.isnan(value).any() for value in values):
        raise WeightsError(
            f"{type(model).__name__} gives scores that are not numbers: its weights are not finite, or its training "
            "diverged; train it with a lower learning rate or with gradient clipping"
        )
    back = np.argsort(order)
    return np.concatenate(values)[back], np.concatenate(truths)[back]
