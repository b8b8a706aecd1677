"""One training step: the loss, its gradients, and the optimiser of each player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from medhub.modeling import MedModel
from medhub.training.settings import Settings

Batch = dict[str, Tensor]


class Objective(nn.Module):
    """A model seen as a function from a batch to its loss.

    This, not the model, is what autocast, torch.compile and DDP wrap, so that the model itself stays as it is: its
    weights keep their names, and it validates in float32 as it will predict.
    """

    def __init__(self, model: MedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: Any) -> Tensor:
        """Return the scalar loss of a batch, given as keyword arguments of the model."""
        return self.model(**batch).loss


class Player:
    """Parameters that minimise a loss of their own, with their own AdamW (Loshchilov and Hutter 2019).

    Most models have one player; an adversarial model has several, which take turns.
    """

    def __init__(self, name: str, parameters: Sequence[nn.Parameter], *, settings: Settings) -> None:
        self.name = name
        self.parameters = parameters
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip
        self.loss_sum = torch.zeros((), device=parameters[0].device)
        """Sum of the losses of this epoch's batches: a tensor, for reading a number would wait for the GPU."""

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Return the optimiser's state by "<parameter's number>.<name>"."""
        return {
            f"{number}.{name}": value
            for number, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }

    def restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `optimizer_tensors` returned."""
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


class Stepper:
    """Takes steps: each player in turn lowers its loss on the same batches."""

    def __init__(self, model: MedModel, accelerator: Accelerator, *, settings: Settings) -> None:
        self._accelerator = accelerator
        self._clip = settings.clip
        self.players = [Player(name, weights, settings=settings) for name, weights in model.players().items()]
        self._adversarial = len(self.players) > 1
        self._objective = accelerator.prepare_model(Objective(model))
        self.scaler = accelerator.scaler or torch.amp.GradScaler(enabled=False)
        """Keeps fp16 gradients from vanishing; otherwise it passes everything through."""

    def step(self, batches: Sequence[Batch], *, learning_rate: float) -> None:
        """Take one step on the mean loss over `batches`."""
        for player in self.players:
            player.optimizer.zero_grad()  # also of what the other players' losses left there
            for batch in batches[:-1]:
                with self._accelerator.no_sync(self._objective):  # processes add up once a step, not once a batch
                    self._backward(player, batch, share=1 / len(batches))
            self._backward(player, batches[-1], share=1 / len(batches))
            if self._clip:
                self.scaler.unscale_(player.optimizer)
                nn.utils.clip_grad_norm_(player.parameters, self._clip)
            for group in player.optimizer.param_groups:
                group["lr"] = learning_rate
            self.scaler.step(player.optimizer)
        self.scaler.update()

    def _backward(self, player: Player, batch: Batch, *, share: float) -> None:
        loss = self._objective(**batch, player=player.name) if self._adversarial else self._objective(**batch)
        player.loss_sum += loss.detach()
        self.scaler.scale(loss if share == 1 else loss * share).backward()

    def release(self) -> None:
        """Free the gradients' memory."""
        for player in self.players:
            player.optimizer.zero_grad()
