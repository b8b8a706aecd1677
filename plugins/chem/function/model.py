"""The network: convolutions, recurrent layers, which letters stand how far apart, and what relatives do."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.modeling import MedModel, classification_loss
from medhub.recurrent import RecurrentEncoder

from .config import FunctionConfig


class Letters(nn.Module):
    """Each letter as a 1 in a place of its own; what is unknown, hidden or padding is 0 everywhere.

    A training step hides the share `masking` of the letters, so that no single one decides.
    """

    def __init__(self, letters: int, *, masking: float) -> None:
        super().__init__()
        self.letters, self.masking = letters, masking

    def forward(self, codes: Tensor) -> Tensor:
        """Return (batch, length, letters) of letters' numbers (batch, length)."""
        if self.training and self.masking:
            codes = codes.masked_fill(torch.rand(codes.shape, device=codes.device) < self.masking, 0)
        return (codes[..., None] == torch.arange(1, self.letters + 1, device=codes.device)).float()


class Member(nn.Module):
    """One network: what its convolutions and recurrent layers find, beside the composition, and beside relatives."""

    def __init__(self, config: FunctionConfig, *, letters: int, counts: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(letters, config.embedding_size, bias=False)
        self.stem = nn.ModuleList(
            nn.Conv1d(config.embedding_size, config.channels, kernel, padding="same") for kernel in config.stem_kernels
        )
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = RecurrentEncoder(
            config.architecture, config.embedding_size + config.channels * len(config.stem_kernels), config.hidden_size,
            layers=config.layers, dropout=config.dropout,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(2 * self.encoder.width + counts + config.num_labels, config.head_size),
            nn.LayerNorm(config.head_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.head_size, config.num_labels),
        )
        self.trust = nn.Parameter(torch.full((config.num_labels,), 2.0))

    def forward(self, letters: Tensor, lengths: Tensor, counts: Tensor, relatives: Tensor) -> Tensor:
        """Return logits (batch, labels): what the sequence says, added to what relatives (batch, labels) say.

        `letters` are (batch, length, letters), `counts` (batch, counts) their composition.
        """
        present = (torch.arange(letters.shape[1], device=letters.device) < lengths[:, None])[..., None]
        vectors = self.embedding(letters)
        motifs = [functional.gelu(convolution(vectors.mT)).mT for convolution in self.stem]
        vectors = self.dropout(torch.cat([vectors, *motifs], dim=-1)) * present
        states = self.encoder(vectors, lengths)
        greatest = states.masked_fill(~present, -torch.inf).amax(1)
        mean = states.sum(1) / lengths[:, None]
        said = relatives.logit(eps=1e-3)
        return self.head(self.dropout(torch.cat([greatest, mean, counts, said], dim=-1))) + self.trust * said


class FunctionModel(MedModel):
    """A model of functions; `config.architecture` chooses the recurrent cells."""

    config_class = FunctionConfig
    config: FunctionConfig

    def __init__(self, config: FunctionConfig) -> None:
        super().__init__(config)
        size = len(config.letters.letters)
        counts = size + config.distances * size**2
        self.letters = Letters(size, masking=config.masking)
        self.members = nn.ModuleList(Member(config, letters=size, counts=counts) for _ in range(config.members))
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        lengths: Tensor,
        relatives: Tensor,
        labels: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, labels), and the members' mean loss when labels (batch, labels) are given.

        `input_ids` (batch, length) are the alphabet's numbers, of which the first `lengths` (batch,) count;
        `relatives` (batch, labels) is between 0 and 1 and says of each function how much nearer the nearest sequence
        that has it is; `sample_weight` (batch, labels) weighs the terms of the loss.
        """
        letters = self.letters(input_ids)
        counts = composition(letters, lengths, distances=self.config.distances)
        answers = torch.stack([member(letters, lengths, counts, relatives) for member in self.members])
        loss = None
        if labels is not None:
            losses = [classification_loss(answer, labels, sample_weight=sample_weight) for answer in answers]
            loss = torch.stack(losses).mean()
        return SequenceClassifierOutput(loss=loss, logits=answers.mean(0))


def composition(letters: Tensor, lengths: Tensor, *, distances: int) -> Tensor:
    """Return how often each letter occurs, and each pair at each distance: (batch, n + distances * n * n).

    `letters` are (batch, length, n). The roots of the shares are taken (Hellinger's distance), so that rare pairs count
    as well as common ones.
    """
    lengths = lengths[:, None].to(letters.dtype)
    shares = [letters.sum(1) / lengths]
    for distance in range(1, distances + 1):
        pairs = letters[:, :-distance].mT @ letters[:, distance:]  # (batch, n, n)
        shares.append(pairs.flatten(1) / lengths)
    # the root of 0 has no gradient
    return (torch.cat(shares, dim=1) + 1e-6).sqrt() - 1e-3
