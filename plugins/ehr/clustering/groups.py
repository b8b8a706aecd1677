"""The groups in the latent space: centres that follow the patients while the encoder learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MOMENTUM = 0.05
"""Share of a batch in the running means: a centre remembers some twenty batches."""
LEAST_SHARE = 1e-3
LEAST_VARIANCE = 1e-4


class Groups(nn.Module):
    """k-means or a mixture of Gaussians with diagonal covariances, fitted batch by batch.

    Share, centre and variance of each group are running means over the patients that it is given, as in online
    expectation maximisation (Cappé and Moulines 2009, 10.1111/j.1467-9868.2009.00698.x). k-means is the mixture of
    equal spheres of which each patient belongs to one, wholly. All is in buffers and saved with the weights.
    """

    shares: Tensor
    centres: Tensor
    variances: Tensor

    def __init__(self, count: int, width: int, *, mixture: bool) -> None:
        super().__init__()
        self.mixture = mixture
        self.register_buffer("shares", torch.full((count,), 1 / count))
        self.register_buffer("centres", torch.randn(count, width))
        self.register_buffer("variances", torch.ones(count, width))

    def forward(self, latent: Tensor) -> Tensor:
        """Return the logarithm of each group's density, (batch, groups), at latent (batch, width); less a constant."""
        offsets = (latent[:, None] - self.centres) ** 2
        if not self.mixture:
            variance = (self.shares[:, None] * self.variances).sum(0).mean() / self.shares.sum()
            return -offsets.sum(-1) / (2 * variance)
        densities = -(offsets / self.variances + self.variances.log()).sum(-1) / 2
        return self.shares.log() + densities

    def belongs(self, latent: Tensor) -> Tensor:
        """Return the share of each group in each patient, (batch, groups): of k-means 1 for the nearest."""
        logits = self(latent)
        if self.mixture:
            return logits.softmax(-1)
        return functional.one_hot(logits.argmax(-1), len(self.shares)).to(latent.dtype)

    @torch.no_grad()
    def follow(self, latent: Tensor, belongs: Tensor) -> None:
        """Move the groups towards the patients of a batch that belong to them."""
        counts = belongs.sum(0) / len(latent)
        self.shares.lerp_(counts, MOMENTUM).clamp_(min=LEAST_SHARE)
        rate = (MOMENTUM * counts / self.shares).clamp(max=1.0)[:, None]
        means = (belongs[..., None] * latent[:, None]).sum(0) / belongs.sum(0).clamp(min=1e-6)[:, None]
        self.centres += rate * (means - self.centres)
        offsets = (latent[:, None] - self.centres) ** 2
        spread = (belongs[..., None] * offsets).sum(0) / belongs.sum(0).clamp(min=1e-6)[:, None]
        self.variances += rate * (spread - self.variances)
        self.variances.clamp_(min=LEAST_VARIANCE)
