"""How latents are spread: drawn towards the standard normal, or imitated by a generator that plays a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from .config import OptimizationConfig


class NormalPrior(nn.Module):
    """The prior of a variational autoencoder: what is read is a normal distribution, kept near the standard one."""

    def __init__(self, config: OptimizationConfig) -> None:
        super().__init__()
        self.weight = config.divergence
        self.statistics = 2 * config.latent_size
        """Figures that it needs of every molecule: the means, and the logarithms of the deviations."""

    def settle(self, statistics: Tensor) -> Tensor:
        """Return the latents that stand for molecules, the means: (batch, latent_size)."""
        return statistics.chunk(2, dim=-1)[0]

    def draw(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents drawn for training, and the weighted divergence of each row (batch,)."""
        means, logs = statistics.float().chunk(2, dim=-1)
        logs = logs.clamp(-8, 4)
        divergence = 0.5 * (means**2 + (2 * logs).exp() - 1 - 2 * logs).sum(-1)
        return means + logs.exp() * torch.randn_like(means), self.weight * divergence

    def move(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Return latents moved by noise, such as still belong to molecules."""
        return latents + noise

    def forward(self, noise: Tensor) -> Tensor:
        """Return latents of new molecules from standard normal noise (rows, latent_size)."""
        return noise


class AdversarialPrior(nn.Module):
    """Latents on a sphere, and a generator that makes such from noise against a discriminator (Goodfellow et al. 2014).

    The sphere leaves the reader no way to make latents ever larger, and gives both sides one scale.
    """

    def __init__(self, config: OptimizationConfig) -> None:
        super().__init__()
        size, width = config.latent_size, config.adversary_size
        self.jitter, self.penalty = config.jitter, config.penalty
        self.statistics = size
        self.generator = dense(size, width, size, hidden=3)
        self.discriminator = dense(size, width, 1, hidden=3)

    def settle(self, statistics: Tensor) -> Tensor:
        """Return the latents that stand for molecules: (batch, latent_size), on the sphere."""
        return functional.layer_norm(statistics.float(), statistics.shape[-1:])

    def draw(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents jittered for training, and a divergence of 0 for each row (batch,)."""
        latents = self.settle(statistics)
        return latents + self.jitter * torch.randn_like(latents), latents.new_zeros(len(latents))

    def move(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Return latents moved by noise, and back onto the sphere."""
        return self.settle(latents + noise)

    def forward(self, noise: Tensor) -> Tensor:
        """Return latents of new molecules from standard normal noise (rows, latent_size)."""
        return self.settle(self.generator(noise))

    def discriminator_loss(self, latents: Tensor) -> Tensor:
        """Return what the discriminator minimises at true latents (rows, latent_size), a scalar.

        It tells true from generated ones; its gradient at the true ones is penalised (R1; Mescheder et al. 2018), which
        keeps the game from circling.
        """
        true = latents.detach().float().requires_grad_()
        with torch.no_grad():
            made = self(torch.randn_like(true))
        with torch.enable_grad(), torch.autocast(true.device.type, enabled=False):
            judged = self.discriminator(true)
            (slope,) = torch.autograd.grad(judged.sum(), true, create_graph=True)
            told = functional.softplus(-judged).mean() + functional.softplus(self.discriminator(made)).mean()
            return told + 0.5 * self.penalty * slope.square().sum(-1).mean()

    def generator_loss(self, rows: int) -> tuple[Tensor, Tensor]:
        """Return what the generator minimises, a scalar, and the latents (rows, latent_size) that it made for it."""
        frozen = {name: weights.detach() for name, weights in self.discriminator.named_parameters()}
        noise = torch.randn(rows, self.statistics, device=next(self.generator.parameters()).device)
        made = self(noise)
        judged = functional_call(self.discriminator, frozen, (made,))
        return functional.softplus(-judged.float()).mean(), made


def dense(width_in: int, width: int, width_out: int, *, hidden: int) -> nn.Sequential:
    """Return hidden layers of one width, and a linear one behind them."""
    layers: list[nn.Module] = []
    for layer in range(hidden):
        layers += [nn.Linear(width if layer else width_in, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, width_out))
