"""Which letters spoke for a class: each changed into every other, or integrated gradients, drawn as a logo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.errors import InputError, suggest
from medhub.explain import integrated_gradients
from medhub.modeling import MedModel
from medhub.results import Explanation
from medhub.sequences.alphabets import Alphabet
from medhub.sequences.pictures import logo, logo_lines, single_letters

if TYPE_CHECKING:
    from .processing import SequenceClassificationProcessor
    from .variants import Variant

MUTAGENESIS, INTEGRATED_GRADIENTS = METHODS = ("in-silico mutagenesis", "integrated gradients")
MOST_EXPLAINED = 300
"""Letters up to which a sequence is explained as a whole; of a longer one the stretch that says most is."""
AROUND = 25
"""Letters on either side of a variant that are explained."""
BATCH = 256
EVERYWHERE = slice(None)
LEGEND = "letters above the line raise its log-odds, those below, upside down, lower them"


def explain_sequence(
    processor: SequenceClassificationProcessor, model: MedModel, sequence: str, label: str, *, method: str | None = None
) -> Explanation:
    """Say which letters of a sequence spoke for `label`: a value a letter, in units of the log-odds.

    In-silico mutagenesis gives by how much the log-odds fall, on average, when the letter becomes another one. Of a
    sequence beyond `MOST_EXPLAINED` letters the stretch is explained that by itself speaks most for the label. Raises
    InputError for a method that is not there.
    """
    method = _known(method)
    start = _telling_stretch(processor, model, sequence, label)
    shown = sequence[start : start + MOST_EXPLAINED]
    values = _attribute(processor, model, shown, label, method=method)
    where = f" of letters {start + 1:,} to {start + len(shown):,}" if len(shown) < len(sequence) else ""
    return Explanation(
        method=method + where,
        label=label,
        legend=LEGEND,
        values=values,
        parts=tuple(f"{letter}{start + place}" for place, letter in enumerate(shown, start=1)),
        picture=logo(
            single_letters(values, shown, alphabet=processor.letters), alphabet=processor.letters, start=start + 1
        ),
    )


def explain_variant(
    processor: SequenceClassificationProcessor, model: MedModel, variant: Variant, label: str, *, method: str | None
) -> Explanation:  # fmt: skip
    """Say which letters around a variant speak for `label` once it is there; drawn also as it was without it.

    `parts` are counted from the first letter of the alternative allele, which is 0.
    """
    method = _known(method)
    start = max(0, variant.offset - AROUND)
    part = slice(start, variant.offset + max(len(variant.reference), len(variant.alternative)) + AROUND)
    before, after = (
        _attribute(processor, model, sequence, label, method=method, part=part)
        for sequence in (variant.before, variant.after)
    )
    first = variant.position - variant.offset + start
    lines = [
        (first, single_letters(values, sequence[part], alphabet=processor.letters))
        for values, sequence in ((before, variant.before), (after, variant.after))
    ]
    return Explanation(
        method=method,
        label=label,
        legend=f"{LEGEND}; first without the variant, then with it",
        values=after,
        parts=tuple(
            f"{letter}{place - variant.offset:+d}" for place, letter in enumerate(variant.after[part], start=start)
        ),
        picture=logo_lines(lines, alphabet=processor.letters),
    )


def mutate(
    model: MedModel, codes: NDArray[np.uint8], *, alphabet: Alphabet, label: int, part: slice = EVERYWHERE
) -> NDArray[np.floating]:
    """Return by how much the log-odds of `label` change when a letter becomes each of the alphabet: (length, letters).

    `codes` (length,) are the letters' numbers. 0 stands where the letter is there already, and outside `part`.
    """
    within = np.zeros((len(codes), 1), dtype=bool)
    within[part] = True
    places, others = np.nonzero(within & (codes[:, None] != np.arange(1, len(alphabet.letters) + 1)))
    changed = np.tile(codes, (len(places) + 1, 1))  # the last one stays as it is
    changed[np.arange(len(places)), places] = others + 1
    figures = np.concatenate(
        [_log_odds_of(model, changed[start : start + BATCH])[:, label] for start in range(0, len(changed), BATCH)]
    )
    effects = np.zeros((len(codes), len(alphabet.letters)))
    effects[places, others] = figures[:-1] - figures[-1]
    return effects


def log_odds(outputs: ModelOutput) -> Tensor:
    """Return the log-odds of each label (batch, labels), uncalibrated, of a model's output."""
    logits = outputs["logits"].float()
    itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits[:, None].expand(-1, len(itself), -1).masked_fill(itself, -torch.inf)
    return logits - others.logsumexp(-1)


def _attribute(
    processor: SequenceClassificationProcessor,
    model: MedModel,
    sequence: str,
    label: str,
    *,
    method: str,
    part: slice = EVERYWHERE,
) -> NDArray[np.floating]:
    """Return how much each letter in a part of a sequence speaks for `label`, (length of the part,)."""
    codes = processor.letters.encode(sequence)
    index = int(model.config.label2id[label])
    if method == INTEGRATED_GRADIENTS:
        return _gradients(processor, model, codes, index)[part]
    effects = mutate(model, codes, alphabet=processor.letters, label=index, part=part)
    others = (codes[:, None] != np.arange(1, effects.shape[1] + 1)).sum(1)
    return (-effects.sum(1) / others)[part]


def _gradients(
    processor: SequenceClassificationProcessor, model: MedModel, codes: NDArray[np.uint8], label: int
) -> NDArray[np.floating]:
    """Attribute to words of letters, against words that are unknown; a word's share is parted among its letters."""
    batch = processor.collate({"input_ids": [codes]})
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    words = model.get_submodule("words")
    shares = integrated_gradients(model, batch, name="input_ids", label=label, layer=words, read=log_odds).sum(-1)
    kmer = int(model.config.kmer)
    strands = [np.convolve(strand, np.full(kmer, 1 / kmer))[: len(codes)] for strand in shares.cpu().numpy()]
    return strands[0] if len(strands) == 1 else strands[0] + strands[1][::-1]


def _telling_stretch(
    processor: SequenceClassificationProcessor, model: MedModel, sequence: str, label: str
) -> int:  # fmt: skip
    """Return where the stretch of `MOST_EXPLAINED` letters starts that by itself has the highest log-odds."""
    over = len(sequence) - MOST_EXPLAINED
    if over <= 0:
        return 0
    starts = [*range(0, over, MOST_EXPLAINED // 2), over]
    codes = processor.letters.encode(sequence)
    stretches = np.stack([codes[start : start + MOST_EXPLAINED] for start in starts])
    index = int(model.config.label2id[label])
    figures = [_log_odds_of(model, stretches[row : row + BATCH])[:, index] for row in range(0, len(starts), BATCH)]
    return starts[int(np.concatenate(figures).argmax())]


def _log_odds_of(model: MedModel, codes: NDArray[np.uint8]) -> NDArray[np.floating]:
    """Return the log-odds (rows, labels) of sequences of one length, (rows, length)."""
    lengths = torch.full((len(codes),), codes.shape[1], device=model.device)
    with torch.inference_mode():
        return log_odds(model(input_ids=torch.from_numpy(codes).to(model.device), lengths=lengths)).cpu().numpy()


def _known(method: str | None) -> str:
    if method is None:
        return MUTAGENESIS
    if method not in METHODS:
        raise InputError(f"no method {method!r}{suggest(method, METHODS)} Methods: {', '.join(METHODS)}")
    return method
