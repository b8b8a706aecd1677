"""The networks: recurrent layers over visits, and a probability for each set of drugs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.modeling import MedModel
from medhub.recurrent import RecurrentEncoder

from .choices import Choices
from .config import RecommendationConfig


class RecommendationModel(MedModel):
    """A network that reads visits; `config.architecture` chooses the recurrent cells.

    The logit of a set of drugs is the sum of what speaks for its drugs and of how usual the set is, so that two drugs
    that are never given together are not recommended together, however much speaks for each.
    """

    config_class = RecommendationConfig
    sets: Tensor
    conflicts: Tensor
    """Interacting pairs in each set, (sets,)."""

    def __init__(self, config: RecommendationConfig) -> None:
        super().__init__(config)
        drugs = config.num_labels
        self.reader = nn.Sequential(
            nn.Dropout(config.input_dropout), nn.Linear(config.visit_size, config.embedding_size), nn.GELU()
        )
        self.encoder = RecurrentEncoder(
            config.architecture, config.embedding_size, config.hidden_size, layers=config.layers,
            bidirectional=False, dropout=config.dropout,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(self.encoder.width + config.statics + 2 * drugs, config.hidden_size),
            nn.LayerNorm(config.hidden_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
        )
        self.for_drugs = nn.Linear(config.hidden_size, drugs, bias=False)
        sets = torch.from_numpy(Choices.of(config.sets, drugs=drugs).sets)
        self.usual = nn.Parameter(torch.zeros(len(sets)))
        # how a patient fares also depends on what no drug changes; what is given does not
        self.prospect = nn.Linear(config.hidden_size, 1) if config.objective == "outcome" else None
        self.register_buffer("sets", sets, persistent=False)
        pairs = torch.zeros(drugs, drugs)
        for first, second in config.interactions:
            pairs[first, second] = 1
        self.register_buffer("conflicts", torch.einsum("sa,ab,sb->s", sets, pairs, sets), persistent=False)
        self.post_init()

    def forward(
        self,
        visits: Tensor,
        lengths: Tensor,
        statics: Tensor,
        labels: Tensor | None = None,
        outcome: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, sets), and the loss when labels (batch, drugs), 1 for what was given, are given.

        `visits` are (batch, visits, visit_size), the coming one last, of which the first `lengths` (batch,) count;
        `statics` are (batch, statics). With the objective "outcome" the logits are those of faring well with each set,
        and the loss needs `outcome` (batch,), from 0 to 1.
        """
        hidden = self.head(self._history(visits.float(), lengths, statics))
        logits = self.for_drugs(hidden) @ self.sets.T + self.usual
        if self.prospect is not None:
            logits = logits + self.prospect(hidden)
        loss = None if labels is None else self._loss(logits.float(), labels, outcome)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _history(self, visits: Tensor, lengths: Tensor, statics: Tensor) -> Tensor:
        """Return the state at the coming visit, what does not change, the drugs of the last visit, and the share of
        visits with each drug, (batch, all of these)."""
        rows = torch.arange(len(visits), device=visits.device)
        state = self.encoder(self.reader(visits), lengths)[rows, lengths - 1]
        given = visits[..., : self.config.num_labels]
        last = given[rows, (lengths - 2).clamp(min=0)] * (lengths > 1)[:, None]
        share = given.sum(1) / (lengths - 1).clamp(min=1)[:, None]
        return torch.cat([state, statics, last, share], dim=1)

    def _loss(self, logits: Tensor, labels: Tensor, outcome: Tensor | None) -> Tensor:
        both = labels @ self.sets.T
        either = labels.sum(1, keepdim=True) + self.sets.sum(1) - both
        # 1 of two empty sets; a set too rare to be recommended counts as the one that agrees with it most
        given = torch.where(either == 0, 1.0, both / either.clamp(min=1)).argmax(1)
        if self.prospect is None:
            loss = functional.cross_entropy(logits, given)
        else:
            assert outcome is not None
            loss = functional.binary_cross_entropy_with_logits(logits.gather(1, given[:, None])[:, 0], outcome)
        if self.config.interaction_penalty:
            loss = loss + self.config.interaction_penalty * (logits.softmax(1) @ self.conflicts).mean()
        return loss
