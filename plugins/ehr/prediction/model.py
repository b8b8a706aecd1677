"""The network: a recurrent layer and a summary of the same series, read by several members that answer together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.modeling import MedModel, classification_loss

from .config import OutcomePredictionConfig
from .recurrence import DecayingGRU, PlainRecurrence
from .summary import BENDS, STATISTICS, bend, carry_forward, summarise


class Member(nn.Module):
    """One network: what the recurrent layer remembers at the end, beside the summary and what does not change.

    It reads a share of the variables, drawn once, so that members err in different ways (Ho 1998, 10.1109/34.709601).
    """

    reads: Tensor
    """1 for each variable that this member reads, (variables,)."""

    def __init__(self, config: OutcomePredictionConfig) -> None:
        super().__init__()
        count = max(1, round(config.share * config.variables))
        self.register_buffer("reads", (torch.randperm(config.variables) < count).float())
        sizes = config.variables, config.hidden_size
        self.recurrence: DecayingGRU | PlainRecurrence
        if config.architecture == "gru":
            self.recurrence = DecayingGRU(*sizes, dropout=config.input_dropout)
        else:
            self.recurrence = PlainRecurrence(config.architecture, *sizes, dropout=config.input_dropout)
        self.dropout = nn.Dropout(config.input_dropout)
        known = len(STATISTICS) * config.variables + (1 + len(BENDS)) * config.statics
        self.head = nn.Sequential(
            nn.Linear(config.hidden_size + known, config.head_size),
            nn.LayerNorm(config.head_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
        )
        self.answer = nn.Linear(config.head_size, config.num_labels)
        # most of what the numbers say adds up; dense layers alone learn it worse from a few thousand patients
        self.direct = nn.Linear(known, config.num_labels, bias=False)
        nn.init.zeros_(self.direct.weight)
        if config.frequencies:  # a rare outcome is learnt from its frequency on, and not from one half
            with torch.no_grad():
                self.answer.bias.copy_(torch.tensor(config.frequencies).logit(eps=1e-3))

    def forward(self, series: dict[str, Tensor], known: Tensor) -> Tensor:
        """Return logits (batch, labels) of a series and of the numbers that are known beside it, (batch, numbers)."""
        lengths = series["lengths"]
        read = {name: numbers * self.reads for name, numbers in series.items() if name != "lengths"}
        states = self.recurrence(**read, lengths=lengths)
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        of_variables = self.reads.repeat(len(STATISTICS))
        known = self.dropout(known * functional.pad(of_variables, (0, known.shape[1] - len(of_variables)), value=1.0))
        return self.answer(self.head(torch.cat([last, known], dim=-1))) + self.direct(known)


class OutcomePredictionModel(MedModel):
    """A model of risks; `config.architecture` chooses the recurrent cells."""

    config_class = OutcomePredictionConfig
    config: OutcomePredictionConfig

    def __init__(self, config: OutcomePredictionConfig) -> None:
        super().__init__(config)
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))
        self.post_init()

    def forward(
        self,
        values: Tensor,
        seen: Tensor,
        elapsed: Tensor,
        statics: Tensor,
        lengths: Tensor,
        labels: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, labels), and the members' mean loss when labels (batch, labels) are given.

        Of each step and variable (batch, steps, variables): `values` as normal scores, whether one was
        `seen`, and the time `elapsed` since the last one before, in steps. The first `lengths` (batch,) steps count.
        `statics` are (batch, statics); `sample_weight` (batch, labels) weighs the terms of the loss.
        """
        seen = seen.to(values.dtype)
        series = {
            "values": values, "filled": carry_forward(values, seen), "seen": seen, "elapsed": elapsed,
            "lengths": lengths,
        }  # fmt: skip
        known = torch.cat([summarise(**series), bend(statics)], dim=-1)
        answers = torch.stack([member(series, known) for member in self.members])
        loss = None
        if labels is not None:
            losses = [classification_loss(answer, labels, sample_weight=sample_weight) for answer in answers]
            loss = torch.stack(losses).mean()
        return SequenceClassifierOutput(loss=loss, logits=answers.mean(0))
