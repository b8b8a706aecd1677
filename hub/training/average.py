"""An exponential moving average of the weights: often a better model than the last step's, for one copy of memory."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from medhub.modeling import MedModel


def tensors_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return a model's parameters and buffers by name, each tensor once even where two layers share it.

    They share memory with the model, so that writing into one changes the model.
    """
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


class MovingAverage:
    """A second model whose weights and running statistics follow those of the model in training."""

    def __init__(self, model: MedModel, *, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(False).eval()
        self._decay = decay
        pairs = [*zip(tensors_of(self.model).values(), tensors_of(model).values(), strict=True)]
        self._averaged = [average for average, _ in pairs if average.is_floating_point()]
        self._current = [current for _, current in pairs if current.is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def update(self, step: int) -> None:
        """Move the average towards the weights after step `step` (from 0)."""
        # a young average forgets faster, or a short training would end close to its random start
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
        for average, current in self._counters:
            average.copy_(current)
