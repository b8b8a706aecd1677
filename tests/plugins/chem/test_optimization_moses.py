"""chem/optimization: MOSES' figures, against hand-made cases and against the statistics that its wheel holds."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter
from typing import Any

import numpy as np
import pytest
from rdkit.Chem import MolFromSmarts

from medhub.data import File, Source
from medhub.errors import InputError
from medhub.plugins.chem.molecules import canonical_smiles, parse_smiles
from medhub.plugins.chem.optimization.data import DATASETS, MOSES_WHEEL, read_moses, synthetic
from medhub.plugins.chem.optimization.distributions import (
    cosine_of_counts,
    fingerprints,
    fragments,
    internal_diversity,
    nearest,
    ring_scaffold,
)
from medhub.plugins.chem.optimization.moses import (
    Reference,
    activations,
    frechet_distance,
    measure_generation,
    passes,
    read_filters,
)
from medhub.plugins.chem.optimization.properties import logp, qed, sa

MOLECULES = synthetic(24).rows["labels"][:]
STATISTICS = Source(
    name="moses-statistics",
    version=MOSES_WHEEL.replace("==", " "),
    title="What MOSES computed of its test molecules",
    files=(
        File(
            name="test_stats.npz",
            sha256="ded25073225a895d4ed17bf1d4223d27560e87ff4cb85786346ca1cc8efa03d3",
            bytes=16781400,
            wheel=MOSES_WHEEL,
            member="moses/dataset/data/test_stats.npz",
        ),
    ),
    licence="MIT",
    citation="Polykovskiy et al. 2020",
    homepage="https://github.com/molecularsets/moses",
    group_by="molecule",
    load=lambda paths: synthetic(),
    splits=("official",),
)
COMPARED = 100


class Numbers(pickle.Unpickler):
    """Reads arrays and counts from the statistics, and refuses all else that a pickle could name."""

    ALLOWED = frozenset(("_reconstruct", "ndarray", "dtype", "scalar", "Counter", "encode"))
    MODULES = ("numpy", "collections", "_codecs")

    def find_class(self, module: str, name: str) -> Any:
        if name not in self.ALLOWED or module.partition(".")[0] not in self.MODULES:
            raise pickle.UnpicklingError(f"{module}.{name} is no number")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def reference(**changes: Any) -> Reference:
    given = {"train": frozenset(MOLECULES[:8]), "test": MOLECULES, "test_scaffolds": MOLECULES[12:], "filters": ()}
    return Reference(**{**given, **changes})


def test_the_test_set_itself_gets_the_best_figures() -> None:
    figures = measure_generation(MOLECULES, reference=reference())
    assert figures["valid"] == figures["unique@1000"] == figures["unique@10000"] == 1
    assert figures["novelty"] == pytest.approx(16 / 24)
    for name in ("snn/test", "frag/test", "scaf/test"):
        assert figures[name] == pytest.approx(1)
    assert figures["scaf/scaffolds"] < 1
    assert 0 < figures["intdiv"] < 1


def test_invalid_and_repeated_molecules_count_as_moses_counts_them() -> None:
    generated = ["CCO", "OCC", None, "", "c1ccccc", *MOLECULES[8:13]]
    figures = measure_generation(generated, reference=reference())
    assert figures["valid"] == 0.7
    assert figures["unique@1000"] == pytest.approx(6 / 7)  # two spellings of ethanol are one molecule
    assert figures["novelty"] == 1.0


def test_nothing_valid_is_an_error() -> None:
    with pytest.raises(InputError, match="none of 2 generated molecules is valid"):
        measure_generation(["", None], reference=reference())


def test_similarities_are_those_of_all_pairs() -> None:
    prints = fingerprints(MOLECULES).astype(bool)
    alike = np.array([[(a & b).sum() / (a | b).sum() for b in prints] for a in prints])
    assert internal_diversity(prints) == pytest.approx(1 - alike.mean(), abs=1e-6)
    assert internal_diversity(prints, power=2) == pytest.approx(1 - np.sqrt((alike**2).mean(axis=1)).mean(), abs=1e-6)
    assert nearest(prints[:5], prints[5:]) == pytest.approx(alike[:5, 5:].max(axis=1), abs=1e-6)


def test_fragments_and_scaffolds_follow_their_definitions() -> None:
    assert len(fragments("CC(=O)Nc1ccccc1")) == 3  # acetyl, amine, phenyl
    assert ring_scaffold("c1ccccc1CC") is None  # one ring does not count
    assert ring_scaffold("Cc1ccc(CC2CCCCC2)cc1") == canonical_smiles(parse_smiles("c1ccc(CC2CCCCC2)cc1"))
    assert cosine_of_counts(Counter(a=1), Counter(b=1)) == 0
    assert cosine_of_counts(Counter(a=1, b=1), Counter(a=2, b=2)) == pytest.approx(1)


def test_filters_refuse_charges_elements_large_rings_and_patterns() -> None:
    assert passes("CCO", ())
    for smiles in ("C[N+](C)(C)C", "CCI", "C1CCCCCCC1"):
        assert not passes(smiles, ())
    assert not passes("CCO", (MolFromSmarts("[OH]"),))
    assert not passes("CCO", (MolFromSmarts("[#8]-[#1]"),))  # patterns may name hydrogens


def test_the_frechet_distance_of_normal_distributions_is_known() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((5000, 3))
    assert frechet_distance(vectors, vectors) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(vectors, vectors + np.array([1, 2, 0])) == pytest.approx(5)
    # covariances that commute: the sum of squared differences of the deviations
    scaled = vectors * [2, 1, 3]
    deviations = vectors.std(axis=0, ddof=1)
    expected = ((deviations * [1, 0, 2]) ** 2).sum() + (scaled.mean(axis=0) - vectors.mean(axis=0)) @ (
        scaled.mean(axis=0) - vectors.mean(axis=0)
    )
    assert frechet_distance(vectors, scaled) == pytest.approx(expected, rel=1e-2)


def published() -> dict[str, dict[str, Any]]:
    """Return what MOSES computed of its test molecules: fingerprints, counts, properties, ChemNet's mean."""
    with zipfile.ZipFile(STATISTICS.fetch()["test_stats.npz"]) as archive:
        content = io.BytesIO(archive.read("stats.npy"))
    np.lib.format.read_magic(content)
    np.lib.format.read_array_header_1_0(content)
    return Numbers(content, encoding="latin1").load().item()


