"""The recurrent encoder that sequences of every area share: residues, slices of a volume, visits of a patient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medhub.errors import ConfigError, suggest

CELLS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
"""Networks by architecture: Elman's with tanh, long short-term memory, gated recurrent units."""


class RecurrentEncoder(nn.Module):
    """Layers of recurrent cells over padded sequences, in one direction or both.

    The backward cells read each sequence reversed within its own length, so that padding is never read before it. The
    result is that of `pack_padded_sequence`, which is several times slower on a CPU. `width` is that of the output:
    both directions side by side. Raises ConfigError for an architecture that is not in `CELLS`.
    """

    def __init__(
        self,
        architecture: str,
        width_in: int,
        width: int,
        *,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if architecture not in CELLS:
            raise ConfigError(
                f"no recurrent network {architecture!r}{suggest(architecture, CELLS)} Networks: {', '.join(CELLS)}"
            )
        cell, directions = CELLS[architecture], 1 + bidirectional
        self.width = directions * width
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.ModuleList(cell(self.width if layer else width_in, width, batch_first=True) for _ in range(directions))
            for layer in range(layers)
        )

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return states (batch, length, self.width), 0 in the padding.

        `vectors` are (batch, length, width_in), of which the first `lengths` (batch,) count; dropout stands between
        layers.
        """
        present = (torch.arange(vectors.shape[1], device=vectors.device) < lengths[:, None])[..., None]
        for number, readers in enumerate(self.layers):
            assert isinstance(readers, nn.ModuleList)
            if number:
                vectors = self.dropout(vectors)
            states = [readers[0](vectors)[0]]
            if len(readers) == 2:
                backwards = readers[1](reverse_within(vectors, lengths))[0]
                states.append(reverse_within(backwards, lengths))
            vectors = torch.cat(states, dim=-1) * present
        return vectors


def reverse_within(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return vectors (batch, length, width) with the first `lengths` (batch,) of each in reverse; padding stays."""
    places = torch.arange(vectors.shape[1], device=vectors.device)
    mirrored = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    return vectors.gather(1, mirrored[..., None].expand_as(vectors))
