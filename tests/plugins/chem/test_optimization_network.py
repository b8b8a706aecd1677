"""chem/optimization: the networks, what they learn, and the metrics of what they write."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import medhub
from medhub.data import prepare
from medhub.plugins.chem.optimization.baselines import BASELINES
from medhub.plugins.chem.optimization.config import OptimizationConfig
from medhub.plugins.chem.optimization.data import synthetic
from medhub.plugins.chem.optimization.metrics import METRICS, perfect
from medhub.plugins.chem.optimization.model import OptimizationModel
from medhub.plugins.chem.optimization.predictor import OptimizationPredictor
from medhub.plugins.chem.optimization.priors import AdversarialPrior, NormalPrior
from medhub.plugins.chem.optimization.processing import OptimizationProcessor
from medhub.plugins.chem.optimization.proposals import Proposals
from medhub.plugins.chem.optimization.tokens import BOUND, PADDING, UNKNOWN

NETWORKS = ("vae", "gan")
ROWS = 16


@cache
def fitted(architecture: str) -> tuple[OptimizationModel, OptimizationProcessor, dict[str, torch.Tensor]]:
    """Return an untrained tiny network, its processor, and a batch of all rows with their labels."""
    rows = synthetic(ROWS).rows
    config = OptimizationConfig.tiny(architecture)
    processor = OptimizationProcessor.fit(rows, config)
    features = prepare(rows, processor, cache=False)
    torch.manual_seed(0)
    return OptimizationModel(config).eval(), processor, processor.collate(features.take(np.arange(ROWS)))


def without_labels(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in batch.items() if name != "labels"}


@pytest.mark.parametrize("architecture", NETWORKS)
def test_what_is_written_ends_once_and_holds_no_unknown(architecture: str) -> None:
    model, _, batch = fitted(architecture)
    with torch.inference_mode():
        outputs = model(**without_labels(batch))
    assert outputs.sampled.shape == (ROWS, model.config.longest)
    assert outputs.near.shape == (ROWS, model.config.proposals, model.config.longest)
    for row in outputs.sampled.tolist():
        assert UNKNOWN not in row
        assert row[0] not in (PADDING, BOUND)
        assert row.count(BOUND) <= 1
        if BOUND in row:
            assert set(row[row.index(BOUND) + 1 :]) <= {PADDING}


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_row_draws_by_its_seed_and_not_by_its_molecule(architecture: str) -> None:
    model, _, batch = fitted(architecture)
    inputs = without_labels(batch)
    turned = {name: tensor.flip(0) for name, tensor in inputs.items()} | {"seed": inputs["seed"]}
    with torch.inference_mode():
        straight, crossed = model(**inputs), model(**turned)
    assert torch.equal(straight.sampled, crossed.sampled)
    assert not torch.equal(straight.near, crossed.near)


def test_the_writer_s_likelihood_is_that_of_its_choices() -> None:
    """Teacher forcing and writing agree: a molecule's likelihood is the product over its tokens and the bound."""
    model, _, batch = fitted("vae")
    with torch.inference_mode():
        latents = model.encode(batch["tokens"], batch["lengths"])
        losses = model.writer(latents, batch["tokens"], batch["lengths"])
        length = int(batch["lengths"][0])
        alone = model.writer(latents[:1], batch["tokens"][:1, :length], batch["lengths"][:1])
    assert losses.shape == (ROWS,)
    assert torch.isclose(losses[0], alone[0], rtol=1e-4)
    uniform = np.log(model.config.vocabulary_size) * (length + 1)
    assert losses[0] == pytest.approx(uniform, rel=0.1)  # an untrained writer knows nothing


@pytest.mark.parametrize("architecture", NETWORKS)
def test_networks_learn_molecules_by_heart_and_give_them_back(architecture: str) -> None:
    rows = synthetic(4).rows
    config = OptimizationConfig.tiny(architecture, decoder_size=64)
    processor = OptimizationProcessor.fit(rows, config)
    batch = processor.collate(prepare(rows, processor, cache=False).take(np.arange(4)))
    torch.manual_seed(0)
    model = OptimizationModel(config).train()
    optimisers = {name: torch.optim.AdamW(weights, lr=1e-2) for name, weights in model.players().items()}
    for _ in range(80):
        for player, optimiser in optimisers.items():
            optimiser.zero_grad()
            model(**batch, **({"player": player} if architecture == "gan" else {})).loss.backward()
            optimiser.step()
    model.eval()
    with torch.inference_mode():
        latents = model.encode(batch["tokens"], batch["lengths"])
        written = [processor.write(tokens) for tokens in model.writer.write(latents).tolist()]
        expected = model.heads(latents)
    assert np.mean([one == other for one, other in zip(written, rows["labels"], strict=True)]) >= 0.75
    assert (expected - batch["labels"]).abs().mean() < 0.5


