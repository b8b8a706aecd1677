"""Breeding in the latent space of a network: parents are read, mixed and moved there, and children written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from .search import ROUND, Judged, draw_parents

if TYPE_CHECKING:
    from .model import OptimizationModel
    from .processing import OptimizationProcessor

SCREENED = 4
"""Latents tried for each child that is written: a head fitted to what the oracle said so far chooses among them."""
FITTED = 1000
"""Best molecules to which that head is fitted."""
LEAST_FITTED = 50
RIDGE = 10.0
SPREADS = (0.1, 1.0)
"""Smallest and largest deviation of the noise."""


class LatentBreeder:
    """A breeder of `search` that remembers the latents of what it has read."""

    def __init__(self, model: OptimizationModel, processor: OptimizationProcessor) -> None:
        self.model, self.processor = model, processor
        self._latents: dict[str, NDArray[np.floating]] = {}

    def __call__(self, judged: Sequence[Judged], random: np.random.Generator) -> Iterable[tuple[str, str]]:
        """Return children, each with the parent that it resembles more."""
        self._read([found.smiles for found in judged[:FITTED]])
        parents = draw_parents(judged, random, count=2 * SCREENED * ROUND)
        first, second = parents[::2], parents[1::2]
        latents = self._mixed(first, second, random)
        chosen = self._promising(latents, judged)
        for row, smiles in zip(chosen, self._write(latents[chosen], random), strict=True):
            if smiles is not None:
                yield smiles, first[row].smiles

    def _mixed(self, first: Sequence[Judged], second: Sequence[Judged], random: np.random.Generator) -> NDArray:
        """Return latents, (pairs, latent_size), between two parents, nearer to the first, with noise."""
        one, other = (np.stack([self._latents[parent.smiles] for parent in row]) for row in (first, second))
        share = random.uniform(0, 0.5, size=(len(one), 1))
        least, most = np.log(SPREADS)
        spread = np.exp(random.uniform(least, most, size=(len(one), 1)))
        noise = torch.from_numpy((spread * random.standard_normal(one.shape)).astype(np.float32))
        middle = torch.from_numpy((one + share * (other - one)).astype(np.float32))
        return self.model.prior.move(middle, noise).numpy()

    def _promising(self, latents: NDArray, judged: Sequence[Judged]) -> NDArray[np.intp]:
        """Return the rows of the latents of which a ridge regression on the judged molecules expects most."""
        known = judged[:FITTED]
        if len(known) < LEAST_FITTED:
            return np.arange(ROUND)
        inputs = np.stack([self._latents[found.smiles] for found in known])
        head = Ridge(alpha=RIDGE).fit(inputs, [found.value for found in known])
        return np.argsort(-head.predict(latents))[:ROUND]

    def _read(self, molecules: Sequence[str]) -> None:
        """Remember the latents of molecules that are new."""
        new = [smiles for smiles in molecules if smiles not in self._latents]
        if not new:
            return
        batch = self.processor.collate(self.processor.stack([self.processor.features(smiles) for smiles in new]))
        device = self.model.device
        with torch.inference_mode():
            latents = self.model.encode(batch["tokens"].to(device), batch["lengths"].to(device)).float().cpu().numpy()
        self._latents |= dict(zip(new, latents, strict=True))

    def _write(self, latents: NDArray, random: np.random.Generator) -> list[str | None]:
        draws = random.random((len(latents), self.model.config.longest), dtype=np.float32)
        return write_latents(self.model, self.processor, torch.from_numpy(latents), torch.from_numpy(draws))


def write_latents(
    model: OptimizationModel, processor: OptimizationProcessor, latents: torch.Tensor, draws: torch.Tensor
) -> list[str | None]:
    """Return the molecules that the network writes from latents (rows, latent_size); None for what is none."""
    with torch.inference_mode():
        tokens = model.writer.write(latents.to(model.device), draws.to(model.device))
    return [processor.write(row) for row in tokens.tolist()]
