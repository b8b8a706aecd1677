"""Which events raised a risk, by integrated gradients, and how the risk went over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medhub.errors import InputError
from medhub.explain import integrated_gradients
from medhub.results import Explanation

from ..events import Time
from ..patients import Patient
from .timeline import Mark, draw_timeline

if TYPE_CHECKING:
    from medhub.modeling import MedModel

    from .processing import OutcomePredictionProcessor

MOMENTS = 24
"""Moments at which the risk over time is told."""


def explain(processor: OutcomePredictionProcessor, model: MedModel, sample: Patient, label: str) -> Explanation:
    """Attribute the log-odds of `label` to what does not change, and to each step and variable at which one was seen.

    The way from a patient of whom nothing is known to this one goes in three stretches: what does not change, that
    something was measured, and what the values were. Shares add up to the whole difference in log-odds.
    """
    batch = _batch(processor, model, [sample])
    number = model.config.label2id[label]
    of_statics, of_events = _shares(model, batch, number)
    steps, variables = np.nonzero(batch["seen"][0].cpu().numpy())
    hours = processor.steps(sample).hours
    marks = [
        Mark(name=processor.scaler.codes[variable], hours=float(hours[step]), share=float(of_events[step, variable]))
        for step, variable in zip(steps, variables, strict=True)
    ]
    fixed = [
        (name, float(share)) for name, share in zip(processor.statics.names, of_statics, strict=True) if share != 0
    ]
    moments, risks = risk_over_time(processor, model, sample, number)
    return Explanation(
        method="integrated gradients of what was measured, of its values and of what does not change",
        label=label,
        legend="red events raise the risk, blue ones lower it; above them, the risk as it would have been told before",
        values=np.array([mark.share for mark in marks] + [share for _, share in fixed]),
        parts=(*(f"{mark.name} at {mark.hours:.1f} h" for mark in marks), *(name for name, _ in fixed)),
        picture=draw_timeline(marks, fixed, hours=moments, risks=risks, label=label),
    )


def risk_over_time(
    processor: OutcomePredictionProcessor, model: MedModel, sample: Patient, label: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return hours from the first event, and the risk that the model would have told then, (moments,) each.

    At each moment it is given only what was known before.
    """
    start = sample.record.start
    assert start is not None
    found: list[tuple[Time, Patient]] = []
    for share in np.arange(1, MOMENTS + 1) / MOMENTS:
        moment = start + (share * (sample.index - start).astype(np.int64)).astype(np.int64).astype("timedelta64[us]")
        try:
            found.append((moment, processor.read(sample.at(moment))))
        except InputError:  # nothing was known by then
            continue
    with torch.inference_mode():
        outputs = model(**_batch(processor, model, [known for _, known in found]))
    risks = processor.scores(outputs, model.config)[:, label]
    return np.array([(moment - start) / np.timedelta64(1, "h") for moment, _ in found]), risks


def _shares(model: MedModel, batch: dict[str, Tensor], label: int) -> tuple[NDArray, NDArray]:
    """Return the shares of what does not change (statics,), and of each step and variable (steps, variables)."""
    unseen, unvalued = torch.zeros_like(batch["seen"]), torch.zeros_like(batch["values"])
    statics = integrated_gradients(model, {**batch, "seen": unseen, "values": unvalued}, name="statics", label=label)
    seen = integrated_gradients(model, {**batch, "values": unvalued}, name="seen", label=label)
    values = integrated_gradients(model, batch, name="values", label=label)
    return statics[0].cpu().numpy(), (seen + values)[0].cpu().numpy()


def _batch(processor: OutcomePredictionProcessor, model: MedModel, samples: list[Patient]) -> dict[str, Tensor]:
    batch = processor.collate(processor.stack([processor.features(sample) for sample in samples]))
    return {name: tensor.to(model.device) for name, tensor in batch.items()}
