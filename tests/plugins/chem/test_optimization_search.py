"""chem/optimization: generating, searching, oracles, and the genetic algorithm on graphs."""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import medhub
from medhub.errors import InputError
from medhub.plugins.chem.molecules import canonical_smiles, parse_smiles
from medhub.plugins.chem.optimization.config import OptimizationConfig
from medhub.plugins.chem.optimization.data import synthetic
from medhub.plugins.chem.optimization.drawing import changed_atoms
from medhub.plugins.chem.optimization.genetic import CHANGES, MOST_ATOMS, RING_SIZES, breed, change, mutate
from medhub.plugins.chem.optimization.model import OptimizationModel
from medhub.plugins.chem.optimization.oracles import Oracle
from medhub.plugins.chem.optimization.predictor import OptimizationPredictor
from medhub.plugins.chem.optimization.processing import OptimizationProcessor
from medhub.plugins.chem.optimization.properties import qed, similarities
from medhub.plugins.chem.optimization.search import Judged, lineage, top_auc
from medhub.predictor import Predictor, from_pretrained

START = "COc1ccc(NC(C)=O)cc1"


@cache
def predictor(architecture: str = "vae") -> OptimizationPredictor:
    rows = synthetic(24).rows
    config = OptimizationConfig.tiny(architecture, id2label=dict(enumerate(("qed", "plogp", "sa"))))
    processor = OptimizationProcessor.fit(rows, config)
    torch.manual_seed(0)
    task = medhub.get("chem/optimization")
    return OptimizationPredictor(task, OptimizationModel(config), processor, device="cpu")


@pytest.mark.parametrize("architecture", ["vae", "gan"])
def test_generated_molecules_are_valid_canonical_and_repeat_by_their_seed(architecture: str) -> None:
    model = predictor(architecture)
    molecules = model.generate(30, seed=3)
    assert len(molecules) == 30
    assert all(canonical_smiles(parse_smiles(smiles)) == smiles for smiles in molecules)
    assert molecules == model.generate(30, seed=3)
    assert molecules[:10] == model.generate(10, seed=3)
    assert molecules != model.generate(30, seed=4)


def test_a_saved_model_is_loaded_with_its_own_predictor(tmp_path: Path) -> None:
    predictor().save(tmp_path)
    loaded = from_pretrained(tmp_path, device="cpu")
    assert isinstance(loaded, OptimizationPredictor)
    assert loaded.generate(5) == predictor().generate(5)


@pytest.mark.parametrize("method", ["network", "genetic"])
def test_a_search_spends_its_budget_on_molecules_near_the_start(method: str) -> None:
    asked: list[str] = []

    def oracle(smiles: str) -> float:
        asked.append(smiles)
        return qed(parse_smiles(smiles))

    result = predictor().optimize(START, oracle=oracle, similarity=0.1, budget=40, method=method)
    assert result.calls == len(asked) == len(set(asked)) <= 40
    assert asked[0] == START
    assert result.oracle == "oracle"
    assert result.failures == 0
    assert all(found.similarity >= 0.1 and found.smiles != START for found in result.proposals)
    assert [found.value for found in result.proposals] == sorted((f.value for f in result.proposals), reverse=True)
    assert result.path[0].smiles == START
    assert result.path[-1].value == max(result.values)
    if method == "genetic":
        assert result.calls == 40
        assert result.best.value > result.start.value
    assert result.to_dict()["top10_auc"] == result.top10_auc


def test_a_search_from_nothing_repeats_by_its_seed_and_gets_better() -> None:
    first, again = (predictor().optimize(oracle="qed", budget=110, seed=1) for _ in range(2))
    assert first.values == again.values
    assert first.start is None
    assert first.calls == 110
    assert first.proposals[0].value > max(first.values[:100]) - 1e-9
    assert first.path[-1].smiles == first.proposals[0].smiles
    assert first.path_picture().width > 0
    assert first.picture().width > 0


def test_an_oracle_that_fails_is_passed_over_and_the_call_counts() -> None:
    def moody(smiles: str) -> float:
        if "N" in smiles:
            raise RuntimeError("no nitrogen, please")
        return float("nan") if "O" in smiles else len(smiles)

    result = predictor().optimize("CCCCO", oracle=moody, similarity=0.0, budget=60, method="genetic")
    assert result.calls == 60
    assert 0 < result.failures < 60
    assert result.failures == sum(map(math.isnan, result.values))
    assert all("N" not in found.smiles and "O" not in found.smiles for found in result.proposals)


def test_an_oracle_that_always_fails_is_named_with_an_example() -> None:
    def broken(smiles: str) -> float:
        raise ValueError

    with pytest.raises(InputError, match="'broken' gave no number for any of 20 molecules"):
        predictor().optimize(START, oracle=broken, similarity=0.0, budget=20, method="genetic")


def test_an_oracle_of_another_type_than_a_number_fails_like_any_other() -> None:
    oracle = Oracle.of(lambda smiles: "good", budget=5, start=None)  # type: ignore[arg-type, return-value]
    assert math.isnan(oracle.ask(["CCO"])["CCO"])
    assert oracle.failures == 1


