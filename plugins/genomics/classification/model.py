"""The network: words of letters, convolutions that know motifs, recurrent layers, and a summary of their states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.errors import ConfigError
from medhub.modeling import MedModel, classification_loss
from medhub.recurrent import RecurrentEncoder, reverse_within

from .config import OVERLAP, SequenceClassificationConfig


@dataclass
class VariantOutput(SequenceClassifierOutput):
    """Logits (batch, labels) of sequences, and of those with a variant that are longer than 0."""

    alternative_logits: Tensor | None = None
    alternative_lengths: Tensor | None = None


class Words(nn.Embedding):
    """A vector for each word of `kmer` neighbouring letters; zero where a letter of it is unknown or missing."""

    def __init__(self, letters: int, *, kmer: int, width: int) -> None:
        super().__init__(letters**kmer + 1, width, padding_idx=0)
        self.letters = letters
        self.kmer = kmer

    def forward(self, codes: Tensor) -> Tensor:
        """Return vectors (batch, length, width) of letters' numbers (batch, length); the last words are cut short."""
        letters = functional.pad(codes, (0, self.kmer - 1)).unfold(1, self.kmer, 1) - 1  # (batch, length, kmer)
        known = ((letters >= 0) & (letters < self.letters)).all(-1)
        places = self.letters ** torch.arange(self.kmer, device=codes.device)
        return super().forward(torch.where(known, (letters * places).sum(-1) + 1, 0))


class Convolution(nn.Module):
    """A convolution over positions, each normalised by itself, added to what came in where the widths agree."""

    def __init__(self, width_in: int, width: int, *, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width_in, width, kernel, padding="same")
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Return (batch, length, width) of (batch, length, width_in); what is not `present` (batch, length, 1) is 0."""
        found = self.dropout(functional.gelu(self.norm(self.convolution(vectors.mT).mT)))
        return (found + vectors if found.shape == vectors.shape else found) * present


class SequenceClassificationModel(MedModel):
    """A classifier of sequences of any length; `config.architecture` chooses the recurrent cells."""

    config_class = SequenceClassificationConfig
    config: SequenceClassificationConfig
    complement: Tensor
    """The number of the opposite letter by the number of each; only where both strands are read."""

    def __init__(self, config: SequenceClassificationConfig) -> None:
        super().__init__(config)
        alphabet = config.letters
        self.words = Words(len(alphabet.letters), kmer=config.kmer, width=config.embedding_size)
        widths = [config.embedding_size, *[config.channels] * len(config.stem_kernels)]
        self.stem = nn.ModuleList(
            Convolution(width_in, width, kernel=kernel, dropout=config.dropout)
            for (width_in, width), kernel in zip(pairwise(widths), config.stem_kernels, strict=True)
        )
        self.encoder = RecurrentEncoder(
            config.architecture, widths[-1], config.hidden_size, layers=config.layers, dropout=config.dropout
        )
        self.head = nn.Sequential(
            nn.Linear((1 + config.segments) * self.encoder.width, self.encoder.width),
            nn.LayerNorm(self.encoder.width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(self.encoder.width, config.num_labels),
        )
        if config.both_strands:
            if alphabet.complement is None:
                raise ConfigError(f"both_strands is for what has two strands, not for {alphabet.name}; set it to false")
            self.register_buffer("complement", torch.from_numpy(alphabet.complement_codes), persistent=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        lengths: Tensor,
        labels: Tensor | None = None,
        alternative_ids: Tensor | None = None,
        alternative_lengths: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> VariantOutput:
        """Return logits (batch, labels), and the loss when labels (batch,) are given.

        `input_ids` (batch, length) are the alphabet's numbers, of which the first `lengths` (batch,) count. Variants
        come with `alternative_ids` and their lengths, the same sequences as the variant changes them.
        """
        logits = self._logits(input_ids, lengths)
        alternative = None
        if alternative_ids is not None and alternative_lengths is not None:
            alternative = self._logits(alternative_ids, alternative_lengths)
        loss = None if labels is None else classification_loss(logits, labels, sample_weight=sample_weight)
        return VariantOutput(
            loss=loss, logits=logits, alternative_logits=alternative, alternative_lengths=alternative_lengths
        )

    def _logits(self, codes: Tensor, lengths: Tensor) -> Tensor:
        if not self.config.both_strands:
            return self.head(self._pooled(codes, lengths))
        opposite = reverse_within(self.complement[codes.long()][..., None], lengths)[..., 0]
        # the two strands of a sequence stand side by side, where attribution methods expect them
        strands = torch.stack([codes, opposite], dim=1).flatten(0, 1)
        return self.head(self._pooled(strands, lengths.repeat_interleave(2))).unflatten(0, (-1, 2)).mean(1)

    def _pooled(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """Return the greatest state of each sequence, and the mean of each segment (batch, (1 + segments) * width).

        Only one window's states are held at a time, so that memory does not grow with the length.
        """
        window = self.config.window
        greatest = torch.full((len(codes), self.encoder.width), -torch.inf, device=codes.device)
        total = torch.zeros(len(codes), self.config.segments, self.encoder.width, device=codes.device)
        count = total[..., :1]
        for start in range(0, codes.shape[1], window - OVERLAP):
            rest = (lengths - start).clamp(0, window)
            if start:
                rest = rest * (rest > OVERLAP)  # the window before has seen it all
            states, present = self._states(codes[:, start : start + window], rest)
            greatest = torch.maximum(greatest, states.masked_fill(~present, -torch.inf).amax(1))
            members = self._members(start, present, lengths)
            total = total + members @ states.float()
            count = count + members.sum(2, keepdim=True)
        means = total / count.clamp(min=1)  # a sequence of fewer letters than segments leaves some of them empty
        return torch.cat([greatest, means.flatten(1)], dim=1)

    def _members(self, start: int, present: Tensor, lengths: Tensor) -> Tensor:
        """Return which letters of the window from `start` on lie in which segment (batch, segments, length), 0 or 1."""
        segments = self.config.segments
        places = torch.arange(start, start + present.shape[1], device=lengths.device)
        segment = places * segments // lengths[:, None].clamp(min=1)
        wanted = torch.arange(segments, device=lengths.device)[:, None]
        return ((segment[:, None] == wanted) & present.mT).float()

    def _states(self, codes: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the recurrent states (batch, length, width) of one window, and where there are letters."""
        present = (torch.arange(codes.shape[1], device=codes.device) < lengths[:, None])[..., None]
        vectors = self.words(codes.long()) * present
        for convolution in self.stem:
            vectors = convolution(vectors, present)
        return self.encoder(vectors, lengths), present
