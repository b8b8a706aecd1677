"""Recurrent layers over a series with gaps: GRU-D, whose memory fades, and plain cells that are told of the gaps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medhub.recurrent import RecurrentEncoder


class Decay(nn.Module):
    """How much is left after some time: exp(-max(0, weight * time + bias)), learnt for each number by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 0.1))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, elapsed: Tensor) -> Tensor:
        """Return shares between 0 and 1 of times (..., width)."""
        return torch.exp(-torch.relu(elapsed * self.weight + self.bias))


class DecayingGRU(nn.Module):
    """GRU-D (Che et al. 2018, 10.1038/s41598-018-24271-9): what is missing fades to the mean, and so does the memory.

    A missing value is the variable's last one, which decays to the mean (0) with the time since. The state decays
    with the times since all variables' last values, before each step.
    """

    def __init__(self, variables: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.value_decay = Decay(variables)
        self.state_decay = nn.Linear(variables, width)
        self.dropout = nn.Dropout(dropout)
        self.from_inputs = nn.Linear(2 * variables, 3 * width)
        self.from_state = nn.Linear(width, 3 * width)
        # no memory is lost at the start of training
        nn.init.zeros_(self.state_decay.bias)

    def forward(self, *, values: Tensor, filled: Tensor, seen: Tensor, elapsed: Tensor, lengths: Tensor) -> Tensor:
        """Return the state after each step (batch, steps, width); see `OutcomePredictionModel.forward`."""
        guessed = seen * values + (1 - seen) * self.value_decay(elapsed) * filled
        inputs = self.from_inputs(self.dropout(torch.cat([guessed, seen], dim=-1)))
        kept = torch.exp(-torch.relu(self.state_decay(elapsed)))
        state = torch.zeros_like(kept[:, 0])
        states = []
        for step_inputs, step_kept in zip(inputs.unbind(1), kept.unbind(1), strict=True):
            state = self._step(step_inputs, step_kept * state)
            states.append(state)
        return torch.stack(states, dim=1)

    def _step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return the next state (batch, width) of a gated recurrent unit."""
        reset_in, update_in, new_in = inputs.chunk(3, dim=-1)
        reset_state, update_state, new_state = self.from_state(state).chunk(3, dim=-1)
        update = torch.sigmoid(update_in + update_state)
        new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_state) * new_state)
        return new + update * (state - new)


class PlainRecurrence(nn.Module):
    """A recurrent layer without decay: beside a variable's last value it reads how long ago that was."""

    def __init__(self, architecture: str, variables: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.encoder = RecurrentEncoder(architecture, 3 * variables, width, bidirectional=False)

    def forward(self, *, values: Tensor, filled: Tensor, seen: Tensor, elapsed: Tensor, lengths: Tensor) -> Tensor:
        """Return the state after each step (batch, steps, width); see `OutcomePredictionModel.forward`."""
        inputs = torch.cat([filled, seen, elapsed.log1p()], dim=-1)
        return self.encoder(self.dropout(inputs), lengths)
