"""Which atoms spoke for a toxicity: integrated gradients of what each network reads, brought back to the atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medhub.explain import integrated_gradients
from medhub.plugins.chem.drawing import draw_atoms
from medhub.plugins.chem.molecules import atom_names, spellings
from medhub.results import Explanation

from .tokens import atoms_of_tokens

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from medhub.modeling import MedModel

    from .processing import ToxicityProcessor

Batch = dict[str, Tensor]


def explain(processor: ToxicityProcessor, model: MedModel, sample: Mol, label: str) -> Explanation:
    """Say which atoms raised or lowered the logit of `label`.

    "cnn": each token's attribution goes to the atom that it is, or that stands before it, in all spellings. "dnn" and
    "mpnn": that of each substructure is spread over the atoms it covers. "mpnn": that of an atom's own features stays
    with it, and that of a bond's goes to both its ends. What the whole molecule's descriptors say besides, without
    atoms, stands in the method's name. Together it is the logit, less that of a molecule of which nothing is known.
    """
    batch = processor.collate(processor.stack([processor.features(sample)]))
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    index = model.config.label2id[label]
    if processor.architecture == "cnn":
        values = _token_shares(processor, model, sample, batch, index)
        method = "integrated gradients of tokens"
    else:
        values = np.zeros(sample.GetNumAtoms())
        if processor.architecture == "mpnn":
            values += _graph_shares(model, batch, index)
            batch = _without(_without(batch, "atoms"), "bonds")
        values += _substructure_shares(processor, model, sample, batch, index)
        rest = _attribution(model, _without(batch, "fingerprint"), "descriptors", index).sum()
        read = "atoms, bonds and substructures" if processor.architecture == "mpnn" else "substructures"
        method = f"integrated gradients of {read}; descriptors add {rest:+.2f}"
    return Explanation(
        method=method,
        label=label,
        legend="red atoms raise the score, blue ones lower it",
        values=values,
        parts=atom_names(sample),
        picture=draw_atoms(sample, values),
    )


def _graph_shares(model: MedModel, batch: Batch, label: int) -> NDArray:
    """Give each atom what its own features say, and half of what those of its bonds say: (atoms,)."""
    values = _attribution(model, batch, "atoms", label).sum(axis=-1)
    bonds = _attribution(model, _without(batch, "atoms"), "bonds", label).sum(axis=-1)
    np.add.at(values, batch["ends"][0].cpu().numpy(), bonds[:, None] / 2)
    return values


def _substructure_shares(
    processor: ToxicityProcessor, model: MedModel, sample: Mol, batch: Batch, label: int
) -> NDArray:  # fmt: skip
    """Spread each fingerprint place over its substructures, and each substructure over its atoms: (atoms,)."""
    from rdkit.Chem import GetDistanceMatrix

    places = _attribution(model, batch, "fingerprint", label)
    distances = GetDistanceMatrix(sample)
    values = np.zeros(sample.GetNumAtoms())
    for place, substructures in processor.substructures(sample).items():
        for centre, radius in substructures:
            covered = distances[centre] <= radius
            values[covered] += places[place] / len(substructures) / covered.sum()
    return values


def _token_shares(
    processor: ToxicityProcessor, model: MedModel, sample: Mol, batch: Batch, label: int
) -> NDArray:  # fmt: skip
    """Add up the attributions of each atom's tokens in all spellings and all members: (atoms,)."""
    values = np.zeros(sample.GetNumAtoms())
    for member in model.get_submodule("members").children():  # each embeds the tokens in its own way
        embedding = member.get_submodule("embedding")
        shares = integrated_gradients(model, batch, name="tokens", label=label, layer=embedding)[0].sum(dim=-1)
        for share, spelling in zip(shares.cpu().numpy(), spellings(sample, processor.spellings), strict=True):
            atoms = atoms_of_tokens(spelling)
            np.add.at(values, atoms, share[: len(atoms)])
    return values


def _attribution(model: MedModel, batch: Batch, name: str, label: int) -> NDArray:
    """Return what one molecule's `batch[name]` adds to the logit, against zeros: the same shape without the batch."""
    return integrated_gradients(model, batch, name=name, label=label)[0].cpu().numpy()


def _without(batch: Batch, name: str) -> Batch:
    return {**batch, name: torch.zeros_like(batch[name])}
