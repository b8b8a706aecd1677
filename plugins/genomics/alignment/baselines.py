"""What the network must beat: the two classical dynamic programmes with the same matrix and gap costs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from medhub.processing import as_rows

from .pairing import Pairing, partners_of
from .processing import SequenceAlignmentProcessor
from .substitution import SUBSTITUTIONS

if TYPE_CHECKING:
    import parasail


def needleman_wunsch(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: SequenceAlignmentProcessor, seed: int
) -> NDArray:
    """Return the best global alignment of each test row, end gaps at full price."""
    return as_rows([pair_up(row, processor.alphabet, local=False) for row in test["input"]])


def smith_waterman(
    train: Dataset, test: Dataset, *, labels: tuple[str, ...], processor: SequenceAlignmentProcessor, seed: int
) -> NDArray:
    """Return the best local alignment of each test row."""
    return as_rows([pair_up(row, processor.alphabet, local=True) for row in test["input"]])


def pair_up(pair: dict[str, str], alphabet: str, *, local: bool) -> Pairing:
    """Align two sequences with parasail (Daily 2016), with the matrix and the gap costs that are usual for them."""
    import parasail

    aligner = parasail.sw_trace_striped_32 if local else parasail.nw_trace_striped_32
    found = _run(aligner, pair, alphabet)
    query, reference = found.traceback.query, found.traceback.ref
    columns = np.array([[one != "-", other != "-"] for one, other in zip(query, reference, strict=True)])
    numbers = columns.cumsum(0) - 1 + [found.cigar.beg_query, found.cigar.beg_ref]
    return Pairing.certain(partners_of(numbers[columns.all(1)], len(pair["first"])))


def best_score(pair: dict[str, str], alphabet: str, *, local: bool) -> int:
    """Return the score of the best alignment of two sequences, by parasail."""
    import parasail

    return _run(parasail.sw_striped_32 if local else parasail.nw_striped_32, pair, alphabet).score


def _run(aligner: Any, pair: dict[str, str], alphabet: str) -> parasail.Result:
    substitution = SUBSTITUTIONS[alphabet]
    # what is ambiguous, as the wildcard that the matrix has a row for
    sequences = [substitution.alphabet.decode(substitution.alphabet.encode(pair[side])) for side in ("first", "second")]
    # parasail counts a gap's first residue in the cost of opening it
    opening = substitution.gap_open + substitution.gap_extend
    return aligner(*sequences, opening, substitution.gap_extend, _matrix(alphabet))


@cache
def _matrix(alphabet: str) -> parasail.Matrix:
    import parasail

    substitution = SUBSTITUTIONS[alphabet]
    matrix = parasail.matrix_create(substitution.letters, 0, 0)
    for row, scores in enumerate(substitution.matrix()):
        for column, score in enumerate(scores):
            matrix[row, column] = int(score)
    return matrix


BASELINES = {"Needleman-Wunsch": needleman_wunsch, "Smith-Waterman": smith_waterman}
