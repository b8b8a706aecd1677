"""What would have to change: the way that a property head points out from a molecule, and what lies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from medhub.plugins.chem.molecules import parse_smiles
from medhub.results import Explanation

from .properties import PROPERTIES

if TYPE_CHECKING:
    from .model import OptimizationModel
    from .processing import OptimizationProcessor

STEPS = 12
STRIDE = 0.25
"""Of a step in the latent, in deviations of all latents."""
MOST_SHOWN = 6


def explain_path(model: OptimizationModel, processor: OptimizationProcessor, smiles: str, *, label: str) -> Explanation:
    """Walk from a molecule's latent up the gradient of a property head, and write the molecule at each step.

    `values` are what each molecule on the way has of the property, less what the first has.
    """
    from .drawing import draw_path

    path = [smiles]
    for latent in _walk(model, processor, smiles, label=label):
        with torch.inference_mode():
            found = processor.write(model.writer.write(latent)[0].tolist())
        if found and found not in path and len(path) < MOST_SHOWN:
            path.append(found)
    figures = np.array([PROPERTIES[label](parse_smiles(step)) for step in path])
    return Explanation(
        method="ascent of a property head in the latent",
        label=label,
        legend="step by step towards where the network expects more of it; what a step changed is coloured",
        values=figures - figures[0],
        parts=tuple(path),
        picture=draw_path(path, [f"{label} {figure:.2f}" for figure in figures]),
    )


def _walk(model: OptimizationModel, processor: OptimizationProcessor, smiles: str, *, label: str) -> list[torch.Tensor]:
    """Return the latents (1, latent_size) of the steps."""
    batch = processor.collate(processor.stack([processor.features(smiles)]))
    place = [*PROPERTIES].index(label)
    with torch.no_grad():
        latent = model.encode(batch["tokens"].to(model.device), batch["lengths"].to(model.device))
    steps = []
    for _ in range(STEPS):
        latent = latent.detach().requires_grad_()
        (slope,) = torch.autograd.grad(model.heads(latent)[0, place], latent)
        direction = slope / slope.norm().clamp(min=1e-9)
        with torch.no_grad():
            latent = model.prior.move(latent, STRIDE * direction * latent.shape[1] ** 0.5 / 2)
        steps.append(latent.detach())
    return steps
