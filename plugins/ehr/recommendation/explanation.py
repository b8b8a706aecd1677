"""What in which visit spoke for a drug, by integrated gradients over the visits' codes and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.explain import integrated_gradients
from medhub.results import Explanation

from ..patients import Patient
from .drawing import Cell, draw_visits

if TYPE_CHECKING:
    from medhub.modeling import MedModel

    from .processing import RecommendationProcessor


def explain(processor: RecommendationProcessor, model: MedModel, sample: Patient, label: str) -> Explanation:
    """Attribute the log-odds of the drug `label` to what is in the visits, and to what does not change.

    Against visits in which nothing was noted. `values` has one figure for each code or value of each visit that is
    there, and for each static feature, in the log-odds' unit.
    """
    number, choices = model.config.label2id[label], torch.from_numpy(processor.choices.sets).to(model.device)

    def read(outputs: ModelOutput) -> Tensor:
        return drug_odds(outputs["logits"], choices, objective=processor.objective)

    batch = processor.collate(processor.stack([processor.features(sample)]))
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    inside, fixed = (
        integrated_gradients(model, batch, name=name, label=number, read=read)[0].cpu().numpy()
        for name in ("visits", "statics")
    )
    names, visits = processor.encoder.names, processor.split(sample)
    there = np.argwhere(batch["visits"][0].cpu().numpy() != 0).tolist()
    cells = [Cell(name=names[column], visit=visit, share=float(inside[visit, column])) for visit, column in there]
    cells += [
        Cell(name=name, visit=None, share=float(share))
        for name, share, value in zip(processor.statics.names, fixed, batch["statics"][0].tolist(), strict=True)
        if value
    ]
    dates = [str(visit.times[0].astype("datetime64[D]")) if len(visit) else "" for visit in visits]
    return Explanation(
        method="integrated gradients over the visits",
        label=label,
        legend="orange raises its log-odds, blue lowers them",
        values=np.array([cell.share for cell in cells]),
        parts=tuple(f"{cell.name}, {cell.place(len(visits))}" for cell in cells),
        picture=draw_visits(cells, dates),
    )


def drug_odds(logits: Tensor, sets: Tensor, *, objective: str) -> Tensor:
    """Return the log-odds of each drug, (batch, drugs), from the logits of `sets` (sets, drugs), (batch, sets).

    With the objective "outcome" they are those of faring well with the best set that the drug is in.
    """
    inside = logits[:, :, None].masked_fill(sets == 0, -torch.inf)
    if objective == "outcome":
        return inside.amax(1)
    return inside.logsumexp(1) - logits[:, :, None].masked_fill(sets > 0, -torch.inf).logsumexp(1)