def test_players_share_no_weight_and_leave_each_other_alone() -> None:
    model, _, batch = fitted("gan")
    players = model.players()
    assert [*players] == ["discriminator", "generator"]
    assert sum(map(len, players.values())) == len([*model.parameters()])
    for name, others in (("discriminator", players["generator"]), ("generator", players["discriminator"])):
        model.zero_grad()
        model(**batch, player=name).loss.backward()
        assert all(weights.grad is None for weights in others)
        assert any(weights.grad is not None and weights.grad.any() for weights in players[name])
    model.zero_grad()
    assert [*fitted("vae")[0].players()] == ["model"]


def test_the_normal_prior_s_divergence_is_zero_at_the_standard_normal() -> None:
    config = OptimizationConfig.tiny("vae", divergence=2.0)
    prior = NormalPrior(config)
    _, none = prior.draw(torch.zeros(3, 2 * config.latent_size))
    assert torch.equal(none, torch.zeros(3))
    shifted = torch.cat([torch.ones(1, config.latent_size), torch.zeros(1, config.latent_size)], dim=1)
    assert prior.draw(shifted)[1].item() == pytest.approx(2.0 * config.latent_size / 2)


def test_the_adversarial_prior_s_latents_lie_on_a_sphere() -> None:
    config = OptimizationConfig.tiny("gan")
    torch.manual_seed(0)
    prior = AdversarialPrior(config)
    for latents in (prior(torch.randn(5, config.latent_size)), prior.settle(torch.randn(5, config.latent_size))):
        assert torch.allclose(latents.norm(dim=1), torch.full((5,), config.latent_size**0.5), rtol=1e-3)


def as_scores(sampled: list[str], near: list[tuple[str, ...]] | None = None) -> np.ndarray:
    scores = np.empty(len(sampled), dtype=object)
    for row, smiles in enumerate(sampled):
        scores[row] = Proposals(sampled=smiles, near=near[row] if near else (smiles,))
    return scores


def test_metrics_are_what_their_definitions_say() -> None:
    targets = np.array(["c1ccc(-c2ccccc2)cc1", "CCO", "c1ccc(Cc2ccccc2)cc1", "CCN"], dtype=object)
    sampled = ["c1ccc(-c2ccccc2)cc1", "CCO", "CCO", ""]
    scores = as_scores(sampled, [(targets[0],), (), ("CCO", "CCO"), (targets[3],)])
    values = {name: metric.compute(scores, targets) for name, metric in METRICS.items()}
    assert values["valid"] == 0.75
    assert values["unique"] == pytest.approx(2 / 3)
    assert values["snn"] == pytest.approx(1.0)
    assert values["scaf"] == pytest.approx(1 / np.sqrt(2))  # one of the test set's two scaffolds
    assert 0 < values["frag"] < 1
    assert values["similarity"] == pytest.approx(np.mean([1, 0, METRICS["similarity"].compute(
        as_scores(["CCO"]), targets[2:3]), 1]))  # fmt: skip


def test_a_bootstrap_can_draw_rows_of_what_metrics_prepare() -> None:
    targets = np.array(synthetic(12).rows["labels"][:], dtype=object)
    metric = METRICS["frag"]
    prepared = metric.examples(perfect(targets, count=3), targets)
    rows = np.random.default_rng(0).integers(12, size=12)
    assert metric.value(tuple(column[rows] for column in prepared)) == pytest.approx(1.0)


def test_baselines_give_valid_molecules_and_the_genetic_one_new_ones() -> None:
    rows = synthetic(ROWS).rows
    _, processor, _ = fitted("vae")
    known = set(rows["labels"])
    given = {
        name: baseline(rows, rows, labels=("qed",), processor=processor, seed=0) for name, baseline in BASELINES.items()
    }
    assert {score.sampled for score in given["training molecules"]} == known
    children = {score.sampled for score in given["graph genetic algorithm"]}
    assert len(children - known) > ROWS / 2
    assert np.mean([len(score.near) for score in given["graph genetic algorithm"]]) > 3


def test_a_prediction_is_drawn_saved_and_explained(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, processor, _ = fitted("vae")
    predictor = OptimizationPredictor(medhub.get("chem/optimization"), model, processor, device="cpu")
    result = predictor.predict("CC(=O)Nc1ccc(O)cc1", explain=True)
    assert result.start.similarity == 1
    assert all(0 <= found.similarity <= 1 for found in result.proposals)
    qualities = [found.properties["qed"] for found in result.proposals]
    assert qualities == sorted(qualities, reverse=True)
    assert result.explanation.parts[0] == "CC(=O)Nc1ccc(O)cc1"
    assert result.explanation.values[0] == 0
    assert result.save(tmp_path / "near.png").stat().st_size > 1000
    lines = result.save(tmp_path / "near.csv").read_text().splitlines()
    assert lines[0] == "smiles,value,similarity,qed,plogp,sa"
    assert len(lines) == 1 + len(result.proposals)
