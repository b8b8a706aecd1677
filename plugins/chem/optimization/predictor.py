"""What can be asked of a generative model beside `predict`: new molecules, and better ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from medhub.errors import InputError, suggest
from medhub.predictor import Predictor

from .latent import LatentBreeder, write_latents
from .model import OptimizationModel
from .oracles import Oracle, Wish
from .processing import OptimizationProcessor
from .results import Candidate, SearchResult
from .search import POPULATION, Breeder, breed_graphs, lineage, search

BATCH = 512
SHOWN = 10
"""Molecules that a search returns."""
MOST_VOID = 20
"""Batches without any molecule after which a model counts as unable to write one."""


class OptimizationPredictor(Predictor):
    """A predictor that also generates and optimises molecules."""

    model: OptimizationModel
    processor: OptimizationProcessor

    def generate(self, count: int, *, seed: int = 0) -> list[str]:
        """Return so many new molecules as canonical SMILES; all are valid, and nearly all differ."""
        random = torch.Generator().manual_seed(seed)
        config, found, void = self.model.config, list[str](), 0
        while len(found) < count:
            noise = torch.randn(BATCH, config.latent_size, generator=random)
            draws = torch.rand(BATCH, config.longest, generator=random)
            with torch.inference_mode():
                latents = self.model.prior(noise.to(self.model.device))
            written = [smiles for smiles in write_latents(self.model, self.processor, latents, draws) if smiles]
            found += written
            void = 0 if written else void + 1
            if void == MOST_VOID:
                raise InputError("the model writes no molecules; train it before it generates")
        return found[:count]

    def optimize(
        self,
        start: Any = None,
        *,
        oracle: Wish = "qed",
        similarity: float = 0.4,
        budget: int = 10_000,
        method: str = "network",
        seed: int = 0,
    ) -> SearchResult:
        """Search for molecules that the oracle likes better, `similarity` (Tanimoto, ECFP4) or nearer to the start.

        Without a `start` the search begins from generated molecules, anywhere. `oracle` is "qed", "plogp", "sa",
        "similarity", the name of a toxicity model, several of these with weights ({"tox21-toxicity": 1, "qed": 1}), or
        a function of a SMILES; more is better, and toxicities and "sa" count negative. It is asked about at most
        `budget` molecules; where it raises or returns no number, the call counts and the molecule is passed over.
        `method` "genetic" crosses and changes molecular graphs instead of the network's latents.
        """
        _check(similarity=similarity, budget=budget, method=method)
        smiles = None if start is None else self.processor.read(start)
        asked = Oracle.of(oracle, budget=budget, start=smiles)
        first = self.generate(min(POPULATION, budget), seed=seed) if smiles is None else [smiles]
        breeder: Breeder = METHODS[method](self.model, self.processor)
        judged = search(asked, breeder, first=first, start=smiles, least_similarity=similarity, seed=seed)
        best = sorted(judged.values(), key=lambda found: -found.value)
        better = [found for found in best if found.smiles != smiles][:SHOWN]
        values = {found.smiles: found.value for found in best}

        def candidate(molecule: str) -> Candidate:
            return Candidate.of(molecule, start=smiles, value=values.get(molecule))

        return SearchResult(
            input=smiles or "from nothing",
            provenance=self.provenance,
            start=None if smiles is None else candidate(smiles),
            proposals=tuple(candidate(found.smiles) for found in better),
            oracle=asked.name,
            least_similarity=None if smiles is None else similarity,
            budget=budget,
            calls=len(asked.values),
            failures=asked.failures,
            values=tuple(asked.values.values()),
            path=tuple(candidate(step) for step in lineage(judged, best[0].smiles)),
        )


METHODS: dict[str, Callable[[OptimizationModel, OptimizationProcessor], Breeder]] = {
    "network": LatentBreeder,
    "genetic": lambda model, processor: breed_graphs,
}

PREDICTOR = OptimizationPredictor
"""What `medhub.from_pretrained` makes of this task's models."""


def _check(*, similarity: float, budget: int, method: str) -> None:
    if not 0 <= similarity <= 1:
        raise InputError(
            f"no molecule, not even the start, is {similarity:g} similar to the start; give a similarity from 0 to 1"
        )
    if budget < 1:
        raise InputError(f"a budget of {budget} leaves the oracle no call; give at least 1")
    if method not in METHODS:
        raise InputError(f"no method {method!r}{suggest(method, METHODS)} Methods: {', '.join(METHODS)}")
