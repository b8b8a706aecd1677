"""Alignment with affine gaps as a differentiable dynamic programme over anti-diagonals (Gotoh 1982; Mensch and Blondel
2018).

A path goes through a grid of places between residues. Its last step stands in one of three states: `match` (a residue
of each sequence in one column), `first` (a residue of the first sequence against a gap) and `second` (one of the second
against a gap). Between two columns all unpaired residues of the first sequence come before those of the second, so that
every alignment is exactly one path. A path's score is the sum over its steps; the total is the logarithm of the summed
exponentials of all paths' scores, or, with `hard`, the score of the best path.

All places on an anti-diagonal depend only on the two before it and are computed at once, for the whole batch. Arrays
are laid out as (diagonal, residue of the first sequence, batch), so that a diagonal is contiguous. At every place the
forward pass keeps which share of the sum came along which step; the backward pass sends the probability 1 of the path's
end back along these shares, which neither overflows nor loses any of it, however long or unlike the sequences are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

IMPOSSIBLE = -1e9
"""The score of what cannot be: finite, since the difference of two infinities is not a number."""


class Gaps(NamedTuple):
    """What it costs, in units of the scores, to leave residues of one sequence unpaired; each (batch, length)."""

    open: Tensor
    """Of the first residue of a gap."""
    extend: Tensor
    """Of every further one."""


class Alignment(NamedTuple):
    """What `align` returns."""

    total: Tensor
    """Logarithm of the summed exponentials of all paths' scores, or the best path's score (batch,); differentiable."""
    columns: Tensor
    """Probability that two residues share a column, or 1 where they do on the best path: (batch, first, second)."""


def align(
    match: Tensor,
    first: Gaps,
    second: Gaps,
    lengths: Tensor,
    *,
    local: bool = False,
    hard: bool = False,
    required: tuple[Tensor, Tensor] | None = None,
) -> Alignment:
    """Sum over all alignments of two sequences, or find the best.

    `match` (batch, longest first, longest second) scores a column of two residues, `lengths` (batch, 2) say how much of
    the padded arrays counts. A global alignment takes in both sequences whole, a `local` one any part of each, or
    nothing at score 0. `required` marks the residues of either sequence, (batch, length) of bool, that must stand in
    a column with another. Needs memory for six arrays of the size of `match`.
    """
    if required is not None:
        first, second = (_forbid_gaps(gaps, marked) for gaps, marked in zip((first, second), required, strict=True))
    flanks = _flanks(match, lengths, required) if local else None
    total, columns = _Align.apply(match, *first, *second, lengths, flanks, hard)
    return Alignment(total, columns)


def constrain(match: Tensor, pairs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return scores and `required` residues for which `align` sees only alignments with all of the given columns.

    `pairs` (batch, most pairs, 2) are the residues that share a column, counted from 0; -1 is padding.
    """
    batch, n, m = match.shape
    row, pair = (pairs[..., 0] >= 0).nonzero(as_tuple=True)
    i, j = pairs[row, pair].unbind(-1)
    yes = torch.ones((), dtype=torch.bool, device=match.device)
    first = torch.zeros(batch, n, dtype=torch.bool, device=match.device).index_put((row, i), yes)
    second = torch.zeros(batch, m, dtype=torch.bool, device=match.device).index_put((row, j), yes)
    forbidden = (first[:, :, None] | second[:, None, :]).index_put((row, i, j), ~yes)
    return match.masked_fill(forbidden, IMPOSSIBLE), (first, second)


def _forbid_gaps(gaps: Gaps, required: Tensor) -> Gaps:
    return Gaps(*(cost.masked_fill(required, -IMPOSSIBLE) for cost in gaps))


class _Flanks(NamedTuple):
    """Scores of what a local alignment leaves out, (residue, batch), those of the second sequence reversed."""

    before_first: Tensor
    before_second: Tensor
    after_first: Tensor
    after_second: Tensor
    nothing: Tensor
    """Score of the empty alignment (batch,)."""

    def before(self, i: slice, j: slice) -> Tensor:
        """Return the score of starting with each column of a diagonal."""
        return self.before_first[i] + self.before_second[j]

    def after(self, i: slice, j: slice) -> Tensor:
        """Return the score of ending with each column of a diagonal."""
        return self.after_first[i] + self.after_second[j]


def _flanks(match: Tensor, lengths: Tensor, required: tuple[Tensor, Tensor] | None) -> _Flanks:
    """Return 0 where a local alignment may start or end, IMPOSSIBLE where it would leave out what is required."""
    before, after, nothing = [], [], torch.zeros_like(match[:, 0, 0])
    for axis, size in enumerate(match.shape[1:]):
        padding = torch.arange(size, device=match.device) >= lengths[:, axis, None]
        marked = torch.zeros_like(padding) if required is None else required[axis]
        counts = marked.to(match.dtype).cumsum(1)
        before.append((counts - marked.to(match.dtype) + padding).T * IMPOSSIBLE)
        after.append((counts[:, -1:] - counts + padding).T * IMPOSSIBLE)
        nothing = nothing + counts[:, -1] * IMPOSSIBLE
    return _Flanks(before[0], before[1].flip(0), after[0], after[1].flip(0), nothing)


