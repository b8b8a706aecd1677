"""The networks on made-up patients: kinds are found again, saved, explained and drawn."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import medhub
from medhub.data import load_data, prepare
from medhub.errors import ConfigError, InputError, LabelError
from medhub.plugins.ehr.clustering.baselines import BASELINES
from medhub.plugins.ehr.clustering.config import PatientClusteringConfig
from medhub.plugins.ehr.clustering.data import synthetic
from medhub.plugins.ehr.clustering.description import describe_groups
from medhub.plugins.ehr.clustering.groups import Groups
from medhub.plugins.ehr.clustering.metrics import METRICS
from medhub.plugins.ehr.clustering.model import PatientClusteringModel, PrincipalComponents
from medhub.plugins.ehr.clustering.placement import place
from medhub.plugins.ehr.clustering.processing import PatientClusteringProcessor
from medhub.plugins.ehr.rows import from_input
from medhub.predictor import Predictor
from medhub.processing import as_rows

NETWORKS = {
    "dense": {"architecture": "autoencoder"},
    "gru": {"architecture": "autoencoder", "encoder": "gru"},
    "mixture": {"architecture": "autoencoder", "clusters": "mixture"},
    "pca": {"architecture": "pca"},
}


def trained(
    changes: dict, *, size: int = 96, steps: int = 160
) -> tuple[PatientClusteringModel, PatientClusteringProcessor, dict]:
    """Train a tiny network on made-up patients, and return it with its processor and the rows' columns."""
    table = synthetic(size=size, seed=1)
    config = PatientClusteringConfig.tiny(**changes)
    processor = PatientClusteringProcessor.fit(table.rows, config)
    features = prepare(table.rows, processor, cache=False)
    columns = features.take(np.arange(size))
    torch.manual_seed(0)
    model = PatientClusteringModel(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    batch = processor.collate(columns)
    for _ in range(steps):
        optimiser.zero_grad()
        model(**batch)["loss"].backward()
        optimiser.step()
    return model.eval(), processor, columns


def scores_of(model, processor, columns) -> np.ndarray:
    batch = processor.collate({name: column for name, column in columns.items() if name != "labels"})
    with torch.inference_mode():
        return processor.scores(model(**batch), model.config)


@pytest.fixture(scope="module", params=[*NETWORKS])
def network(request):
    return trained(NETWORKS[request.param])


def test_the_kinds_of_patients_are_found(network):
    model, processor, columns = network
    scores = scores_of(model, processor, columns)
    truths = processor.truths(columns)
    assert processor.groups == 3
    assert METRICS["nmi"].compute(scores, truths) > 0.8
    assert METRICS["stability"].compute(scores, truths) > 0.8
    assert METRICS["logrank_p"].compute(scores, truths) < 1e-6


def test_a_saved_model_assigns_new_patients(network, tmp_path):
    model, processor, columns = network
    processor.calibrate(scores_of(model, processor, columns), processor.truths(columns), model.config)
    task = medhub.get("ehr/clustering")
    Predictor(task, model, processor, device="cpu").save(tmp_path / "model")
    loaded = medhub.from_pretrained(tmp_path / "model", device="cpu")
    fresh = synthetic(size=12, seed=7)
    results = loaded.predict(fresh.rows["input"][:])
    kinds = [labels["label"] for labels in fresh.rows["labels"]]
    assert adjusted_rand_score(kinds, [result.group for result in results]) > 0.7
    result = loaded.predict(fresh.rows[0]["input"], explain=True)
    assert len(result.traits) == 10
    assert result.explanation.parts
    assert len(result.explanation.parts) == len(result.explanation.values)
    assert result.picture().height > result.picture().width > 500
    result.save(tmp_path / "result.png")
    assert json.loads(result.to_json())["group"] == result.group
    stored = json.loads((tmp_path / "model" / "config.json").read_text())
    assert len(stored["profiles"]) == len(stored["id2label"]) == 3


def test_two_trainings_with_one_seed_end_alike():
    first, again = (trained(NETWORKS["dense"], steps=5)[0].state_dict() for _ in range(2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())


def test_tied_matrices_learn_the_principal_components():
    random = np.random.default_rng(0)
    points = random.normal(size=(200, 6)) * [3, 2.5, 2, 0.3, 0.2, 0.1]
    points = (points @ np.linalg.qr(random.normal(size=(6, 6)))[0]).astype(np.float32)
    points -= points.mean(0)
    torch.manual_seed(0)
    network = PrincipalComponents(PatientClusteringConfig(architecture="pca", inputs=6, latent_size=3))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    inputs = torch.from_numpy(points)
    for _ in range(400):
        optimiser.zero_grad()
        ((network.decode(network.encode(inputs, torch.ones_like(inputs), None, None)) - inputs) ** 2).mean().backward()
        optimiser.step()
    ours = network.components.detach().numpy()
    theirs = PCA(3).fit(points).components_
    assert np.abs(ours @ ours.T - theirs.T @ theirs).max() < 0.02


@pytest.mark.parametrize("mixture", [False, True])
def test_groups_follow_patients_to_where_kmeans_finds_them(mixture):
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [4, 0], [0, 4]])
    points = (centres[np.arange(300) % 3] + random.normal(size=(300, 2))).astype(np.float32)
    torch.manual_seed(0)
    groups = Groups(3, 2, mixture=mixture)
    latent = torch.from_numpy(points)
    groups.centres.copy_(torch.tensor([[1.0, 1.0], [3.0, 1.0], [1.0, 3.0]]))
    for _ in range(300):
        groups.follow(latent, groups.belongs(latent))
    found = KMeans(3, n_init=5, random_state=0).fit(points)
    order = [((groups.centres.numpy() - centre) ** 2).sum(1).argmin() for centre in found.cluster_centers_]
    assert sorted(order) == [0, 1, 2]
    assert np.abs(groups.centres.numpy()[order] - found.cluster_centers_).max() < (0.3 if mixture else 0.05)
    assert adjusted_rand_score(found.labels_, groups(latent).argmax(1).numpy()) > 0.93
    assert groups.shares.sum() == pytest.approx(1, abs=0.01)


