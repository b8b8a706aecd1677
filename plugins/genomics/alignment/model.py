"""The networks: a recurrent reader of both sequences that corrects a substitution matrix and gap costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from medhub.modeling import MedModel
from medhub.sequences.alphabets import ALPHABETS

from ..reader import SequenceReader
from .config import SequenceAlignmentConfig
from .dynamic_programme import Alignment, Gaps, align, constrain
from .substitution import SUBSTITUTIONS

CELLS = 2**23
"""Pairs of residues that are compared at once in evaluation: what bounds the memory."""
LEAST_PROBABILITY = 0.01
"""Columns that are less probable are left out of the alignment of greatest expected accuracy."""


@dataclass
class AlignmentOutput(ModelOutput):
    """What a model says of pairs of sequences; what lies beyond their lengths says nothing.

    `logits` (batch, first) are the log-odds of each residue of the first sequence's most probable partner. The others
    are None where there are labels. `partners` (batch, first) are the residues of the second sequence beside which
    decoding puts those of the first, -1 for none, `posteriors` the probabilities of these columns, 0 for none.
    `score` (batch,) is, in bits, the log-odds of the two sequences being related: of the alignment decoded by
    "viterbi", else summed over all alignments. `lengths` (batch, 2) are those given.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    partners: Tensor | None = None
    posteriors: Tensor | None = None
    score: Tensor | None = None
    lengths: Tensor | None = None