def test_weights_add_up_and_signs_make_more_the_better() -> None:
    oracle = Oracle.of({"qed": 2.0, "sa": 0.5, "similarity": 1.0}, budget=10, start=START)
    alone = {name: Oracle.of(name, budget=10, start=START).ask([START])[START] for name in ("qed", "sa", "similarity")}
    assert alone["sa"] < 0
    assert alone["similarity"] == 1
    assert oracle.ask([START])[START] == pytest.approx(2 * alone["qed"] + 0.5 * alone["sa"] + 1)
    assert oracle.name == "2 qed + 0.5 sa + 1 similarity"


def test_a_call_is_a_molecule_asked_once_and_the_budget_is_kept() -> None:
    oracle = Oracle.of("qed", budget=2, start=None)
    assert [*oracle.ask(["CCO", "CCO", "CCN", "CCC"])] == ["CCO", "CCN"]
    assert oracle.left == 0
    assert oracle.ask(["CCC"]) == {}
    assert len(oracle.values) == 2


def test_a_toxicity_model_is_an_oracle_by_its_name(tmp_path: Path) -> None:
    task = medhub.get("chem/toxicity")
    table = task.module("data").synthetic(24)
    names = table.label_names
    config = task.config_class.tiny(
        "dnn", id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)}
    )
    processor = task.processor_class.fit(table.rows, config)
    torch.manual_seed(0)
    toxicity = Predictor(task, task.model_class(config), processor, device="cpu")
    toxicity.save(tmp_path)
    probabilities = toxicity.predict(START).probabilities  # type: ignore[attr-defined]
    oracle = Oracle.of(str(tmp_path), budget=5, start=None)
    assert oracle.ask([START])[START] == pytest.approx(-np.mean([*probabilities.values()]), abs=1e-6)
    result = predictor().optimize(START, oracle={str(tmp_path): 1, "qed": 1}, budget=10, method="genetic")
    assert result.calls == 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"oracle": "qde"}, "no oracle 'qde'; did you mean 'qed'"),
        ({"oracle": {}}, "names nothing"),
        ({"oracle": 3}, "a int is no oracle"),
        ({"similarity": 1.2}, "not even the start"),
        ({"budget": 0}, "at least 1"),
        ({"method": "genetics"}, "did you mean 'genetic'"),
        ({"start": "c1ccccc"}, "not a valid SMILES"),
        ({"start": "[Na+].[Cl-]"}, "no carbon"),
        ({"start": None, "oracle": "similarity"}, "compares with the start"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_with_the_cure(changes: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        predictor().optimize(**{"start": START, "budget": 5, **changes})


def test_the_area_of_the_best_ten_is_that_of_straight_lines_between_every_hundred_calls() -> None:
    assert top_auc([1.0] * 100, budget=100) == pytest.approx(0.5)  # from 0 up to 1 over the first hundred
    assert top_auc([1.0] * 200, budget=200) == pytest.approx(0.75)
    assert top_auc([1.0] * 100, budget=200) == pytest.approx(0.75)  # the last value holds
    assert top_auc([math.nan] * 50, budget=100) == 0
    rising = [i / 1000 for i in range(1000)]
    tops = [0, *(np.mean(rising[n - 10 : n]) for n in range(100, 1001, 100))]
    assert top_auc(rising, budget=1000) == pytest.approx(np.trapezoid(tops, dx=0.1))


def test_a_line_of_descent_ends_where_the_oracle_failed() -> None:
    judged = {"b": Judged("b", 1.0, "a"), "c": Judged("c", 2.0, "b")}
    assert lineage(judged, "c") == ["a", "b", "c"]


@pytest.mark.parametrize("kind", CHANGES, ids=lambda kind: kind.__name__)
def test_every_kind_of_change_gives_molecules(kind: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medhub.plugins.chem.optimization.genetic.CHANGES", (kind,))
    random = np.random.default_rng(0)
    start = canonical_smiles(parse_smiles("CC(=O)NC1CCN(c2ccc3[nH]ccc3c2)CC1"))
    children = {child for _ in range(15) if (child := mutate(start, random)) is not None}
    assert children
    assert start not in children
    assert all(canonical_smiles(parse_smiles(child)) == child for child in children)


def test_children_are_whole_usual_molecules_of_both_parents() -> None:
    random = np.random.default_rng(0)
    rows = synthetic(20).rows["labels"]
    for mother, father in itertools.pairwise(rows):
        child = breed(mother, father, random)
        if child is None:
            continue
        mol = parse_smiles(child)
        assert "." not in child
        assert mol.GetNumHeavyAtoms() <= MOST_ATOMS
        assert all(len(ring) in RING_SIZES for ring in mol.GetRingInfo().AtomRings())
    crossed = [breed("Clc1ccccc1CCBr", "Fc1ccccc1CCI", random) for _ in range(20)]
    assert any(child and {"Cl", "F"} <= {*map(str, (a.GetSymbol() for a in parse_smiles(child).GetAtoms()))}
               for child in crossed)  # fmt: skip


def test_molecules_without_a_bond_to_cut_have_no_child() -> None:
    random = np.random.default_rng(0)
    assert breed("c1ccccc1", "C", random) is None
    assert change(parse_smiles("C"), random) is not None or mutate("C", random) is not None


def test_changed_atoms_are_those_outside_what_is_common() -> None:
    before, after = parse_smiles("c1ccccc1CC"), parse_smiles("c1ccccc1CCBr")
    assert [after.GetAtomWithIdx(atom).GetSymbol() for atom in changed_atoms(before, after)] == ["Br"]
    assert changed_atoms(after, before) == []
    assert similarities(before, [after])[0] < 1
