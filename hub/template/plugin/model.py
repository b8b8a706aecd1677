"""The networks: masked convolutions over a series of any length."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.modeling import MedModel, classification_loss

from .config import ExampleRhythmConfig


class ConvolutionalNetwork(nn.Module):
    """Convolutions over the series, the mean over its true length, and one linear layer."""

    def __init__(self, config: ExampleRhythmConfig) -> None:
        super().__init__()
        widths = [1] + [config.channels] * config.layers
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, config.kernel_size, padding=config.kernel_size // 2)
            for before, after in pairwise(widths)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.channels, config.num_labels)

    def forward(self, intervals: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (batch, labels) of series (batch, length) whose first `lengths` (batch,) values are true."""
        places = torch.arange(intervals.shape[1], device=intervals.device)
        mask = (places < lengths[:, None])[:, None].to(intervals.dtype)  # (batch, 1, length)
        hidden = intervals[:, None] * mask
        for convolution in self.convolutions:
            # masked after each layer: its bias would else leak from the padding into the last true intervals
            hidden = convolution(hidden).relu() * mask
        mean = hidden.sum(-1) / lengths[:, None]
        return self.head(self.dropout(mean))


# Change: a second network is a second class and a second line here.
NETWORKS = {"cnn": ConvolutionalNetwork}


class ExampleRhythmModel(MedModel):
    """A rhythm classifier; `config.architecture` chooses the network."""

    config_class = ExampleRhythmConfig

    def __init__(self, config: ExampleRhythmConfig) -> None:
        super().__init__(config)
        self.network = NETWORKS[config.architecture](config)
        self.post_init()

    def forward(
        self,
        intervals: Tensor,
        lengths: Tensor,
        labels: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, labels), and the loss when labels (batch,) are given.

        The arguments are what the processor's `collate` makes: intervals (batch, length), padded; lengths (batch,). The
        training loop adds `sample_weight` (batch,) when it is asked to balance the classes.
        """
        logits = self.network(intervals, lengths)
        loss = None if labels is None else classification_loss(logits, labels, sample_weight=sample_weight)
        return SequenceClassifierOutput(loss=loss, logits=logits)
