"""The networks: they learn, leave out what is unknown, and answer together."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

import medhub
from medhub.checks import Subject
from medhub.data import prepare
from medhub.plugins.chem.toxicity.data import synthetic
from medhub.plugins.chem.toxicity.model import ToxicityModel
from medhub.plugins.chem.toxicity.networks import Graph
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


@pytest.mark.parametrize("architecture", NETWORKS)
def test_eight_molecules_are_learnt_by_heart(architecture: str) -> None:
    model, processor = fitted(architecture)
    batch = processor.collate(prepare(synthetic(8).rows, processor, cache=False).take(np.arange(8)))
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
    first = model(**batch).loss.item()
    for _ in range(60):
        optimiser.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1 * first


@pytest.mark.parametrize("architecture", ["cnn", "mpnn"])
def test_padding_does_not_change_what_is_said(architecture: str) -> None:
    model, processor = fitted(architecture)
    alone = model(**batch_of(processor, "CCO")).logits[0]
    beside = model(**batch_of(processor, "CCO", FLUTAMIDE)).logits[0]
    assert torch.allclose(alone, beside, atol=1e-6)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_unknown_labels_are_left_out_of_the_loss(architecture: str) -> None:
    model, processor = fitted(architecture)
    batch = batch_of(processor, FLUTAMIDE, "CCO")
    nan = float("nan")
    answers = model(**batch).answers[0, :, 0]
    loss = model(**batch, labels=torch.tensor([[1.0, nan], [nan, nan]])).loss
    assert loss.item() == pytest.approx(torch.nn.functional.softplus(-answers).mean().item(), abs=1e-6)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_members_differ_learn_by_themselves_and_answer_with_their_mean(architecture: str) -> None:
    model, processor = fitted(architecture)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    outputs = model(**batch_of(processor, FLUTAMIDE, "CCO"), labels=labels)
    answers = [*outputs.answers.unbind(1)]
    assert len(answers) == (4 if architecture == "mpnn" else 2)
    assert torch.allclose(outputs.logits, torch.stack(answers).mean(dim=0))
    assert not any(torch.allclose(*pair) for pair in combinations(answers, 2))
    losses = [torch.nn.functional.binary_cross_entropy_with_logits(answer, labels).item() for answer in answers]
    assert outputs.loss.item() == pytest.approx(np.mean(losses), abs=1e-6)


def test_messages_go_round_a_graph_as_the_paper_says() -> None:
    """One molecule bond by bond in Python, as equations 4 to 7 of Yang et al. (2019) are written."""
    model, processor = fitted("mpnn")
    passing: Any = model.get_submodule("members.0.messages")
    mol = processor.read(FLUTAMIDE)
    batch = batch_of(processor, "CCO", FLUTAMIDE)
    graph = Graph.join(*(batch[name] for name in ("atoms", "bonds", "ends", "lengths")))
    atoms, bonds = batch["atoms"][1].float(), batch["bonds"][1].float()
    ends = [tuple(pair) for pair in batch["ends"][1].tolist()][: 2 * mol.GetNumBonds()]
    start = {end: passing.start(torch.cat([atoms[end[0]], bonds[place]])) for place, end in enumerate(ends)}
    hidden = {end: vector.relu() for end, vector in start.items()}
    for _ in range(passing.steps):
        arriving = {
            (v, w): sum(hidden[k, u] for k, u in ends if u == v and k != w) + torch.zeros(len(start[v, w]))
            for v, w in ends
        }
        hidden = {end: (start[end] + passing.message(arriving[end])).relu() for end in ends}
    heard = [
        passing.hear(torch.cat([atoms[v], sum(hidden[k, u] for k, u in ends if u == v)])).relu()
        for v in range(mol.GetNumAtoms())
    ]
    expected = passing.norm(torch.stack(heard).mean(dim=0))
    assert torch.allclose(passing(graph)[1], expected, atol=1e-5)


def test_a_single_atom_and_a_large_molecule_stand_in_one_batch() -> None:
    model, processor = fitted("mpnn")
    large = "C" * 150
    alone = [model(**batch_of(processor, smiles)).logits[0] for smiles in ("C", large)]
    together = model(**batch_of(processor, "C", large)).logits
    assert torch.allclose(torch.stack(alone), together, atol=1e-5)
