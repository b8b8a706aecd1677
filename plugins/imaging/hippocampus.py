"""The hippocampi of the Medical Segmentation Decathlon, which two tasks learn from: what they are, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from medhub.data import File, Source, Table

NOTE = (
    "The cases bear no patient, but two come of each of 195 persons, and in all 90 pairs of cases 2k - 1 and 2k both "
    "have one scale of intensity, which other neighbours often have not: such pairs are kept together. Published "
    "cross-validations divide them."
)


def pair_of(name: str) -> str:
    """Return the group of a case by its file's name, "hippocampus_007.nii.gz": two cases seem to be one person's."""
    number = int(PurePosixPath(name).name.removesuffix(".nii.gz").removeprefix("hippocampus_"))
    return f"pair {(number + 1) // 2}"


def declare(name: str, version: str, title: str, load: Callable[[Mapping[str, Path]], Table]) -> Source:
    """Return the data set as a task sees it: what its rows show, and how they are made of the files."""
    return Source(
        name=name,
        version=version,
        title=title,
        files=(
            File(
                name="SHA256SUMS",
                sha256="88f2bc9eb580c21f14996d456b93cdaeae7fdde0f8c2048d4b4ff7383b79d7f0",
                bytes=51042,
                manifest=True,
            ),
        ),
        licence="CC BY-SA 4.0",
        model_licence="cc-by-sa-4.0",
        citation="Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13:4128 (2022); Simpson "
        "et al., arXiv:1902.09063 (2019)",
        homepage="http://medicaldecathlon.com",
        group_by="pair of cases",
        load=load,
        splits=("group",),
        mirror="hippocampus",
    )
