"""GUE, the Genome Understanding Evaluation: promoters, and windows in which a transcription factor binds or not."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Value

from medhub.data import File, Source, Table
from medhub.sequences.rows import make_rows

from .grouping import sequence_group

PARTS = {"test": "test", "validation": "dev", "train": "train"}
"""Each part of the split and its file, the part that others must not share rows with first."""

Digest = tuple[str, int]
"""The sha256 of a file and its bytes."""

# fmt: off
FILES: dict[str, tuple[str, Digest, Digest, Digest]] = {
    "promoter-core-all": (
        "prom/prom_core_all",
        ("a995ebd75e2cef2529a32cdb8f2dcad0803e2c9658c8925f52de33dbcb729692", 1001620),
        ("6cc037931626064bdf0b92f1a8ead10588f454be01c78fac7745130df61ea341", 126350),
        ("a4393b17220ef78b2a40f7abd7a9d0b56443e7dc752b7ba00322ea784611e348", 125969),
    ),
    "promoter-core-notata": (
        "prom/prom_core_notata",
        ("3fd79ec2b6359ba5a676edbefe8f34defc7e8961d97ff5801ee170209223b4bf", 897708),
        ("5e0ac395506b78946d2cacfd61a3376c0f42fd867a77d94bc8a372cf0e832a93", 113238),
        ("e60a721732a431518c599921592e408dceb775a38626422da1df97e2ae134809", 113261),
    ),
    "promoter-core-tata": (
        "prom/prom_core_tata",
        ("9b387ed5c3fd82ff08f80eb64a5af113a1dcf081b57ceb61f6a92cc47e530530", 102758),
        ("362102321fd2984fb168d095ec862c83f6e18889f0d2c645976f7d1159437a40", 13646),
        ("067248fa97a634bb8e67b53af78f4d54bfd5ce60c3375d12b8c98b0918c20b84", 13592),
    ),
    "promoter-300-tata": (
        "prom/prom_300_tata",
        ("ed6167422c9b56c707889464de85771364bdcfa7eb808562f39f44079cd1f041", 421608),
        ("68218d4f8232059301210f9862276dfcf73b5f85bf70f0aa348761892057389f", 53749),
        ("4796068f6b582c80053771e39d040a123a0036045a711740fad0ff3924defbaa", 53542),
    ),
    "tf-0": (
        "tf/0",
        ("d3408c62eb3fbed81775eddb1b826304dbf52274db3d3ce64415fbcb4594243e", 938464),
        ("b8fa2ec32cc8702336bd17d91c341fc288bc1ef47a35603649e1194b01d8317b", 29878),
        ("28eca4563e0688aad63a960f1ccb3a75ebb71e2d9690053e462fb344294f00b1", 29377),
    ),
    "tf-1": (
        "tf/1",
        ("6cef419b57d7f7e96bcbaa0651d96359ae3066d63f9c789e611b56821d2aa2b1", 891898),
        ("db4475d22c8f752eae71a1bbebab2d87a5643c51c7f832a31a2cc2b6fd1e60e7", 30001),
        ("eeaa7220448442517b4dbe77cde10eee5ab6a5f382523fb70a22d53aa0eed66d", 29545),
    ),
    "tf-2": (
        "tf/2",
        ("014120994cd4f4d53fae2bf8d63e8d521e5e6f434902683dfa8ccafbf3f50349", 548868),
        ("1d9a81d4692a033f5495ba9b90b3c91a725fbbcf73666b9d3935d047c908ed58", 29852),
        ("9c8459139c7d3391d1391659ceb6f55cb28ef6aea34236e08bc6eb9cd25caf59", 29512),
    ),
    "tf-3": (
        "tf/3",
        ("65b8567dd7cefc5c63c17ec9319ff8349e9c51d80cec29578f1f815f9910e7f0", 808205),
        ("1c99e201e43d7ddc0c4ee795b144445f614d117eb9e6009e7a3e00d798ae5dd8", 30598),
        ("ae3a2d06fca01db5ab3f02d35e4ecf03e19a3ab2157671362eca37f0fcb13307", 30243),
    ),
    "tf-4": (
        "tf/4",
        ("416b250397ffa8bfe423a98d25a95c50fed74cf946f8c18d3313e301d1c9681f", 551605),
        ("f392decdf823142a660bb9c00aa1eb02bc894ec581b451f9eee6e608b11dc392", 30171),
        ("88a7a9cad4bdfd0eac981066b3163421139845af7b1a7a1cefbdc02b8efa7b50", 29682),
    ),
    "mouse-0": (
        "mouse/0",
        ("d388cffcd23017a1ff598c42f07e3313f892026f5b838367393e12f63c8d5359", 195344),
        ("820b2739bae5d6ab32a133a6fe605932178c40b16777d53bb010750cf5ad9da1", 25334),
        ("84dbbbd741adf5b6091512399f0ebe29c49a0ea3c670ec7eb8cdf01fe33efe38", 25257),
    ),
    "mouse-2": (
        "mouse/2",
        ("55e21757c0e2819defa5ba34a4911c371f629345aef13d384f4c6ee6c061fa55", 70581),
        ("00d2b72a40484812d2bb8d6f34e2258d0633978721479936f4683fb4876f1aa6", 9350),
        ("461bda720a302b251ffaa2a4949a1e80ad2cc3fc54aa7e21bbb8d8b55441b833", 9256),
    ),
    "mouse-3": (
        "mouse/3",
        ("01e5e70a95b433fc83fde381862d1418273aec289abcf4b8e7d7b6a979a2d384", 57467),
        ("3ad8e4df8e4a191067c5bd4fe0a93bdd1de0396ae429434f5a9c809fd3fd42c2", 7740),
        ("bebd91419660d3a66c005bd05756d42df4080a8c805f71069f331a560392141f", 7710),
    ),
    "mouse-4": (
        "mouse/4",
        ("266cb824d4dd1c1d836c5ce917a55dd11a060239635761c42f6566ca08cf1a41", 450897),
        ("a7d9183c36f857a8fb5752d79468ad3102393e010185a4648fd08a69cec38c95", 57292),
        ("ca6397eb79006cea1cabd06ef8c7453cc21bafb1a76928e6ed72e26229a74f1a", 57416),
    ),
}
# fmt: on
"""Each set's folder, and the digests of its train.csv.gz, dev.csv.gz and test.csv.gz."""

