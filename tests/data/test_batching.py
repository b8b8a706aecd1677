"""Batches: every row once an epoch over all processes, in an order that the seed alone decides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.data import Batches, prepare

sizes = st.integers(1, 90)
batch_sizes = st.integers(1, 17)
worlds = st.integers(1, 4)


@dataclass
class Lengths:
    """Just enough of Features to see the order: the row numbers themselves."""

    rows: int
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return self.rows

    def take(self, indices):
        return {"row": np.asarray(indices)}


def collate(columns, generator):
    return {"row": torch.from_numpy(columns["row"]), "drawn": torch.rand(2, generator=generator)}


def ragged(rows: int, seed: int) -> Lengths:
    return Lengths(rows, np.random.default_rng(seed).integers(1, 500, size=rows))


def rows_of(batches: Batches, epoch: int = 0) -> list[list[int]]:
    return [batch["row"].tolist() for batch in batches.epoch(epoch)]


@settings(deadline=None, max_examples=80)
@given(rows=sizes, batch_size=batch_sizes, world=worlds, seed=st.integers(0, 99), bucketed=st.booleans())
def test_training_sees_every_row_once_up_to_the_fill(rows, batch_size, world, seed, bucketed) -> None:
    features = ragged(rows, seed) if bucketed else Lengths(rows)
    steps = []
    for rank in range(world):
        batches = Batches(
            features, collate, batch_size=batch_size, seed=seed, shuffle=True, rank=rank, world_size=world
        )
        mine = rows_of(batches, epoch=seed)
        assert len(mine) == len(batches)
        assert {len(step) for step in mine} == {batch_size}, "every training batch is full"
        steps.append(mine)
    assert len({len(mine) for mine in steps}) == 1
    seen = Counter(row for mine in steps for step in mine for row in step)
    assert set(seen) == set(range(rows))
    assert max(seen.values()) - min(seen.values()) <= 1
    assert seen.total() - rows < batch_size * world


@settings(deadline=None, max_examples=80)
@given(rows=sizes, batch_size=batch_sizes, world=worlds, bucketed=st.booleans())
def test_evaluation_can_be_put_back_into_order(rows, batch_size, world, bucketed) -> None:
    features = ragged(rows, 0) if bucketed else Lengths(rows)
    scores = np.full(rows, -1)
    steps = set()
    for rank in range(world):
        batches = Batches(features, collate, batch_size=batch_size, rank=rank, world_size=world)
        seen = []
        for indices, batch in zip(batches.indices(), batches.epoch(0), strict=True):
            scores[indices] = batch["row"].numpy()
            seen += batch["row"].tolist()
        assert len(set(seen)) == len(seen), "no process sees a row of its own twice"
        steps.add(len(batches))
    assert scores.tolist() == list(range(rows))
    assert len(steps) == 1


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(20, 90), seed=st.integers(0, 99), step=st.integers(0, 6))
def test_same_seed_and_epoch_give_the_same_batches_and_draws(rows, seed, step) -> None:
    batches = Batches(ragged(rows, seed), collate, batch_size=3, seed=seed, shuffle=True)
    again = Batches(ragged(rows, seed), collate, batch_size=3, seed=seed, shuffle=True)
    whole = [(batch["row"].tolist(), batch["drawn"].tolist()) for batch in batches.epoch(4)]
    resumed = [(batch["row"].tolist(), batch["drawn"].tolist()) for batch in again.epoch(4, start_step=step)]
    assert resumed == whole[step:]
    assert len({tuple(drawn) for _, drawn in whole}) == len(whole), "every step draws something else"


def test_epochs_seeds_and_ranks_differ() -> None:
    def first(epoch: int = 0, **changes):
        batches = Batches(Lengths(64), collate, **{"batch_size": 8, "shuffle": True, "seed": 1, **changes})
        batch = next(batches.epoch(epoch))
        return tuple(batch["row"].tolist()), tuple(batch["drawn"].tolist())

    seen = [first(), first(epoch=1), first(seed=2), first(rank=0, world_size=2), first(rank=1, world_size=2)]
    assert len({rows for rows, _ in seen}) == 5
    assert len({drawn for _, drawn in seen}) == 4  # rank 0 draws alike in a world of one and of two


def test_evaluation_gets_no_generator() -> None:
    def collate(columns, generator):
        assert generator is None
        return {}

    assert len(list(Batches(Lengths(10), collate, batch_size=4).epoch(0))) == 3


def test_buckets_hold_similar_lengths_and_are_still_shuffled() -> None:
    features = ragged(5000, 3)

    def padding(steps: list[list[int]]) -> float:
        return sum(features.lengths[step].max() * len(step) for step in steps) / features.lengths.sum() - 1

    bucketed = rows_of(Batches(features, collate, batch_size=16, shuffle=True))
    shuffled = rows_of(Batches(Lengths(5000), collate, batch_size=16, shuffle=True))
    assert padding(bucketed) < 0.05 < 0.5 < padding(shuffled)
    longest = [features.lengths[step].max() for step in bucketed]
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.2, "short and long batches come mixed"
    assert padding(rows_of(Batches(features, collate, batch_size=16))) < 0.02


def test_processes_get_equally_long_rows() -> None:
    features = ragged(3200, 5)
    ranks = [
        rows_of(Batches(features, collate, batch_size=16, shuffle=True, rank=rank, world_size=2)) for rank in range(2)
    ]
    for one, other in zip(*ranks, strict=True):
        assert abs(features.lengths[one].mean() - features.lengths[other].mean()) < 15


def test_batches_of_prepared_features(cache, make_rows, processor) -> None:
    words = ["abc"[: 1 + i % 3] * 2 for i in range(20)]
    batches = Batches(prepare(make_rows(words), processor), processor.collate, batch_size=6, shuffle=True, seed=5)
    seen = 0
    for batch in batches.epoch(0):
        assert batch["letters"].shape == (6, int(batch["lengths"].max()))
        assert batch["total"].shape == (6, 3)
        assert torch.equal(batch["letters"].sum(1).float(), batch["total"][:, 0])
        seen += 1
    assert seen == len(batches) == 4


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 4, "rank": 2, "world_size": 2}])
def test_impossible_sizes(wrong) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        Batches(Lengths(3), collate, **wrong)
