"""What reads a sequence where every letter counts: one network, so that one task can start from another's weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medhub.recurrent import RecurrentEncoder
from medhub.sequences.alphabets import Alphabet


class SequenceReader(nn.Module):
    """An embedding, convolutions of several widths side by side, and recurrent layers over all of them.

    A training step hides the share `masking` of the letters, so that their surroundings must tell what they are. With
    `causal` no state depends on what comes later. `width` is that of the states.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        *,
        architecture: str,
        embedding_size: int,
        stem_kernels: Sequence[int],
        stem_channels: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        masking: float,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal, self.masking, self.unknown = causal, masking, alphabet.unknown
        self.embedding = nn.Embedding(alphabet.size, embedding_size, padding_idx=0)
        self.stem = nn.ModuleList(nn.Conv1d(embedding_size, stem_channels, kernel) for kernel in stem_kernels)
        self.dropout = nn.Dropout(dropout)
        self.encoder = RecurrentEncoder(
            architecture, embedding_size + stem_channels * len(stem_kernels), hidden_size, layers=layers,
            bidirectional=not causal, dropout=dropout,
        )  # fmt: skip
        self.width = self.encoder.width

    def forward(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """Return states (batch, length, width) of letters (batch, length), whose first `lengths` (batch,) count."""
        present = torch.arange(codes.shape[1], device=codes.device) < lengths[:, None]
        if self.training and self.masking:
            hidden = torch.rand(codes.shape, device=codes.device) < self.masking
            codes = codes.masked_fill(hidden & present, self.unknown)
        vectors = self.embedding(codes) * present[..., None]
        vectors = torch.cat([vectors, *(self._convolve(layer, vectors) for layer in self.stem)], dim=-1)
        return self.dropout(self.encoder(self.dropout(vectors), lengths))

    def _convolve(self, layer: nn.Module, vectors: Tensor) -> Tensor:
        """Return the channels (batch, length, channels) of one convolution, which sees nothing that is to be told."""
        assert isinstance(layer, nn.Conv1d)
        reach = layer.kernel_size[0] - 1
        sides = (reach, 0) if self.causal else (reach // 2, reach // 2)
        return functional.relu(layer(functional.pad(vectors.mT, sides))).mT
