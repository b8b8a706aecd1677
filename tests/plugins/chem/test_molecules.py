"""Molecules: parsing, cleaning, scaffolds, spellings, merged labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from medhub.errors import InputError
from medhub.plugins.chem.drawing import HEIGHT, WIDTH, draw_atoms
from medhub.plugins.chem.molecules import (
    atom_names,
    canonical_smiles,
    is_mixture,
    merge_labels,
    parse_smiles,
    read_molecule,
    scaffold,
    spellings,
)

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def canonical(raw: object) -> str:
    return canonical_smiles(read_molecule(raw))


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("C1CC", "unclosed ring"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("CC(=O)O)", "extra close parentheses"),
        ("c1cccc1", "kekulize"),
        ("nonsense", "syntax error"),
    ],
)
def test_an_error_names_the_smiles_and_rdkits_reason(smiles: str, reason: str) -> None:
    with pytest.raises(InputError) as error:
        read_molecule(smiles)
    assert repr(smiles) in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize("raw", [None, "", "  ", 7, {"name": "aspirin"}, object()])
def test_what_is_no_smiles_is_refused(raw: object) -> None:
    with pytest.raises(InputError, match=r"give|write"):
        read_molecule(raw)


def test_two_molecules_in_one_text_are_refused_rather_than_the_second_forgotten() -> None:
    with pytest.raises(InputError, match="one SMILES at a time"):
        read_molecule("CCO\nCCN")


@pytest.mark.parametrize(
    ("smiles", "reason"), [("[Na+].[Cl-]", "no carbon"), ("*", "no carbon"), ("C" * 201, "201 heavy")]
)
def test_what_is_beyond_scope_is_refused(smiles: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_molecule(smiles)
    assert canonical("C" * 200) == "C" * 200


def test_an_error_begins_with_the_place_of_the_record() -> None:
    with pytest.raises(InputError, match=r"^tox\.csv, line 3: 'C1CC'"):
        read_molecule({"smiles": "C1CC", "place": "tox.csv, line 3"})


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("CC(=O)[O-].[Na+]", "CC(=O)O"),
        ("C[NH3+].[Cl-]", "CN"),
        ("O.O.CCO", "CCO"),
        ("Cl[Pt](Cl)(Cl)Cl.CCN", "CCN"),
        ("C[N+](C)(C)C.[Br-]", "C[N+](C)(C)C"),  # a charge that no proton can take away stays
        ("C[N+](=O)[O-]", "C[N+](=O)[O-]"),
        ("C[Sn](C)(C)[Cl]", "[CH3][Sn]([CH3])([CH3])[Cl]"),  # an organotin compound is not its ligand
        ("[CH3:1][OH:2]", "CO"),
        ("[H]C([H])([H])O[H]", "CO"),
    ],
)
def test_salts_charges_and_atom_maps_fall_away(written: str, clean: str) -> None:
    assert canonical(written) == clean


def test_a_mixture_is_recognised() -> None:
    assert is_mixture(parse_smiles("CC(=O)[O-].[Na+]"))
    assert not is_mixture(parse_smiles(ASPIRIN))


def test_rdkit_molecules_and_dicts_are_read_like_their_smiles() -> None:
    assert (
        canonical(Chem.MolFromSmiles(ASPIRIN)) == canonical({"smiles": ASPIRIN}) == canonical(f" {ASPIRIN} ") == ASPIRIN
    )


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [ASPIRIN, "C[C@H](N)C(=O)O", "C/C=C/C", "c1ccc2c(c1)cc1ccc3cccc4ccc2c1c34", "CCN(CC)C(=O)C1CN(C)CC1"]
    ),
    st.integers(0, 2**16),
)
def test_every_spelling_becomes_the_same_molecule(smiles: str, seed: int) -> None:
    mol = Chem.MolFromSmiles(smiles)
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    spelling = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    one, other = read_molecule(smiles), read_molecule(spelling)
    assert canonical_smiles(one) == canonical_smiles(other)
    assert atom_names(one) == atom_names(other)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="CNOclBr[]()=#@+-123%.*/\\ ", max_size=20))
def test_any_text_is_a_molecule_or_an_input_error(text: str) -> None:
    try:
        mol = read_molecule(text)
    except InputError:
        return
    assert mol.GetNumHeavyAtoms() > 0


def test_rdkit_says_nothing_aloud_and_keeps_its_voice(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError):
        read_molecule("C1CC")
    assert capfd.readouterr().err == ""
    Chem.MolFromSmiles("C1CC")
    assert "unclosed ring" in capfd.readouterr().err


def test_a_scaffold_is_rings_and_linkers_without_stereochemistry() -> None:
    assert scaffold(parse_smiles(ASPIRIN)) == "c1ccccc1"
    assert scaffold(parse_smiles("CCc1ccc(CCN2CCCC2)cc1")) == "c1ccc(CCN2CCCC2)cc1"
    left, right = (scaffold(parse_smiles(s)) for s in ("C[C@H]1CC[C@@H](O)CC1", "C[C@H]1CC[C@H](O)CC1"))
    assert left == right


def test_a_molecule_without_rings_is_a_group_of_its_own() -> None:
    assert scaffold(parse_smiles("C[C@H](N)C(=O)O")) == "CC(N)C(=O)O" == scaffold(parse_smiles("C[C@@H](N)C(=O)O"))
    assert scaffold(parse_smiles("CCO")) != scaffold(parse_smiles("CCN"))


def test_spellings_are_the_same_molecule_atom_by_atom_and_repeat() -> None:
    mol = read_molecule("CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1")
    found = spellings(mol, 8)
    assert found == spellings(mol, 8)
    assert len(found) == 8
    assert found[0].smiles == canonical_smiles(mol)
    assert len({spelling.smiles for spelling in found}) > 4
    for spelling in found:
        written = Chem.MolFromSmiles(spelling.smiles)
        assert canonical_smiles(written) == canonical_smiles(mol)
        elements = [mol.GetAtomWithIdx(atom).GetSymbol() for atom in spelling.order]
        assert [atom.GetSymbol() for atom in written.GetAtoms()] == elements
        neighbours = [mol.GetAtomWithIdx(atom).GetDegree() for atom in spelling.order]
        assert [atom.GetDegree() for atom in written.GetAtoms()] == neighbours


def test_copies_complete_each_other_and_disagreement_is_unknown() -> None:
    nan = np.nan
    copies = np.array([[1, 0, nan, 1, nan], [1, nan, 0, 0, nan]])
    assert np.array_equal(merge_labels(copies), [1, 0, 0, nan, nan], equal_nan=True)


def test_a_picture_is_red_where_atoms_speak_for_it_and_blue_where_against() -> None:
    mol = read_molecule("CCO")
    pixels = np.asarray(draw_atoms(mol, np.array([1.0, 0.0, -1.0]))).astype(int)
    assert pixels.shape[0] <= HEIGHT
    assert pixels.shape[1] <= WIDTH
    red, blue = (pixels[..., 0] - pixels[..., 2] > 100), (pixels[..., 2] - pixels[..., 0] > 100)
    assert red.sum() > 100
    assert blue.sum() > 100
    plain = np.asarray(draw_atoms(mol, np.zeros(3))).astype(int)
    assert (plain.max(axis=-1) == plain.min(axis=-1)).all()
    assert plain.min() < 50  # the bonds
