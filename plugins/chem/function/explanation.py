"""Which letters of a sequence spoke for a function, drawn as a logo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medhub.explain import integrated_gradients
from medhub.modeling import MedModel
from medhub.results import Explanation
from medhub.sequences.fasta import Record
from medhub.sequences.pictures import logo, single_letters

if TYPE_CHECKING:
    from .processing import FunctionProcessor

MOST_SHOWN = 300
"""Letters that are drawn; of a longer sequence the stretch that says most is."""


def explain_sequence(processor: FunctionProcessor, model: MedModel, sample: Record, label: str) -> Explanation:
    """Say which letters spoke for `label`: integrated gradients against a sequence of unknown letters.

    A figure a letter that is read, in units of the log-odds; together they are what the letters add to those of a
    sequence in which nothing is known.
    """
    batch = processor.collate(processor.stack([processor.features(sample)]))
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    index = int(model.config.label2id[label])
    layer = model.get_submodule("letters")
    shares = integrated_gradients(model, batch, name="input_ids", label=index, layer=layer)
    values = shares[0].sum(-1).cpu().numpy()
    sequence = processor.ends(sample.sequence)
    numbers = _numbers(len(sample.sequence), read=len(sequence))
    start = _telling_stretch(values)
    shown = slice(start, start + MOST_SHOWN)
    return Explanation(
        method="integrated gradients",
        label=label,
        legend="letters above the line speak for it, those below, upside down, against it"
        + (f"; shown is where most does, of {len(sequence):,} letters" if len(sequence) > MOST_SHOWN else ""),
        values=values,
        parts=tuple(f"{letter}{number}" for letter, number in zip(sequence, numbers, strict=True)),
        picture=logo(
            single_letters(values[shown], sequence[shown], alphabet=processor.letters),
            alphabet=processor.letters,
            start=int(numbers[start]),
        ),
    )


def _numbers(length: int, *, read: int) -> np.ndarray:
    """Return the places, from 1, in a sequence of `length` of the letters that are read of it."""
    numbers = np.arange(1, read + 1)
    numbers[read // 2 :] += length - read
    return numbers


def _telling_stretch(values: np.ndarray) -> int:
    """Return where the stretch of `MOST_SHOWN` letters starts whose figures are largest, whichever their sign."""
    if len(values) <= MOST_SHOWN:
        return 0
    sums = np.convolve(np.abs(values), np.ones(MOST_SHOWN), mode="valid")
    return int(sums.argmax())
