"""Rules about training one network at its smallest: gradients, overfitting, seeds, half precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from medhub.checks.subject import Network
from medhub.errors import CheckFailed
from medhub.modeling import MedModel

STEPS = 200
"""Steps within which eight examples must be learnt by heart."""
SHARE = 0.1
"""Share of the first loss below which they count as learnt."""


def check_gradients(network: Network) -> None:
    """Every trainable weight gets a gradient that is not all zero."""
    model = network.model().train()
    batch = network.batch(network.varied)
    silent = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    # several steps, since a weight behind a layer that starts at zero hears nothing in the first
    for _ in _train(model, batch, steps=3, learning_rate=1e-3):
        silent -= {
            name for name, parameter in model.named_parameters() if parameter.grad is not None and parameter.grad.any()
        }
    if silent:
        raise CheckFailed(
            f"{', '.join(sorted(silent))} gets no gradient; use it in forward, remove it, or freeze it on purpose with "
            "requires_grad=False"
        )


def check_overfit(network: Network) -> None:
    """The network learns eight examples by heart."""
    batch = network.batch(network.varied)
    metric = network.task.metric(network.task.metrics[0])
    truths = network.processor.truths(network.features.take(np.array(network.varied)))
    shares = []
    for learning_rate in (1e-2, 1e-3):
        model = network.model().train()
        losses = []
        for loss in _train(model, batch, steps=STEPS, learning_rate=learning_rate):
            losses.append(loss)
            if loss < SHARE * losses[0]:
                return
        if metric.compute(network.scores(model.eval(), network.varied), truths) == metric.best:
            return
        shares.append(losses[-1] / losses[0])
    raise CheckFailed(
        f"after {STEPS} steps on eight examples {min(shares):.0%} of the loss is left and {metric.name} is not "
        "perfect; see that labels reach the loss in their order, that nothing is detached, that tiny() is large enough"
    )


def check_seed(network: Network) -> None:
    """The same seed gives the same weights, at the start and after training; another seed gives others."""
    batch = network.batch(network.varied)
    first, again, other = (_trained(network, batch, seed=seed) for seed in (0, 0, 1))
    for name, tensor in first.items():
        if not torch.equal(tensor, again[name]):
            raise CheckFailed(
                f"{name} differs between two trainings with one seed; draw with torch's global generator alone"
            )
    if all(torch.equal(tensor, other[name]) for name, tensor in first.items()):
        raise CheckFailed("seeds 0 and 1 give the same weights; do not set a seed inside the model")


def check_bf16(network: Network) -> None:
    """Loss and gradients stay finite in bfloat16."""
    model = network.model().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = torch.stack([*_losses(model, network.batch(network.varied))]).sum()
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    bad = sum(not gradient.isfinite().all() for gradient in gradients)
    if bad or not loss.isfinite():
        raise CheckFailed(
            f"under bfloat16 autocast the loss is {loss.item():.4g} and {bad} weights' gradients are not finite; "
            "compute logarithms, exponentials and small differences in float32"
        )


def _train(model: MedModel, batch: dict[str, Tensor], *, steps: int, learning_rate: float) -> Iterator[float]:
    """Take steps on one batch, yielding each step's loss before the weights move."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    for _ in range(steps):
        optimiser.zero_grad()
        total = 0.0
        for loss in _losses(model, batch):
            loss.backward()
            total += loss.item()
        yield total
        optimiser.step()


def _losses(model: MedModel, batch: dict[str, Tensor]) -> Iterator[Tensor]:
    """Yield the loss of each player; nearly every model has one."""
    players = model.players()
    if len(players) == 1:
        yield model(**batch)["loss"]
        return
    for player in players:
        yield model(**batch, player=player)["loss"]


def _trained(network: Network, batch: dict[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    model = network.model(seed=seed).train()
    for _ in _train(model, batch, steps=2, learning_rate=1e-3):
        pass
    return model.state_dict()
