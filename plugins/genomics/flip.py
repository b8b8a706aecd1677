"""FLIP's proteins of known secondary structure: what several tasks read, learn from, or must keep apart from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medhub.data import File

FILES = {
    "sequences.fasta.gz": ("4a5601eec2f9a1ef5add7aa2d0a32f6a0ac3f13aa99c715ebb355f27a577e35a", 1747101),
    "sampled.fasta.gz": ("e60ef8d22f646697aafdc3fc0ca5b9d9e38a58d3b444ee74715d4f41f955dd58", 406811),
    "mask.fasta.gz": ("aeae35e14db69ce2260b02fd486dcaf1f6bb5fdd893e69cc81e10aed655f0264", 111002),
}
CITATION = (
    "Klausen et al. 2019, NetSurfP-2.0 (10.1002/prot.25674); "
    "Dallago et al. 2021, FLIP (NeurIPS Datasets and Benchmarks)"
)
HOMEPAGE = "https://github.com/J-SNACKKB/FLIP"


def files(folder: str = "", *, names: Iterable[str] = FILES) -> tuple[File, ...]:
    """Declare some of FLIP's files, in a folder of the mirror that ends with a slash."""
    return tuple(File(name=f"{folder}{name}", sha256=FILES[name][0], bytes=FILES[name][1]) for name in names)


def akin(sequences: Iterable[str], others: Iterable[str], *, run: int) -> set[str]:
    """Return those sequences that have `run` letters in a row in common with one of the others."""
    holders: dict[str, set[str]] = {}
    for sequence in sequences:
        for part in _parts(sequence, run):
            holders.setdefault(part, set()).add(sequence)
    return {holder for other in others for part in _parts(other, run) if part in holders for holder in holders[part]}


def _parts(sequence: str, run: int) -> Iterator[str]:
    """Yield every stretch of `run` letters; of a shorter sequence, the whole."""
    for start in range(max(len(sequence) - run, 0) + 1):
        yield sequence[start : start + run]
