"""Files of molecules: CSV, SMI and SDF, and what is said about bad ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from rdkit import Chem

from medhub.errors import InputError
from medhub.plugins.chem.files import is_molecule_file, read_records
from medhub.plugins.chem.molecules import canonical_smiles, read_molecule


def write_sdf(path: Path, molecules: dict[str, dict[str, str]]) -> Path:
    writer = Chem.SDWriter(str(path))
    for smiles, fields in molecules.items():
        mol = Chem.MolFromSmiles(smiles)
        for name, value in fields.items():
            mol.SetProp(name, value)
        writer.write(mol)
    writer.close()
    return path


def test_a_csv_gives_the_molecule_its_line_and_the_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "tox.csv"
    path.write_text('\ufeffname,SMILES,toxic\n"ethanol, pure",CCO,0\nmethanol,CO,1\n', encoding="utf-8")
    first, second = read_records(path)
    assert first.place == "tox.csv, line 2"
    assert first.values == {"name": "ethanol, pure", "toxic": "0"}
    assert canonical_smiles(read_molecule(second.raw)) == "CO"


def test_a_compressed_csv_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "tox.CSV.gz"
    path.write_bytes(gzip.compress(b"smiles\nCCO\n"))
    assert [record.raw["smiles"] for record in read_records(path)] == ["CCO"]
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(InputError, match=r"tox\.CSV\.gz cannot be read"):
        read_records(path)


def test_an_smi_list_has_names_behind_the_molecules(tmp_path: Path) -> None:
    path = tmp_path / "list.smi"
    path.write_text("CCO ethanol\n\nCO\tmethyl alcohol\n")
    assert [(record.place, record.raw["smiles"], record.values) for record in read_records(path)] == [
        ("list.smi, line 1", "CCO", {"name": "ethanol"}),
        ("list.smi, line 3", "CO", {"name": "methyl alcohol"}),
    ]


def test_an_sdf_gives_molecules_and_their_fields(tmp_path: Path) -> None:
    path = write_sdf(tmp_path / "tox.sdf", {"CCO": {"toxic": "0", "note": "two\nlines"}, "c1ccccc1O": {"toxic": "1"}})
    first, second = read_records(path)
    assert first.values == {"toxic": "0", "note": "two\nlines"}
    assert [canonical_smiles(read_molecule(record.raw)) for record in (first, second)] == ["CCO", "Oc1ccccc1"]


def test_a_bad_sdf_record_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_sdf(tmp_path / "tox.sdf", {"CCO": {}, "CCN": {}, "CCC": {}})
    records = path.read_text().split("$$$$\n")
    records[1] = records[1].replace(" N ", " Xx")
    path.write_text("$$$$\n".join(records).rstrip("$\n") + "\n")  # nor does the last record end as it should
    good, bad, last = read_records(path)
    assert canonical_smiles(read_molecule(good.raw)) == "CCO"
    assert canonical_smiles(read_molecule(last.raw)) == "CCC"
    with pytest.raises(InputError, match=r"^tox\.sdf, record 2: .*Xx"):
        read_molecule(bad.raw)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tox.csv", "", "no column 'smiles'"),
        ("tox.csv", "smile,toxic\nCCO,1\n", "did you mean 'smile'"),
        ("tox.csv", "smiles,toxic\n", "holds no molecule"),
        ("tox.csv", "smiles,toxic\nCCO,1,2\n", "line 2 has another number of fields"),
        ("tox.csv", "smiles,toxic\nCCO,1\nCO\n", "line 3 has another number of fields"),
        ("tox.smi", "\n\n", "holds no molecule"),
        ("tox.sdf", "", "holds no molecule"),
        ("tox.txt", "CCO", "ends in .csv, .smi, .sdf"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_records(path)
    assert name in str(error.value)
    assert said in str(error.value)


def test_files_are_told_from_molecules_by_their_names(tmp_path: Path) -> None:
    assert is_molecule_file("molecules.csv")
    assert is_molecule_file(tmp_path / "molecules.SDF.gz")
    assert not is_molecule_file("CC(=O)O")
    assert not is_molecule_file(None)
    with pytest.raises(InputError, match=r"absent\.csv"):
        read_records(tmp_path / "absent.csv")
