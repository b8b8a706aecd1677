"""From molecules to numbers: the same for every spelling, standardised, tokens, graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

import medhub
from medhub.checks import Subject
from medhub.errors import InputError, ProcessorError
from medhub.plugins.chem.molecules import SMILES_TOKEN, read_molecule
from medhub.plugins.chem.toxicity.descriptors import compute_descriptors, descriptor_names
from medhub.plugins.chem.toxicity.graph import (
    ATOM_FEATURES,
    ATOM_PROPERTIES,
    BOND_FEATURES,
    BOND_PROPERTIES,
    ELEMENTS,
    graph_features,
)
from medhub.plugins.chem.toxicity.model import ToxicityModel
from medhub.plugins.chem.toxicity.processing import ToxicityProcessor
from medhub.plugins.chem.toxicity.results import ToxicityPrediction
from medhub.plugins.chem.toxicity.tokens import ATOM
from medhub.predictor import Predictor

NETWORKS = ("dnn", "cnn", "mpnn")
SUBJECT = Subject(medhub.get("chem/toxicity"))
FLUTAMIDE = "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1"


def fitted(architecture: str) -> tuple[ToxicityModel, ToxicityProcessor]:
    """Return a tiny untrained model and its processor, fitted to synthetic rows."""
    network = SUBJECT.network(architecture)
    return network.model(), network.processor


def batch_of(processor: ToxicityProcessor, *molecules: str) -> dict[str, torch.Tensor]:
    return processor.collate(processor.stack([processor.features(processor.read(smiles)) for smiles in molecules]))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_spelling_of_a_molecule_and_its_salt_get_the_same_answer(architecture: str) -> None:
    model, processor = fitted(architecture)
    predictor = Predictor(medhub.get("chem/toxicity"), model, processor, device="cpu")
    written = ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1OC(C)=O", "[Na+].O=C([O-])c1c(OC(=O)C)cccc1"]
    first, *others = predictor.predict(written)
    for other in others:
        assert other.input == first.input == written[0]
        assert other.probabilities == pytest.approx(first.probabilities, abs=1e-6)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_whatever_order_the_atoms_are_written_in_the_numbers_are_the_same(architecture: str) -> None:
    processor = fitted(architecture)[1]
    random = np.random.default_rng(0)
    for smiles in [FLUTAMIDE, *SUBJECT.table.rows["input"][:20]]:
        mol = Chem.MolFromSmiles(smiles)
        shuffled = Chem.RenumberAtoms(mol, random.permutation(mol.GetNumAtoms()).tolist())
        written = Chem.MolToSmiles(shuffled, canonical=False)
        expected = processor.features(processor.read(smiles))
        for name, values in processor.features(processor.read(written)).items():
            assert np.array_equal(values, expected[name]), (smiles, written, name)


def test_a_graph_tells_atoms_and_bonds_apart_and_has_each_bond_in_both_directions() -> None:
    found = graph_features(read_molecule("OC=C[N+](=O)[O-]"))
    mol = read_molecule("OC=C[N+](=O)[O-]")
    assert found["atoms"].shape == (6, ATOM_FEATURES)
    assert found["bonds"].shape == (10, BOND_FEATURES)
    assert (found["atoms"].sum(axis=1) == len(ATOM_PROPERTIES)).all()
    assert (found["bonds"].sum(axis=1) == len(BOND_PROPERTIES)).all()
    assert len(np.unique(found["atoms"], axis=0)) == 5, "only the two CH are alike"
    assert found["ends"][1::2].tolist() == found["ends"][::2, ::-1].tolist()
    assert np.array_equal(found["bonds"][1::2], found["bonds"][::2])
    for (begin, end), bond in zip(found["ends"].tolist(), found["bonds"], strict=True):
        order = mol.GetBondBetweenAtoms(begin, end).GetBondTypeAsDouble()
        assert bond[:5].argmax() == order - 1


def test_a_graph_of_one_atom_and_of_an_odd_element() -> None:
    methane = graph_features(read_molecule("C"))
    assert methane["atoms"].shape == (1, ATOM_FEATURES)
    assert methane["bonds"].shape == (0, BOND_FEATURES)
    assert methane["ends"].shape == (0, 2)
    odd = graph_features(read_molecule("C[U](C)(C)(C)(C)C"))["atoms"]
    assert odd[:, len(ELEMENTS)].sum() == 1, "uranium shares the last place"


def test_the_spread_is_that_of_the_members() -> None:
    model, processor = fitted("dnn")
    result = Predictor(medhub.get("chem/toxicity"), model, processor, device="cpu").predict(FLUTAMIDE)
    batch = processor.collate(processor.stack([processor.features(processor.read(FLUTAMIDE))]))
    answers = model(**batch).answers[0].sigmoid().detach().numpy()
    assert isinstance(result, ToxicityPrediction)
    assert [*result.spread] == ["nitro", "halogen"]
    assert [*result.spread.values()] == pytest.approx(answers.std(axis=0), abs=1e-6)
    assert min(result.spread.values()) > 0
    assert result.to_dict()["spread"] == result.spread


def test_descriptors_are_standardised_by_the_training_rows_and_unknown_ones_replaced() -> None:
    _, processor = fitted("dnn")
    molecules = SUBJECT.table.rows["input"]
    values = np.stack([processor.features(processor.read(raw))["descriptors"] for raw in molecules])
    assert values.shape == (64, len(descriptor_names()))
    assert np.abs(np.median(values, axis=0)).max() < 3
    assert np.abs(values).max() <= 5
    odd = processor.features(processor.read("*C(=O)C"))  # weights and charges of an unknown atom are not defined
    assert np.isnan(compute_descriptors(read_molecule("*C(=O)C"), processor.descriptors)).any()
    assert np.isfinite(odd["descriptors"]).all()


def test_a_descriptor_that_rdkit_lacks_is_an_error() -> None:
    with pytest.raises(ProcessorError, match="no descriptor 'NoSuchThing'"):
        compute_descriptors(read_molecule("CCO"), ["MolWt", "NoSuchThing"])


def test_tokens_are_atoms_bonds_and_rings() -> None:
    assert SMILES_TOKEN.findall("C[C@@H](Cl)c1ccc(Br)%12=N") == [
        "C", "[C@@H]", "(", "Cl", ")", "c", "1", "c", "c", "c", "(", "Br", ")", "%12", "=", "N",
    ]  # fmt: skip
    assert [token for token in SMILES_TOKEN.findall("[nH]1c(Cl)c-2#*/%12=N") if ATOM.match(token)] == [
        "[nH]", "c", "Cl", "c", "*", "N",
    ]  # fmt: skip


def test_training_draws_a_spelling_and_prediction_takes_all() -> None:
    _, processor = fitted("cnn")
    columns = processor.stack([processor.features(processor.read(smiles)) for smiles in (FLUTAMIDE, "CCO")])
    everything = processor.collate(columns)["tokens"]
    drawn = [processor.collate(columns, torch.Generator().manual_seed(seed))["tokens"] for seed in range(8)]
    assert everything.shape[:2] == (2, processor.spellings)
    assert all(tokens.shape == (2, 1, everything.shape[2]) for tokens in drawn)
    seen = {next(i for i in range(2) if torch.equal(tokens[0, 0], everything[0, i])) for tokens in drawn}
    assert seen == {0, 1}


def test_a_token_that_training_did_not_see_is_the_unknown_one() -> None:
    model, processor = fitted("cnn")
    batch = batch_of(processor, "C[Se]C")
    assert (batch["tokens"] == 1).any()
    assert model(**batch).logits.isfinite().all()


def test_a_file_of_molecules_is_predicted_and_its_bad_rows_are_named(tmp_path: Path) -> None:
    model, processor = fitted("dnn")
    predictor = Predictor(medhub.get("chem/toxicity"), model, processor, device="cpu")
    assert [result.input for result in predictor.predict(write(tmp_path / "good.csv", "smiles\nCCO\nCCN\n"))] == [
        "CCO",
        "CCN",
    ]
    bad = write(tmp_path / "bad.csv", "smiles\nCCO\nC1CC\nCCN\n")
    with pytest.raises(InputError, match=r"bad\.csv, line 3"):
        predictor.predict(bad)
    kinds = [type(result).__name__ for result in predictor.predict_each(processor.inputs(bad))]
    assert kinds == ["ToxicityPrediction", "InputError", "ToxicityPrediction"]