@pytest.mark.index
def test_figures_agree_with_those_that_moses_computed() -> None:
    known = published()
    paths = DATASETS["moses"].fetch()
    molecules = read_moses(paths["test.csv.gz"])[:COMPARED].tolist()
    mols = [parse_smiles(smiles) for smiles in molecules]

    assert np.array_equal(fingerprints(molecules), known["SNN"]["fps"][:COMPARED])
    for name, compute in (("logP", logp), ("SA", sa), ("QED", qed)):
        assert [compute(mol) for mol in mols] == pytest.approx(known[name]["values"][:COMPARED], abs=1e-4)
    counted = known["Frag"]["frag"]
    assert np.mean([fragment in counted for smiles in molecules for fragment in fragments(smiles)]) > 0.99
    scaffolds = [scaffold for smiles in molecules if (scaffold := ring_scaffold(smiles)) is not None]
    assert np.mean([scaffold in known["Scaf"]["scaf"] for scaffold in scaffolds]) > 0.99
    assert np.mean([passes(smiles, read_filters(paths)) for smiles in molecules]) == 1


@pytest.mark.index
def test_activations_agree_with_those_that_moses_computed() -> None:
    pytest.importorskip("fcd_torch", reason="the Fréchet ChemNet distance needs pip install fcd_torch")
    known = published()["FCD"]
    test = read_moses(DATASETS["moses"].fetch()["test.csv.gz"])
    found = activations(test[:: len(test) // COMPARED].tolist())
    # a sample's mean lies about a standard error from that of all
    error = np.sqrt(np.diag(known["sigma"]) / len(found))
    assert np.mean(np.abs(found.mean(axis=0) - known["mu"]) < 3 * error) > 0.98
