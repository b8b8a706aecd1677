"""Which letters of a sequence spoke for a label, by integrated gradients over their embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.explain import integrated_gradients
from medhub.results import Explanation
from medhub.sequences.fasta import Record
from medhub.sequences.pictures import logo, single_letters

if TYPE_CHECKING:
    from medhub.modeling import MedModel

    from .processing import SequencePredictionProcessor

STRETCH = 480
"""Letters that are explained: gradients cost far more memory than answers. They fit into one reading of the network."""


def explain(processor: SequencePredictionProcessor, model: MedModel, sample: Record, label: str) -> Explanation:
    """Attribute the mean logit of `label`, over the positions where it is predicted, to the letters.

    Where it is predicted nowhere, all positions count; with the objective "next" it is the one behind the last letter.
    Of a sequence longer than STRETCH the part that has the label most often is explained.
    """
    number = model.config.label2id[label]
    start, places = _places(processor, model, sample, number)
    part = Record(name=sample.name, sequence=sample.sequence[start : start + STRETCH])

    def read(outputs: ModelOutput) -> Tensor:
        return outputs["logits"][:, places].mean(dim=1)

    values = integrated_gradients(
        model, _batch(processor, model, part), name="input_ids", label=number,
        layer=model.get_submodule("reader.embedding"), read=read,
    )[0].sum(dim=-1).cpu().numpy()  # fmt: skip
    where = "" if len(part.sequence) == len(sample.sequence) else f" of positions {start + 1} to {start + STRETCH}"
    return Explanation(
        method=f"integrated gradients{where}",
        label=label,
        legend="letters above the line raise its score, those beneath lower it",
        values=values,
        parts=tuple(f"{letter}{place}" for place, letter in enumerate(part.sequence, start=start + 1)),
        picture=logo(
            single_letters(values, part.sequence, alphabet=processor.letters),
            alphabet=processor.letters,
            start=start + 1,
        ),
    )


def _places(
    processor: SequencePredictionProcessor, model: MedModel, sample: Record, number: int
) -> tuple[int, NDArray[np.intp]]:
    """Return where the explained stretch starts, and the places in it whose logits count."""
    length = len(sample.sequence)
    if processor.objective == "next":
        start = max(length - STRETCH, 0)
        return start, np.array([length - 1 - start])
    with torch.inference_mode():
        logits = model(**_batch(processor, model, sample))["logits"][0]
    there = (logits.argmax(dim=-1) == number).cpu().numpy()
    counts = np.convolve(there, np.ones(min(STRETCH, length), dtype=int), mode="valid")
    start = int(counts.argmax())
    places = np.flatnonzero(there[start : start + STRETCH])
    return start, places if len(places) else np.arange(min(STRETCH, length))


def _batch(processor: SequencePredictionProcessor, model: MedModel, sample: Record) -> dict[str, Tensor]:
    batch = processor.collate(processor.stack([processor.features(sample)]))
    return {name: tensor.to(model.device) for name, tensor in batch.items()}