PROMOTER_TITLES = {
    "promoter-core-all": "core promoters of human genes, 70 letters",
    "promoter-core-notata": "core promoters of human genes without a TATA box, 70 letters",
    "promoter-core-tata": "core promoters of human genes with a TATA box, 70 letters",
    "promoter-300-tata": "promoters of human genes with a TATA box, 300 letters",
}
PROMOTER_NOTE = (
    "Many sequences without a promoter were made of pieces of promoters: of those in the test part of "
    "promoter-core-all, 28 % share 20 letters in a row with a promoter of the training part. Real genomes differ."
)
SPLIT_NOTE = (
    "The split is GUE's own. It was drawn at random, so that neighbouring and overlapping stretches of the genome "
    "stand on its sides; only equal ones were taken out."
)


def declare_all() -> dict[str, Source]:
    """Return the sets of GUE whose training part is at hand, by name."""
    return {name: _declare(name) for name in FILES}


def _declare(name: str) -> Source:
    folder, *digests = FILES[name]
    files = tuple(
        File(name=f"{folder}/{part}.csv.gz", sha256=sha256, bytes=size)
        for part, (sha256, size) in zip(("train", "dev", "test"), digests, strict=True)
    )
    kind, _, number = name.partition("-")
    organism = "mouse" if kind == "mouse" else "human"
    return Source(
        name=name,
        version="deepgene-486343e",
        title=f"GUE: {PROMOTER_TITLES.get(name) or f'binding of a {organism} transcription factor, set {number}'}",
        files=files,
        licence="Apache-2.0",
        citation="Zhou et al., DNABERT-2: Efficient Foundation Model and Benchmark for Multi-Species Genome, ICLR 2024 "
        "(arXiv:2306.15006)",
        homepage="https://github.com/MAGICS-LAB/DNABERT_2",
        group_by="sequence or its reverse complement",
        load=partial(
            load_gue,
            folder=folder,
            label_names=("other", "promoter") if kind == "promoter" else ("unbound", "bound"),
            notes=(SPLIT_NOTE, PROMOTER_NOTE) if kind == "promoter" else (SPLIT_NOTE,),
        ),
        splits=("official", "group"),
        mirror="gue",
    )


def load_gue(
    paths: Mapping[str, Path], *, folder: str, label_names: tuple[str, ...], notes: tuple[str, ...] = ()
) -> Table:
    """Return a set with its official split, from which what would leak or contradict itself is taken out.

    A row of train that also stands in validation or test, on either strand, is dropped, likewise one of validation that
    stands in test; of equal rows of train one is kept, and none where their labels differ. The test part stays whole.
    """
    dropped: Counter[str] = Counter()
    part_of: dict[str, str] = {}
    records: list[dict[str, Any]] = []
    for part, file in PARTS.items():
        kept: dict[str, dict[str, Any]] = {}
        disputed = set()
        for row in _read(paths[f"{folder}/{file}.csv.gz"]):
            group = sequence_group(row["sequence"])
            record = {"input": row["sequence"], "labels": int(row["label"]), "group": group, "split": part}
            if (other := part_of.setdefault(group, part)) != part:
                dropped[f"row of {part} that also stands in {other}"] += 1
            elif part != "train":
                records.append(record)
            elif group in kept:
                dropped["another copy of a row of train"] += 1
                disputed |= {group} if kept[group]["labels"] != record["labels"] else set()
            else:
                kept[group] = record
        dropped["row of train whose copies have different labels"] += len(disputed)
        records += [record for group, record in kept.items() if group not in disputed]
    return Table(
        rows=make_rows(records, labels=Value("int64")), label_names=label_names, dropped=+dropped, notes=notes
    )  # fmt: skip


def _read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]
