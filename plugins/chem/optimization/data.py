"""Where the molecules come from: MOSES, DRD2's, the user's own files, and molecules made up for tests.

Every row's `input` is a clean molecule, and so are its `labels`: what a network reads it must be able to write. MOSES
and DRD2's rows are their own `group`, as their authors split at random; the user's are split by scaffold.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from datasets import Dataset
from numpy.typing import NDArray

from medhub.data import File, Source, Table
from medhub.errors import InputError
from medhub.plugins.chem.files import read_records
from medhub.plugins.chem.molecules import parse_molecule, parse_smiles, scaffold

from .processing import flat_smiles
from .properties import PROPERTIES

LABEL_NAMES = tuple(PROPERTIES)
MOSES_WHEEL = "molsets==0.3.1"
VALIDATION_ROWS, TEST_ROWS = 2_000, 10_000
"""Of MOSES: beside each of them a molecule is generated, after every epoch and at the end."""
SHOWN_FAULTS = 5


def load_moses(paths: Mapping[str, Path]) -> Table:
    """Return MOSES' training molecules, some of them for validation, and some of its test molecules."""
    train, test = (read_moses(paths[name]) for name in ("train.csv.gz", "test.csv.gz"))
    chosen = test[np.linspace(0, len(test) - 1, TEST_ROWS).astype(int)]
    parts = np.full(len(train), "train", dtype=object)
    parts[np.linspace(0, len(train) - 1, VALIDATION_ROWS).astype(int)] = "validation"
    return Table(
        rows=_rows([*train, *chosen], split=[*parts, *["test"] * len(chosen)]),
        label_names=LABEL_NAMES,
        dropped={"test molecules beyond those that generated ones are laid beside": len(test) - len(chosen)},
        notes=(
            f"MOSES names no validation part; {VALIDATION_ROWS:,} of its training molecules, evenly spaced, are it.",
        ),
    )


def read_moses(path: Path) -> NDArray[np.object_]:
    """Return the molecules of one of MOSES' files, which are clean and canonical."""
    header, *molecules = gzip.decompress(path.read_bytes()).decode().split()
    if header != "SMILES":
        raise InputError(f"{path} begins with {header!r}, not with 'SMILES'; it is no file of MOSES")
    return np.array(molecules, dtype=object)


def load_drd2(paths: Mapping[str, Path]) -> Table:
    """Return the molecules of the pairs that differ in activity at the dopamine receptor D2, split as published."""
    texts = {part: _lines(paths[f"drd2/{name}"]) for part, name in DRD2_PARTS.items()}
    clean, part_of, dropped = [], [], Counter[str]()
    seen: set[str] = set()
    for part in ("test", "validation", "train"):  # so that a molecule of several parts is never learnt from
        for text in texts[part]:
            smiles = _usable(text, dropped)
            if smiles is None or smiles in seen:
                dropped["another copy of a molecule"] += smiles is not None
                continue
            seen.add(smiles)
            clean.append(smiles)
            part_of.append(part)
    return Table(rows=_rows(clean, split=part_of), label_names=LABEL_NAMES, dropped=dict(+dropped))


DRD2_PARTS = {"train": "mols.txt.gz", "validation": "valid.txt", "test": "test.txt"}


def _moses_file(member: str, sha256: str, size: int) -> File:
    return File(name=Path(member).name, sha256=sha256, bytes=size, wheel=MOSES_WHEEL, member=f"moses/{member}")


DATASETS: dict[str, Source] = {
    "moses": Source(
        name="moses",
        version=MOSES_WHEEL.replace("==", " "),
        title="MOSES: 1.9 million drug-like molecules of ZINC, to compare what is generated with",
        files=(
            _moses_file(
                "dataset/data/train.csv.gz",
                "786f0313aa6b9ba5514df685f885742a70ea8d86f1a4fa48115f7f80a634265c",
                10238967,
            ),
            _moses_file(
                "dataset/data/test.csv.gz", "f896fbf3764f88d94670b9959e5872c600c12152a18233823e820761b7a791b2", 1367572
            ),
            _moses_file(
                "dataset/data/test_scaffolds.csv.gz",
                "adffb2192c1bfe31ab0e13154d4af19a37dc18bdbf3cd7b4491e04405128adde",
                1274114,
            ),
            _moses_file("metrics/mcf.csv", "f4a2bfacb4cb8877295eb2a4b4e61ec9770a26388f1331e5dc9c193d22dd5f89", 739),
            _moses_file(
                "metrics/wehi_pains.csv", "d762e5420ec70f06d7e41d336cae6f67e2feb0eddf05c6171192a332726d296f", 207418
            ),
        ),
        licence="MIT",
        citation="Polykovskiy et al. 2020 (10.3389/fphar.2020.565644)",
        homepage="https://github.com/molecularsets/moses",
        group_by="molecule",
        load=load_moses,
        splits=("official",),
    ),
    "drd2-pairs": Source(
        name="drd2-pairs",
        version="hgraph2graph e396dba",
        title="Molecules active and inactive at the dopamine receptor D2, to make the ones of the others",
        files=(
            File(
                name="drd2/mols.txt.gz",
                sha256="ec16aa39ceac982be3864a23f428b0b8ec7f7c0fd01c8b6febdd396ee160a5d0",
                bytes=205356,
            ),
            File(
                name="drd2/train_pairs.txt.gz",
                sha256="f0c5e76d5be386fcbc54dc217fbab6d8b305401622936669c57e9f419d1a673f",
                bytes=569675,
            ),
            File(
                name="drd2/valid.txt",
                sha256="c171000996874f49877cc606eb54bee6f21fdd9ea8520c2ddf12b398a3b21707",
                bytes=20891,
            ),
            File(
                name="drd2/test.txt",
                sha256="d87060dea50182c33777226a7e95f4690c7c534843d73b1fbb9ed281b361c3ff",
                bytes=41568,
            ),
            File(
                name="qed/test.txt",
                sha256="a793a897922be4cd0601f543022cfa1ea60b94668d10383feefdd8a6f06786a2",
                bytes=32327,
            ),
        ),
        licence="MIT",
        citation="Olivecrona et al. 2017 (10.1186/s13321-017-0235-x); Jin et al. 2019 (arXiv:1812.01070)",
        homepage="https://github.com/wengong-jin/hgraph2graph",
        group_by="molecule",
        load=load_drd2,
        splits=("official",),
    ),
}