class SequenceAlignmentModel(MedModel):
    """An alignment network; `config.architecture` chooses its cells. Untrained, it scores as its matrix does."""

    config: SequenceAlignmentConfig
    config_class = SequenceAlignmentConfig
    main_input_name = "first"

    def __init__(self, config: SequenceAlignmentConfig) -> None:
        super().__init__(config)
        self.reader = SequenceReader(
            ALPHABETS[config.alphabet], architecture=config.architecture, embedding_size=config.embedding_size,
            stem_kernels=config.stem_kernels, stem_channels=config.stem_channels, hidden_size=config.hidden_size,
            layers=config.layers, dropout=config.dropout, masking=config.masking,
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout if config.freeze_reader else 0.0)  # else the reader has its own
        self.scorer = Scorer(config, width=self.reader.width)
        self.post_init()
        self.reader.requires_grad_(not config.freeze_reader)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; a frozen reader is always evaluated."""
        super().train(mode)
        self.reader.train(mode and not self.config.freeze_reader)
        return self

    def forward(self, first: Tensor, second: Tensor, lengths: Tensor, labels: Tensor | None = None) -> AlignmentOutput:
        """Align pairs of sequences, given as numbers (batch, longest) of which the first `lengths` (batch, 2) count.

        With `labels` (batch, most pairs, 2), the residues known to share a column, padded with -1, there is a loss: the
        negative log-probability that an alignment has them all, in nats a known column.
        """
        if labels is not None:
            return self._learn(first, second, lengths, labels)
        answers = []
        for rows in _portions(lengths):
            n, m = lengths[rows].amax(0).tolist()
            answers.append(self._answer(first[rows, :n], second[rows, :m], lengths[rows], width=first.shape[1]))
        joined = {name: torch.cat([answer[name] for answer in answers]) for name in answers[0]}
        return AlignmentOutput(lengths=lengths, **joined)

    def posteriors(self, first: Tensor, second: Tensor, lengths: Tensor) -> Alignment:
        """Return the total and the probability that two residues share a column (batch, first, second)."""
        match, gaps_first, gaps_second = self.scores(first, second, lengths)
        return align(match, gaps_first, gaps_second, lengths, local=self.config.mode == "local")

    def scores(self, first: Tensor, second: Tensor, lengths: Tensor) -> tuple[Tensor, Gaps, Gaps]:
        """Return the columns' scores (batch, first, second) and both sequences' gap costs, as `align` takes them."""
        n, m = first.shape[1], second.shape[1]
        # both at once: a recurrent network takes as long for few sequences as for many
        codes = torch.cat([nn.functional.pad(codes, (0, max(n, m) - codes.shape[1])) for codes in (first, second)])
        one, other = self.dropout(self.reader(codes, lengths.T.flatten())).chunk(2)
        return self.scorer(first, second, one[:, :n], other[:, :m])

    def _learn(self, first: Tensor, second: Tensor, lengths: Tensor, labels: Tensor) -> AlignmentOutput:
        match, gaps_first, gaps_second = self.scores(first, second, lengths)
        local = self.config.mode == "local"
        total, columns = align(match, gaps_first, gaps_second, lengths, local=local)
        allowed, required = constrain(match, labels)
        right, _ = align(allowed, gaps_first, gaps_second, lengths, local=local, required=required)
        known = (labels[..., 0] >= 0).sum(1).clamp(min=1)
        return AlignmentOutput(loss=((total - right) / known).mean(), logits=_log_odds(columns.amax(2)))

    def _answer(self, first: Tensor, second: Tensor, lengths: Tensor, *, width: int) -> dict[str, Tensor]:
        match, gaps_first, gaps_second = self.scores(first, second, lengths)
        local = self.config.mode == "local"
        total, columns = align(match, gaps_first, gaps_second, lengths, local=local)
        if self.config.decoding == "viterbi":
            total, path = align(match, gaps_first, gaps_second, lengths, local=local, hard=True)
        else:
            path = most_expected(columns, lengths)
        best, partners = path.max(2)
        answer = {
            "logits": _log_odds(columns.amax(2)),
            "partners": torch.where(best > 0, partners, -1),
            "posteriors": (columns * path).sum(2),
        }
        padded = {name: nn.functional.pad(value, (0, width - first.shape[1])) for name, value in answer.items()}
        return {**padded, "score": total / math.log(2)}


class Scorer(nn.Module):
    """Scores of columns and costs of gaps, in natural logarithms of odds: a matrix's, corrected by what was learnt.

    A column's correction is a weighted product of two vectors, one a residue, that hold what the network makes of the
    residue in its surroundings; the weights, and the corrections of the gaps' costs, are zero before training.
    """

    def __init__(self, config: SequenceAlignmentConfig, *, width: int) -> None:
        super().__init__()
        substitution = SUBSTITUTIONS[config.alphabet]
        size = substitution.alphabet.size
        table = torch.zeros(size, size)
        table[1:, 1:] = torch.from_numpy(substitution.matrix())
        self.table: Tensor
        self.register_buffer("table", table, persistent=False)
        self.unit = substitution.unit / config.temperature
        extend = substitution.gap_extend if config.gap_extend is None else config.gap_extend
        self.gap_extend = extend
        self.gap_open = extend + (substitution.gap_open if config.gap_open is None else config.gap_open)
        self.project = nn.Linear(width, config.width)
        self.weights = nn.Parameter(torch.zeros(config.width))
        self.gaps = nn.Linear(width, 2)
        nn.init.zeros_(self.gaps.weight)
        nn.init.zeros_(self.gaps.bias)

    def forward(
        self, first: Tensor, second: Tensor, states_first: Tensor, states_second: Tensor
    ) -> tuple[Tensor, Gaps, Gaps]:
        """Return what `SequenceAlignmentModel.scores` does, from the residues and what was read of each."""
        vectors_first, vectors_second = (self.project(states).tanh() for states in (states_first, states_second))
        learnt = (vectors_first * self.weights) @ vectors_second.mT
        # in 32 bits also where training uses 16: totals run to thousands
        match = self.table[first[:, :, None], second[:, None, :]] + learnt.float()
        return match * self.unit, self._costs(states_first), self._costs(states_second)

    def _costs(self, states: Tensor) -> Gaps:
        opening, extending = self.gaps(states).float().unbind(-1)
        return Gaps((self.gap_open + opening) * self.unit, (self.gap_extend + extending) * self.unit)


def most_expected(columns: Tensor, lengths: Tensor) -> Tensor:
    """Return 1 for the columns of the alignment with the greatest sum of probabilities, else 0.

    This is decoding for expected accuracy (Holmes and Durbin 1998): every column counts as what it is probable, gaps
    count for nothing.
    """
    first, second = (Gaps(free, free) for free in (torch.zeros_like(columns[:, :, 0]), torch.zeros_like(columns[:, 0])))
    return align(columns - LEAST_PROBABILITY, first, second, lengths, hard=True).columns


def _log_odds(probability: Tensor) -> Tensor:
    return torch.logit(probability, eps=1e-6)


def _portions(lengths: Tensor) -> list[slice]:
    """Divide a batch into runs of rows that compare at most `CELLS` residues, or a single pair."""
    portions, start, n, m = [], 0, 0, 0
    for row, (longest_first, longest_second) in enumerate(lengths.tolist()):
        n, m = max(n, longest_first), max(m, longest_second)
        if row > start and (row + 1 - start) * n * m > CELLS:
            portions.append(slice(start, row))
            start, n, m = row, longest_first, longest_second
    return [*portions, slice(start, len(lengths))]
