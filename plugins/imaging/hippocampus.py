"""What every task must know of the hippocampi of the Medical Segmentation Decathlon."""

from __future__ import annotations

from pathlib import PurePosixPath

NOTE = (
    "The cases bear no patient, but two come of each of 195 persons, and in all 90 pairs of cases 2k - 1 and 2k both "
    "have one scale of intensity, which other neighbours often have not: such pairs are kept together. Published "
    "cross-validations divide them."
)


def pair_of(name: str) -> str:
    """Return the group of a case by its file's name, "hippocampus_007.nii.gz": two cases seem to be one person's."""
    number = int(PurePosixPath(name).name.removesuffix(".nii.gz").removeprefix("hippocampus_"))
    return f"pair {(number + 1) // 2}"