def own_files(path: str | Path) -> Table:
    """Read the molecules of a CSV with a column `smiles`, an SMI list or an SDF; other columns are left aside.

    Raises InputError, with their lines, for molecules that do not parse.
    """
    records = read_records(path)
    _refuse_unparsable(path, [(record.place, record.raw) for record in records])
    dropped: Counter[str] = Counter()
    usable = [smiles for record in records if (smiles := _usable(record.raw, dropped)) is not None]
    clean = [*dict.fromkeys(usable)]
    dropped["another copy of a molecule"] += len(usable) - len(clean)
    if not clean:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
        raise InputError(f"{path} holds no molecule that can be learnt from: {reasons}; give organic molecules")
    groups = [scaffold(parse_smiles(smiles)) for smiles in clean]
    return Table(rows=_rows(clean, group=groups), label_names=LABEL_NAMES, dropped=dict(+dropped))


def synthetic(size: int = 64, seed: int = 0) -> Table:
    """Make up molecules: rings that bear groups, with chains between them."""
    random = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < size:
        found[flat_smiles(_made_up(random))] = None
    return Table(
        rows=_rows([*found], group=[scaffold(parse_smiles(smiles)) for smiles in found]), label_names=LABEL_NAMES
    )


def _made_up(random: np.random.Generator) -> str:
    """Write a molecule of up to three rings."""
    chains = ("C", "CC", "COC", "CNC(=O)", "CCN", "C(=O)N", "OCC", "S(=O)(=O)N")
    rings = ("c1ccc({})cc1", "c1nc({})ccc1", "C1CCC({})CC1", "c1ccc2cc({})ccc2c1", "C1CN(C({}))CCC1", "c1cc({})sc1")
    groups = ("C", "OC", "C#N", "F", "Cl", "Br", "C(=O)N(C)C", "C(F)(F)F", "O", "N")
    pieces = [random.choice(chains)]
    for _ in range(random.integers(1, 4)):
        pieces += [random.choice(rings).format(random.choice(groups)), random.choice(chains)]
    return "".join(pieces)


def _rows(smiles: Sequence[str], *, group: Sequence[str] | None = None, split: Sequence[str] | None = None) -> Dataset:
    """Return clean molecules as rows; without a `group` each is its own."""
    molecules = pyarrow.array(smiles, pyarrow.string())
    columns = {
        "input": pyarrow.StructArray.from_arrays([molecules], ["clean"]),
        "labels": molecules,
        "group": molecules if group is None else pyarrow.array(group, pyarrow.string()),
    }
    if split is not None:
        columns["split"] = pyarrow.array(split, pyarrow.string())
    return Dataset(pyarrow.table(columns))


def _usable(raw: Any, dropped: Counter[str]) -> str | None:
    """Return a molecule clean, None for one that cannot be learnt from, which is counted by its reason."""
    try:
        return flat_smiles(raw)
    except InputError:
        dropped["no carbon, too many atoms, or no valid structure"] += 1
        return None


def _refuse_unparsable(path: str | Path, molecules: Iterable[tuple[str, Any]]) -> None:
    faults = []
    for place, raw in molecules:
        try:
            parse_molecule(raw)
        except InputError as error:
            faults.append(f"{place}: {error}")
    if faults:
        more = f" (and {len(faults) - SHOWN_FAULTS} more)" if len(faults) > SHOWN_FAULTS else ""
        raise InputError(f"{path}: {len(faults)} molecules cannot be read. {' '.join(faults[:SHOWN_FAULTS])}{more}")


def _lines(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [line.split()[0] for line in file if line.strip()]
