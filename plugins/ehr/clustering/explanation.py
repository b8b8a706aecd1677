"""Which inputs put a patient into a group, by integrated gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.explain import integrated_gradients
from medhub.results import Explanation

from .drawing import draw_parts

if TYPE_CHECKING:
    from medhub.modeling import MedModel

    from ..patients import Patient
    from .processing import PatientClusteringProcessor


def explain(processor: PatientClusteringProcessor, model: MedModel, sample: Patient, label: str) -> Explanation:
    """Attribute the logarithm of the group's probability to the inputs, against the mean patient.

    "gru" reads most values in a series; what a variable said from first to last is then one part.
    """
    batch = processor.collate(processor.stack([processor.features(sample)]))
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    number = model.config.label2id[label]
    values = integrated_gradients(model, batch, name="inputs", label=number, read=_log_probabilities)[0].cpu().numpy()
    vector = processor.profile.vector(sample.record, sample.index)
    names = processor.profile.names
    notes = ["unknown" if np.isnan(value) else f"{value:+.1f}" for value in vector]
    legend = "bars to the right speak for the group; beside them the value, in deviations from the mean"
    if processor.reads_series:
        assert processor.profile.scaler is not None
        shares = integrated_gradients(model, batch, name="steps", label=number, read=_log_probabilities)[0]
        codes = processor.profile.scaler.codes
        first = len(names) - processor.profile.timeless
        values = np.concatenate([shares.sum(0).view(3, len(codes)).sum(0).cpu().numpy(), values[first:]])
        names, notes = [*codes, *names[first:]], [""] * len(codes) + notes[first:]
        legend = "bars to the right speak for the group"
    return Explanation(
        method="integrated gradients against the mean patient", label=label, legend=legend, values=values,
        parts=tuple(names), picture=draw_parts(names, values, notes=notes),
    )  # fmt: skip


def _log_probabilities(outputs: ModelOutput) -> Tensor:
    return outputs["logits"].log_softmax(-1)
