"""The network: a reader of sequences, and an answer at each position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import ModelOutput

from medhub.modeling import MedModel

from ..reader import SequenceReader
from .config import CONTEXT, SequencePredictionConfig
from .windows import cut_windows, share_out

IGNORED = -100
"""The label of a position that is not scored, and of padding."""
LETTERS_AT_ONCE = 2**15
"""Positions that evaluation reads together, which bounds the memory that a long sequence or a large batch takes."""


@dataclass
class SequencePredictionOutput(ModelOutput):
    """Logits (batch, length, labels) of sequences of the given lengths (batch,); the mean loss of scored positions."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    lengths: Tensor | None = None


class SequencePredictionModel(MedModel):
    """Answers each position of a sequence: from both sides, or, with the objective "next", from what stands before."""

    config_class = SequencePredictionConfig
    config: SequencePredictionConfig

    def __init__(self, config: SequencePredictionConfig) -> None:
        super().__init__(config)
        self.reader = SequenceReader(
            config.letters, architecture=config.architecture, embedding_size=config.embedding_size,
            stem_kernels=config.stem_kernels, stem_channels=config.stem_channels, hidden_size=config.hidden_size,
            layers=config.layers, dropout=config.dropout, masking=config.masking, causal=config.causal,
        )  # fmt: skip
        self.head = nn.Linear(self.reader.width, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Tensor, lengths: Tensor, labels: Tensor | None = None) -> SequencePredictionOutput:
        """Answer letters (batch, length), of which the first `lengths` (batch,) count.

        In evaluation sequences longer than the config's window are answered in overlapping windows. `labels` are class
        numbers (batch, length), IGNORED where a position is not scored.
        """
        whole = input_ids.numel() <= LETTERS_AT_ONCE and input_ids.shape[1] <= self.config.window
        answer = self._answer if whole or self.training else self._answer_in_windows
        logits = answer(input_ids, lengths)
        loss = None if labels is None else _loss(logits, labels)
        return SequencePredictionOutput(loss=loss, logits=logits, lengths=lengths)

    def _answer(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (batch, length, labels) of sequences that are read whole."""
        return self.head(self.reader(input_ids, lengths))

    def _answer_in_windows(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits as `_answer` does, of as many windows at a time as LETTERS_AT_ONCE allows."""
        windows = cut_windows(lengths.tolist(), size=self.config.window, context=CONTEXT)
        logits = torch.zeros(*input_ids.shape, self.config.num_labels, device=input_ids.device)
        for group in share_out(windows, letters=LETTERS_AT_ONCE):
            letters = pad_sequence([input_ids[w.row, w.start : w.stop] for w in group], batch_first=True)
            found = self._answer(letters, torch.tensor([w.length for w in group], device=input_ids.device))
            for window, answer in zip(group, found, strict=True):
                own = answer[window.first - window.start : window.last - window.start]
                logits[window.row, window.first : window.last] = own.to(logits.dtype)
        return logits


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of the scored positions, a scalar; 0 where there is none."""
    total = functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (labels != IGNORED).sum().clamp(min=1)
