"""The dynamic programme: held to the enumeration of every alignment, to parasail, and to itself in 64 bits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
import parasail
import pytest
import torch
from torch import Tensor

from medhub.plugins.genomics.alignment.dynamic_programme import Alignment, Gaps, align, constrain

RAGGED = torch.tensor([[4, 5], [1, 1], [3, 5], [4, 1], [2, 2], [1, 5]])
MODES = pytest.mark.parametrize("local", [False, True])


def problem(lengths: Tensor, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Gaps, Gaps, Tensor]:
    """Return random scores and costs for pairs of the given lengths."""
    torch.manual_seed(seed)
    n, m = lengths.amax(0).tolist()
    match = 2 * torch.randn(len(lengths), n, m, dtype=dtype)
    first, second = (
        Gaps(1 + 3 * torch.rand(len(lengths), size, dtype=dtype), torch.rand(len(lengths), size, dtype=dtype))
        for size in (n, m)
    )
    return match, first, second, lengths


def alignments(n: int, m: int) -> Iterator[list[tuple[int, int]]]:
    """Yield every alignment of two sequences as the pairs of residues that share a column."""
    for columns in range(min(n, m) + 1):
        for rows in combinations(range(n), columns):
            for others in combinations(range(m), columns):
                yield list(zip(rows, others, strict=True))


def score_of(
    pairs: list[tuple[int, int]], pair: int, parts: tuple[Tensor, Gaps, Gaps, Tensor], *, local: bool
) -> float:
    """Score one alignment step by step, the plain way."""
    match, first, second, lengths = parts
    n, m = lengths[pair].tolist()
    corners = [(-1, -1), *pairs, (n, m)]
    stretches = [*pairwise(corners)]
    score = sum(float(match[pair, i, j]) for i, j in pairs)
    for (i, j), (next_i, next_j) in stretches[1:-1] if local else stretches:
        for gaps, unpaired in ((first, range(i + 1, next_i)), (second, range(j + 1, next_j))):
            for place, residue in enumerate(unpaired):
                score -= float((gaps.extend if place else gaps.open)[pair, residue])
    return score if pairs or not local else 0.0


@MODES
def test_sum_and_probabilities_are_those_of_all_alignments(local: bool) -> None:
    parts = problem(RAGGED)
    total, columns = align(*parts, local=local)
    for pair, (n, m) in enumerate(RAGGED.tolist()):
        every = [*alignments(n, m)]
        scores = torch.tensor([score_of(pairs, pair, parts, local=local) for pairs in every], dtype=torch.float64)
        expected = torch.zeros_like(columns[pair])
        for pairs, probability in zip(every, scores.softmax(0), strict=True):
            for i, j in pairs:
                expected[i, j] += probability
        assert total[pair].item() == pytest.approx(scores.logsumexp(0).item(), abs=1e-10)
        torch.testing.assert_close(columns[pair], expected, rtol=0, atol=1e-12)


@MODES
@pytest.mark.parametrize("seed", range(3))
def test_hard_alignment_is_the_best_of_all(local: bool, seed: int) -> None:
    parts = problem(RAGGED, seed=seed)
    total, columns = align(*parts, local=local, hard=True)
    for pair, (n, m) in enumerate(RAGGED.tolist()):
        scores = {tuple(pairs): score_of(pairs, pair, parts, local=local) for pairs in alignments(n, m)}
        best = max(scores, key=scores.__getitem__)
        assert total[pair].item() == pytest.approx(scores[best], abs=1e-10)
        assert columns[pair].nonzero().tolist() == [[*each] for each in best]


@MODES
def test_gradients(local: bool) -> None:
    match, first, second, lengths = problem(RAGGED[:4])
    inputs = [tensor.requires_grad_() for tensor in (match, *first, *second)]

    def total(match: Tensor, *costs: Tensor) -> Tensor:
        return align(match, Gaps(*costs[:2]), Gaps(*costs[2:]), lengths, local=local).total

    assert torch.autograd.gradcheck(total, inputs)


@MODES
def test_constrained_sum_is_that_of_the_alignments_with_all_given_columns(local: bool) -> None:
    parts = problem(torch.tensor([[4, 5], [3, 4], [2, 2]]))
    match, first, second, lengths = parts
    known = torch.tensor([[[1, 1], [3, 2]], [[0, 3], [-1, -1]], [[-1, -1], [-1, -1]]])
    allowed, required = constrain(match, known)
    total, columns = align(allowed, first, second, lengths, local=local, required=required)
    for pair, (n, m) in enumerate(lengths.tolist()):
        wanted = {(i, j) for i, j in known[pair].tolist() if i >= 0}
        scores = [score_of(p, pair, parts, local=local) for p in alignments(n, m) if wanted <= {*p}]
        assert total[pair].item() == pytest.approx(
            torch.tensor(scores, dtype=torch.float64).logsumexp(0).item(), abs=1e-9
        )
        assert all(columns[pair, i, j].item() == pytest.approx(1.0) for i, j in wanted)


@MODES
@pytest.mark.parametrize("hard", [False, True])
def test_a_pair_is_aligned_alike_alone_and_among_others(local: bool, hard: bool) -> None:
    parts = problem(RAGGED, dtype=torch.float32)
    together = align(*parts, local=local, hard=hard)
    for pair, (n, m) in enumerate(RAGGED.tolist()):
        match, first, second, lengths = parts
        alone = align(
            match[pair : pair + 1, :n, :m], Gaps(*(cost[pair : pair + 1, :n] for cost in first)),
            Gaps(*(cost[pair : pair + 1, :m] for cost in second)), lengths[pair : pair + 1], local=local, hard=hard,
        )  # fmt: skip
        assert torch.equal(alone.total[0], together.total[pair])
        assert torch.equal(alone.columns[0], together.columns[pair, :n, :m])
        assert not together.columns[pair, n:].any()
        assert not together.columns[pair, :, m:].any()


def homogeneous(match: Tensor, opening: float, extending: float, *, hard: bool, local: bool = False) -> Alignment:
    """Align one pair with the same gap costs everywhere."""
    batch, n, m = match.shape
    gaps = [Gaps(match.new_full((batch, size), opening), match.new_full((batch, size), extending)) for size in (n, m)]
    return align(match, *gaps, torch.tensor([[n, m]] * batch), hard=hard, local=local)


@MODES
@pytest.mark.parametrize("seed", range(4))
def test_best_score_is_parasails(local: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    letters = "ARNDCQEGHILKMFPSTWYV"
    first = "".join(random.choice([*letters], size=random.integers(30, 90)))
    second = first[:20] + "".join(random.choice([*letters], size=random.integers(5, 60))) + first[25:]
    matrix = parasail.blosum62
    scores = [[matrix.matrix[matrix.mapper[ord(a)], matrix.mapper[ord(b)]] for b in second] for a in first]
    total, columns = homogeneous(torch.tensor(scores)[None].float(), 12.0, 1.0, hard=True, local=local)
    aligner = parasail.sw_striped_32 if local else parasail.nw_striped_32
    assert total.item() == aligner(first, second, 12, 1, matrix).score
    pairs = columns[0].nonzero()
    assert (pairs.diff(dim=0) > 0).all(), "columns must ascend in both sequences"


@MODES
@pytest.mark.parametrize("alike", ["same", "unlike", "one long"])
def test_long_sequences_are_as_exact_in_32_bits_as_in_64(local: bool, alike: str) -> None:
    torch.manual_seed(0)
    n, m = (400, 60) if alike == "one long" else (300, 300)
    match = torch.randn(1, n, m, dtype=torch.float64)
    if alike != "unlike":
        match += 4 * torch.eye(n, m, dtype=torch.float64) - 1
    single, double = (
        homogeneous(match.to(kind), 4.2, 0.35, hard=False, local=local) for kind in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(single.total.double(), double.total, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(single.columns.double(), double.columns, rtol=0, atol=1e-3)
    assert single.columns.sum(1).max() <= 1 + 1e-4
    assert single.columns.min() >= 0


def test_two_thousand_residues_do_not_overflow() -> None:
    torch.manual_seed(0)
    size = 2000
    same = torch.randn(1, size, size) - 1 + 6 * torch.eye(size)
    total, columns = homogeneous(same, 4.2, 0.35, hard=False)
    assert total.isfinite().all()
    assert total.item() > 4 * size
    assert columns.isfinite().all()
    assert columns[0].diagonal().mean() > 0.99
    assert columns[0].sum(1).max() <= 1 + 1e-3


def test_of_equally_good_local_alignments_one_is_returned() -> None:
    match = torch.full((1, 6, 6), -5.0)
    match[0, 0, 0] = match[0, 5, 5] = match[0, 2, 2] = 3.0
    total, columns = homogeneous(match, 10.0, 10.0, hard=True, local=True)
    assert total.item() == 3.0
    assert columns.sum().item() == 1.0


def test_nothing_alike_has_no_local_alignment() -> None:
    total, columns = homogeneous(torch.full((1, 4, 5), -3.0), 5.0, 1.0, hard=True, local=True)
    assert total.item() == 0.0
    assert not columns.any()
