"""chem/optimization: molecules as SMILES and tokens, the processor, rows and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medhub.data import load_data, prepare, row_keys
from medhub.errors import InputError
from medhub.plugins.chem.molecules import parse_smiles
from medhub.plugins.chem.optimization import data
from medhub.plugins.chem.optimization.config import OptimizationConfig
from medhub.plugins.chem.optimization.data import DATASETS, own_files, synthetic
from medhub.plugins.chem.optimization.processing import OptimizationProcessor
from medhub.plugins.chem.optimization.properties import measure, penalised_logp, qed, sa, similarities
from medhub.plugins.chem.optimization.tokens import BOUND, PADDING, SPECIAL, UNKNOWN, Vocabulary, spell, write_smiles

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
MOLECULES = synthetic(48).rows["labels"][:]
VOCABULARY = Vocabulary.learn([spell(smiles) for smiles in MOLECULES], size=96)


def test_tokens_give_back_every_molecule_and_are_fewer_than_symbols() -> None:
    for smiles in MOLECULES:
        symbols = spell(smiles)
        tokens = VOCABULARY.encode(symbols)
        assert VOCABULARY.decode(tokens) == "".join(symbols)
        assert write_smiles(VOCABULARY.decode(tokens)) == smiles
        assert min(tokens) >= SPECIAL
        assert len(tokens) < len(symbols)
    assert len(VOCABULARY) == 96


def test_a_vocabulary_is_the_same_after_saving() -> None:
    again = Vocabulary(VOCABULARY.symbols, VOCABULARY.merges)
    assert [again.encode(spell(smiles)) for smiles in MOLECULES] == [
        VOCABULARY.encode(spell(smiles)) for smiles in MOLECULES
    ]


def test_unknown_symbols_are_read_and_never_written() -> None:
    tokens = VOCABULARY.encode(spell("CC[Si](C)(C)C"))
    assert UNKNOWN in tokens
    assert "Si" not in VOCABULARY.decode(tokens)


@given(st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=30))
def test_any_tokens_are_a_molecule_or_nothing(tokens: list[int]) -> None:
    smiles = write_smiles(VOCABULARY.decode(tokens))
    assert smiles is None or parse_smiles(smiles).GetNumAtoms() > 0


def test_what_stands_behind_the_bound_does_not_count() -> None:
    tokens = VOCABULARY.encode(spell(ASPIRIN))
    assert VOCABULARY.decode([*tokens, BOUND, *tokens]) == VOCABULARY.decode([*tokens, PADDING])
    assert write_smiles("") is None


@pytest.mark.parametrize("text", ["C1CC", "CC(", "F(C)(C)C", "CC.O", "cc"])
def test_what_is_written_wrongly_is_no_molecule(text: str) -> None:
    assert write_smiles(text) is None


def test_properties_are_those_of_the_literature() -> None:
    aspirin = parse_smiles(ASPIRIN)
    assert qed(aspirin) == pytest.approx(0.550, abs=1e-3)  # Bickerton et al. 2012
    assert sa(aspirin) == pytest.approx(1.58, abs=0.01)
    # benzene: logP 1.6866, SA 1, no large ring
    standardised = (1.6866 - 2.4570953) / 1.4343244 + (-1 + 3.0525811) / 0.8335207 + 0.0485697 / 0.2860212
    assert penalised_logp(parse_smiles("c1ccccc1")) == pytest.approx(standardised, abs=1e-3)
    assert penalised_logp(parse_smiles("C1CCCCCCCC1")) < penalised_logp(parse_smiles("C1CCCCC1"))
    assert [*measure(aspirin)] == ["qed", "plogp", "sa"]


def test_similarity_is_one_for_another_spelling_only() -> None:
    alike = similarities(parse_smiles(ASPIRIN), [parse_smiles("O=C(O)c1ccccc1OC(C)=O"), parse_smiles("CCCC")])
    assert alike[0] == 1
    assert alike[1] < 0.2


def processor_of(**changes: object) -> tuple[OptimizationProcessor, OptimizationConfig]:
    config = OptimizationConfig.tiny(**changes)  # type: ignore[arg-type]
    return OptimizationProcessor.fit(synthetic(32).rows, config), config


def test_reading_strips_salts_and_stereochemistry() -> None:
    processor, _ = processor_of()
    assert processor.read("C[C@H](N)C(=O)[O-].[Na+]") == processor.read("C[C@@H](N)C(=O)O") == "CC(N)C(=O)O"
    assert processor.read("F/C=C/F") == processor.read("F/C=C\\F")
    assert processor.read({"clean": "CCO"}) == "CCO"


@pytest.mark.parametrize("raw", ["[Na+].[Cl-]", "C" * 300, "C(C)(C)(C)(C)C", "c1ccccc", 7, {"clean": ""}])
def test_what_is_no_organic_molecule_is_refused(raw: object) -> None:
    processor, _ = processor_of()
    with pytest.raises(InputError):
        processor.read(raw)


def test_features_do_not_depend_on_the_spelling() -> None:
    processor, config = processor_of()
    one, other = (processor.features(processor.read(text)) for text in (ASPIRIN, "O=C(O)c1ccccc1OC(C)=O"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert len(one["tokens"]) < config.longest
    assert one["tokens"].dtype == np.int16


def test_properties_are_measured_of_a_share_of_the_molecules() -> None:
    table = synthetic(64)
    processor, _ = processor_of()
    everything = prepare(table.rows, processor, cache=False).take(np.arange(64))
    assert np.isfinite(everything["labels"]).all()
    processor.measured = 0.5
    half = prepare(table.rows, processor, cache=False).take(np.arange(64))["labels"]
    assert 0.2 < np.isnan(half).any(axis=1).mean() < 0.8
    assert [bytes(row).decode() for row in everything["smiles"]] == table.rows["labels"][:]


def test_synthetic_rows_repeat_and_split_by_scaffold() -> None:
    assert row_keys(synthetic(24, seed=1).rows) == row_keys(synthetic(24, seed=1).rows)
    assert row_keys(synthetic(24, seed=1).rows) != row_keys(synthetic(24, seed=2).rows)
    splits = load_data(synthetic(48), split="group", seed=0)
    assert not set(splits.train["group"]) & set(splits.test["group"])


def test_own_molecules_are_cleaned_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("name,smiles\na,CC(=O)[O-].[Na+]\nb,OC(C)=O\nc,CCN\nd,[Na+].[Cl-]\ne,CS(C)(C)(C)(C)(C)C\n")
    with pytest.raises(InputError, match=r"own\.csv, line 6"):  # RDKit refuses that valence itself
        own_files(path)
    path.write_text("name,smiles\na,CC(=O)[O-].[Na+]\nb,OC(C)=O\nc,CCN\nd,[Na+].[Cl-]\n")
    table = own_files(path)
    assert table.rows["labels"][:] == ["CC(=O)O", "CCN"]
    assert table.dropped == {
        "another copy of a molecule": 1,
        "no carbon, too many atoms, or no valid structure": 1,
    }


def test_own_files_without_a_usable_molecule_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "salt.smi"
    path.write_text("[Na+].[Cl-] salt\n")
    with pytest.raises(InputError, match=r"salt\.smi holds no molecule that can be learnt from: 1 no carbon"):
        own_files(path)


def test_drd2_files_are_those_declared_and_molecules_stand_in_one_part_each(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DATASETS["drd2-pairs"]
    paths = source.fetch()
    assert {*paths} == {
        "drd2/mols.txt.gz",
        "drd2/train_pairs.txt.gz",
        "drd2/valid.txt",
        "drd2/test.txt",
        "qed/test.txt",
    }
    read = data._lines
    monkeypatch.setattr(data, "_lines", lambda path: read(path)[:60])  # all 31,000 take a minute
    rows = source.load(paths).rows
    assert {*rows["split"]} == {"train", "validation", "test"}
    assert len({*rows["labels"]}) == len(rows) > 150