def test_a_group_without_patients_stays_where_it_is():
    groups = Groups(2, 2, mixture=True)
    groups.centres.copy_(torch.tensor([[0.0, 0.0], [50.0, 50.0]]))
    for _ in range(500):
        latent = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
        groups.follow(latent, groups.belongs(latent))
    assert torch.allclose(groups.centres[1], torch.tensor([50.0, 50.0]))
    assert groups(torch.zeros(1, 2)).isfinite().all()


def test_the_description_tells_nothing_of_a_small_group():
    random = np.random.default_rng(0)
    sizes = [40, 25, 4]
    groups = np.repeat(np.arange(3), sizes)
    points = random.normal(size=(69, 5)) + 3 * np.eye(5)[groups]
    config = PatientClusteringConfig(groups=3, inputs=5, id2label={n: f"group {n + 1}" for n in range(3)})
    truths = np.stack([groups % 2, 1000 - 300.0 * groups + random.random(69), np.ones(69)], axis=1)
    placements = place(np.eye(3)[groups], points, points)
    names = [f"LAB/{letter}, last" for letter in "abcde"]
    said = describe_groups(placements, truths, config, names=names, outcomes=["a", "b"], candidates=[])
    assert config.profiles is not None
    assert config.regions is not None
    assert [profile is None for profile in config.profiles] == [False, False, True]
    assert config.regions[2] is None
    assert "group 3 6% (fewer than 10 patients)" in said
    assert re.search(r"group 1 58% \(LAB/a, last \+\d\.\d, .*?100% a, one-year survival 100%\)", said)
    assert "2 degrees of freedom, p < 0.0001" in said


def test_the_number_of_groups_can_be_given():
    table = synthetic(size=48, seed=0)
    config = PatientClusteringConfig.tiny("pca", groups=2)
    processor = PatientClusteringProcessor.fit(table.rows, config)
    assert (processor.groups, config.id2label) == (2, {0: "group 1", 1: "group 2"})
    for wrong in ({"groups": 1}, {"encoder": "transformer"}, {"clusters": "kmean"}):
        with pytest.raises(ConfigError):
            PatientClusteringConfig(**wrong)


def test_what_cannot_be_grouped_is_refused(network):
    _, processor, _ = network
    for raw in (None, "", object(), {"index": None}):
        with pytest.raises(InputError):
            processor.read(raw)
    strange, _ = from_input(synthetic(size=1).rows[0]["input"])
    strange = replace(strange, codes=np.array(["NO/such"] * len(strange), object))
    with pytest.raises(InputError, match="no value or code that the model knows"):
        processor.read(strange)
    alike = synthetic(size=2)
    with pytest.raises(LabelError):
        PatientClusteringProcessor.fit(alike.rows, PatientClusteringConfig.tiny())


def test_a_file_of_several_patients_gives_a_list(network, tmp_path):
    model, processor, _ = network
    lines = ["subject_id,time,code,value,unit"]
    for patient in ("anna", "bert"):
        lines += [f"{patient},2020-01-0{day}T08:00:00,LOINC/2160-0,2.{day},mg/dL" for day in (1, 2)]
    path = tmp_path / "two.csv"
    path.write_text("\n".join(lines) + "\n")
    predictor = Predictor(medhub.get("ehr/clustering"), model, processor, device="cpu")
    results = predictor.predict(path)
    assert {result.input for result in results} == {"anna", "bert"}
    assert sum(results[0].probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_baselines_make_as_many_groups_on_the_same_inputs():
    splits = load_data(synthetic(size=90, seed=2), split="group", seed=0)
    config = PatientClusteringConfig.tiny()
    processor = PatientClusteringProcessor.fit(splits.train, config)
    truths = np.stack([processor.targets(row)["labels"] for row in splits.test])
    for baseline in BASELINES.values():
        scores = as_rows(baseline(splits.train, splits.test, labels=splits.label_names, processor=processor, seed=0))
        assert {len(score.probabilities) for score in scores} == {processor.groups}
        assert METRICS["nmi"].compute(scores, truths) > 0.7
