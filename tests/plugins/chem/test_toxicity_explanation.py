"""Atoms that spoke for a toxicity: they add up to the logit, and point at what was learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rdkit import Chem

import medhub
from medhub.checks import Subject
from medhub.data import prepare
from medhub.plugins.chem.toxicity.data import synthetic
from medhub.plugins.chem.toxicity.model import ToxicityModel
from medhub.plugins.chem.toxicity.processing import ToxicityProcessor

NETWORKS = ("dnn", "cnn", "mpnn")
SUBJECT = Subject(medhub.get("chem/toxicity"))
FLUTAMIDE = "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1"


def fitted(architecture: str) -> tuple[ToxicityModel, ToxicityProcessor]:
    """Return a tiny untrained model and its processor, fitted to synthetic rows."""
    network = SUBJECT.network(architecture)
    return network.model(), network.processor


def batch_of(processor: ToxicityProcessor, *molecules: str) -> dict[str, torch.Tensor]:
    return processor.collate(processor.stack([processor.features(processor.read(smiles)) for smiles in molecules]))


@pytest.mark.parametrize("architecture", ["dnn", "mpnn"])
def test_atoms_and_descriptors_together_make_up_the_logit(architecture: str) -> None:
    model, processor = fitted(architecture)
    explanation = processor.explain(model, processor.read(FLUTAMIDE), "nitro")
    batch = batch_of(processor, FLUTAMIDE)
    bare = {
        name: torch.zeros_like(values) if name in ("atoms", "bonds", "fingerprint") else values
        for name, values in batch.items()
    }
    average = {**bare, "descriptors": torch.zeros_like(batch["descriptors"])}
    whole, without, nothing = (model(**each).logits[0, 0].item() for each in (batch, bare, average))
    assert len(explanation.values) == len(explanation.parts) == 19
    assert explanation.parts[:5] == ("C1", "C2", "C3", "C4", "O5")
    assert explanation.values.sum() == pytest.approx(whole - without, abs=1e-2)
    assert float(explanation.method.split()[-1]) == pytest.approx(without - nothing, abs=2e-2)


def test_atoms_make_up_the_logit_of_cnn() -> None:
    model, processor = fitted("cnn")
    explanation = processor.explain(model, processor.read(FLUTAMIDE), "nitro")
    batch = batch_of(processor, FLUTAMIDE)
    whole = model(**batch).logits[0, 0].item()
    with torch.no_grad():
        for member in model.members:
            member.embedding.weight.zero_()
    assert explanation.values.sum() == pytest.approx(whole - model(**batch).logits[0, 0].item(), abs=2e-2)


@pytest.mark.parametrize("architecture", ["dnn", "mpnn"])
def test_what_learnt_the_nitro_group_points_at_it(architecture: str) -> None:
    model, processor = fitted(architecture)
    table = synthetic(128)
    batch = processor.collate(prepare(table.rows, processor, cache=False).take(np.arange(128)))
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        model(**batch).loss.backward()
        optimiser.step()
    inside, outside = [], []
    for smiles in [smiles for smiles in table.rows["input"] if "[N+]" in smiles][:6]:
        sample = processor.read(smiles)
        values = processor.explain(model.eval(), sample, "nitro").values
        atoms = [*sum(sample.GetSubstructMatches(Chem.MolFromSmarts("[N+](=O)[O-]")), ())]
        inside.append(values[atoms].mean())
        outside.append(np.abs(np.delete(values, atoms)).mean())
    assert np.mean(inside) > 1.5 * np.mean(outside)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_picture_is_not_blank(architecture: str) -> None:
    model, processor = fitted(architecture)
    pixels = np.asarray(processor.explain(model, processor.read(FLUTAMIDE), "halogen").picture)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