class _Align(torch.autograd.Function):
    """The total, whose gradient is the expected number of times that each score or cost is used."""

    @staticmethod
    def forward(ctx: Any, match: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        """Return the total and the columns' probabilities; keep how often each score and cost is used."""
        *costs, lengths, flanks, hard = rest
        grid = _Grid.of(match, costs, lengths, flanks=flanks, hard=hard)
        total, shares = _sum_paths(grid)
        columns, usage = _trace_back(grid, total, shares)
        ctx.save_for_backward(columns, *usage)
        ctx.mark_non_differentiable(columns)
        return total, columns

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of scores and costs; the latter lower the total."""
        columns, *usage = ctx.saved_tensors
        return gradient[:, None, None] * columns, *(-gradient[:, None] * used for used in usage), None, None, None


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """The scores laid out so that a diagonal is contiguous: the batch innermost, the second sequence reversed.

    Costs begin with one for the place before the first residue, so that they are numbered like places.
    """

    match: Tensor
    """(first x second, batch)."""
    first: Tensor
    """Costs of opening and of extending a gap, (2, residue + 1, batch)."""
    second: Tensor
    flanks: _Flanks | None
    """Of a local alignment."""
    lengths: list[list[int]]
    hard: bool

    @classmethod
    def of(cls, match: Tensor, costs: list[Tensor], lengths: Tensor, *, flanks: _Flanks | None, hard: bool) -> _Grid:
        """Lay out what `align` was given."""
        first, second = (
            functional.pad(torch.stack(pair), (1, 0)).transpose(1, 2).contiguous() for pair in (costs[:2], costs[2:])
        )
        return cls(
            match=match.flatten(1).T.contiguous(), first=first, second=second.flip(1), flanks=flanks,
            lengths=lengths.tolist(), hard=hard,
        )  # fmt: skip

    @property
    def n(self) -> int:
        """Residues of the longest first sequence."""
        return self.first.shape[1] - 1

    @property
    def m(self) -> int:
        """Residues of the longest second sequence."""
        return self.second.shape[1] - 1

    def places(self, diagonal: int, *, inside: bool = False) -> tuple[slice, slice]:
        """Return a diagonal's places by the residue of the first sequence, and by that of the second, reversed.

        `inside` leaves out those before the first residue of either, where no column can end.
        """
        low, high = max(inside, diagonal - self.m), max(inside, min(self.n, diagonal - inside) + 1)
        return slice(low, high), slice(self.m - diagonal + low, self.m - diagonal + high)

    def columns(self, diagonal: int) -> slice:
        """Return where `match` holds the places inside a diagonal: one row of the matrix and one column back apart."""
        inner, _ = self.places(diagonal, inside=True)
        step = max(1, self.m - 1)
        start = (inner.start - 1) * self.m + diagonal - inner.start - 1
        return slice(start, start + (inner.stop - inner.start) * step, step)

    def ends(self, diagonal: int) -> list[tuple[int, int]]:
        """Return row and length of the first sequence of the pairs whose global alignments end on a diagonal."""
        if self.flanks is not None:
            return []
        return [(row, n) for row, (n, m) in enumerate(self.lengths) if n + m == diagonal]

    def add(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum over two kinds of paths, and the first kind's share of it."""
        if self.hard:
            return torch.maximum(one, other), (one >= other).to(one.dtype)
        return torch.logaddexp(one, other), torch.sigmoid(one - other)

    def rows(self, value: float) -> Tensor:
        """Return two diagonals' worth of a value, with room for a place before the first and one behind the last."""
        return self.match.new_full((2, self.n + 3, self.match.shape[1]), value)


class _Shares(NamedTuple):
    """For the places of one diagonal, the share of all paths that arrived by one kind of step: each (places, batch)."""

    opened_first: Tensor
    """Of those whose last step is an unpaired residue of the first sequence, those that open a gap with it."""
    opened_second: Tensor
    matched: Tensor
    """Of those whose last step is no unpaired residue of the second sequence, those whose last step is a column."""
    not_second: Tensor
    """Of all, those whose last step is no unpaired residue of the second sequence."""
    continued: Tensor | None
    """In a local alignment, of those whose last step is a column, those that did not start with it."""
    ending: Tensor | None
    """In a local alignment, the score of ending here with a column."""


def _sum_paths(grid: _Grid) -> tuple[Tensor, list[_Shares]]:
    """Go through the diagonals from the first to the last; return the total (batch,) and the shares on each."""
    # sums over paths on the diagonal before: those from which a gap may be opened, and those that are in one
    first, second = grid.rows(IMPOSSIBLE), grid.rows(IMPOSSIBLE)
    # sums over all paths, on the diagonal before and on the one before that
    now, before = grid.rows(IMPOSSIBLE)
    total = torch.zeros_like(now[0])
    if grid.flanks is None:
        first[0, 1] = second[0, 1] = now[1] = 0.0  # the empty path
    else:
        total = grid.flanks.nothing
    shares = []
    for diagonal in range(1, grid.n + grid.m + 1):
        (i, j), (inner, inner_j) = grid.places(diagonal), grid.places(diagonal, inside=True)
        here, columns = _shift(i, 1), _shift(inner, -1)
        in_first, opened_first = grid.add(*(first[:, i] - grid.first[:, i]))
        in_second, opened_second = grid.add(*(second[:, here] - grid.second[:, j]))
        arriving, continued, ending = before[inner], None, None
        if grid.flanks is not None:
            arriving, continued = grid.add(arriving, grid.flanks.before(columns, inner_j))
        match = arriving + grid.match[grid.columns(diagonal)]
        if grid.flanks is not None:
            ending = match + grid.flanks.after(columns, inner_j)
            total, _ = grid.add(total, _sum_places(ending, hard=grid.hard))
        first[0, 1] = IMPOSSIBLE  # before the first residue no column ends
        first[0, _shift(inner, 1)] = match
        first[1, here] = in_first
        second[1, here] = in_second
        second[0, here], matched = grid.add(first[0, here], in_first)
        before, now = now, before
        now[here], not_second = grid.add(second[0, here], in_second)
        shares.append(_Shares(opened_first, opened_second, matched, not_second, continued, ending))
        for row, n in grid.ends(diagonal):
            total[row] = now[n + 1, row]
    return total, shares


def _trace_back(grid: _Grid, total: Tensor, shares: list[_Shares]) -> tuple[Tensor, list[Tensor]]:
    """Go back from the paths' ends; return the probability of each column, and how often each cost is expected.

    What arrives at a place is the probability that a path passes it; there it divides as the shares say, which are
    used up.
    """
    # probabilities that came back from the diagonal behind, by an opened gap and by an extended one
    first, second = grid.rows(0.0), grid.rows(0.0)
    # probabilities that came back by a column, from the diagonal behind and from the one behind that
    now, behind = grid.rows(0.0)
    probability = torch.empty_like(grid.match)
    used_first, used_second = torch.zeros_like(grid.first), torch.zeros_like(grid.second)
    left = torch.ones_like(total)
    for diagonal in range(grid.n + grid.m, 0, -1):
        share = shares.pop()
        (i, j), (inner, _) = grid.places(diagonal), grid.places(diagonal, inside=True)
        here, below, within = _shift(i, 1), _shift(i, 2), _shift(inner, -i.start)
        whole = behind[below].clone()
        for row, n in grid.ends(diagonal):
            whole[n - i.start, row] = 1.0
        not_second = whole * share.not_second
        in_second = whole - not_second + second[1, here]
        not_second += second[0, here]
        match = not_second * share.matched
        in_first = not_second - match + first[1, below]
        match += first[0, below]
        if share.ending is not None:
            ended = _share_ends(share.ending, total, left, hard=grid.hard)
            left = left - ended.sum(0)
            match[within] += ended
        probability[grid.columns(diagonal)] = match[within]
        if share.continued is not None:
            match[within] *= share.continued
        first[0, here] = opened = in_first * share.opened_first
        first[1, here] = in_first - opened
        second[0, here] = opened = in_second * share.opened_second
        second[1, here] = in_second - opened
        used_first[:, i] += first[:, here]
        used_second[:, j] += second[:, here]
        now, behind = behind, now
        now[here] = match
    n, m = grid.n, grid.m
    return probability.T.unflatten(1, (n, m)), [*used_first[:, 1:].mT, *used_second.flip(1)[:, 1:].mT]


def _sum_places(scores: Tensor, *, hard: bool) -> Tensor:
    """Sum over the paths that end at any of the places (places, batch)."""
    if not len(scores):
        return scores.new_full(scores.shape[1:], IMPOSSIBLE)
    return scores.amax(0) if hard else scores.logsumexp(0)


def _share_ends(scores: Tensor, total: Tensor, left: Tensor, *, hard: bool) -> Tensor:
    """Return the probability that a local alignment ends at each place; of equally good ones, the last one found."""
    if not hard or not len(scores):
        return (scores - total).exp()
    best = torch.zeros_like(scores).scatter_(0, scores.argmax(0, keepdim=True), 1.0)
    return best * left * (scores.amax(0) >= total)


def _shift(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by)
