"""Metrics of labels a position, against scikit-learn, against a slow segment overlap, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, recall_score

from medhub.metrics import METRICS as CORE
from medhub.plugins.genomics.prediction.metrics import METRICS, perfect
from medhub.plugins.genomics.prediction.segments import runs, segment_overlap
from medhub.processing import as_rows


def numbers(text: str) -> np.ndarray:
    return np.array(["HEC".find(letter) for letter in text])  # -1 for what is not scored


def random_rows(seed: int = 0, *, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 40, count)
    scores = as_rows([random.dirichlet(np.ones(3), length) for length in lengths])
    return scores, as_rows([random.integers(-1, 3, length) for length in lengths])


def test_figures_are_scikit_learns_over_all_scored_positions():
    scores, targets = random_rows()
    found, true = np.concatenate([*scores]), np.concatenate([*targets])
    found, true = found[true >= 0], true[true >= 0]
    assert METRICS["q3"].compute(scores, targets) == pytest.approx(accuracy_score(true, found.argmax(1)))
    recall = METRICS["recall"]
    assert recall.labels(recall.examples(scores, targets)) == pytest.approx(
        recall_score(true, found.argmax(1), average=None)
    )
    assert METRICS["perplexity"].compute(scores, targets) == pytest.approx(np.exp(log_loss(true, found)))
    assert METRICS["ece"].compute(scores, targets) == pytest.approx(CORE["ece"].compute(found, true))


@pytest.mark.parametrize("name", METRICS)
def test_perfect_scores_get_the_best_value_and_drawn_rows_count_as_often_as_drawn(name):
    metric = METRICS[name]
    scores, targets = random_rows()
    assert metric.compute(perfect(targets, count=3), targets) == pytest.approx(metric.best)
    drawn = np.array([0, 0, 3, 7, 7, 7])
    prepared = tuple(column[drawn] for column in metric.examples(scores, targets))
    assert metric.value(prepared) == pytest.approx(metric.compute(scores[drawn], targets[drawn]))


@pytest.mark.parametrize("name", ["q3", "recall", "sov", "perplexity"])
def test_rows_without_a_scored_position_have_no_figure(name):
    targets = as_rows([np.full(5, -100), np.full(3, -100)])
    assert np.isnan(METRICS[name].compute(perfect(targets, count=3), targets))


def test_a_wrong_certainty_leaves_perplexity_finite():
    scores, targets = as_rows([np.array([[1.0, 0.0]])]), as_rows([np.array([1])])
    assert METRICS["perplexity"].compute(scores, targets) == pytest.approx(1e12)


def test_runs_tile_the_sequence():
    assert [*runs(numbers("HHECCC"))] == [(0, 0, 2), (1, 2, 3), (2, 3, 6)]
    assert [*runs(np.array([], int))] == []


@pytest.mark.parametrize(
    ("true", "found", "overlap"),
    [
        ("HHHHHCCCCC", "HHHHHCCCCC", 1.0),
        ("HHHHHCCCCC", "CCCCCHHHHH", 0.0),
        ("HHHHHCCCCC", "HHHCCCCCCC", 0.9),   # helix (3 + 1) / 5 * 5, coil (5 + 2) / 7 * 5, of 10
        ("HHHHHHHHHH", "HHHHCCHHHH", 0.6),   # two pairs, each (4 + 2) / 10 * 10, of 20
        ("HHHHH?????", "HHHHHHHHHH", 1.0),   # what is not scored cuts a predicted run, too
    ],
)  # fmt: skip
def test_segment_overlap_by_hand(true, found, overlap):
    true, found = numbers(true), numbers(found)
    assert segment_overlap(np.where(true >= 0, found, -1), true) == pytest.approx(overlap)


def slow_overlap(found: np.ndarray, true: np.ndarray) -> float:
    """Return SOV'99 from sets of positions, straight from the definition."""

    def segments(labels):
        whole = []
        for place, label in enumerate(labels):
            if place and labels[place - 1] == label:
                whole[-1][1].add(place)
            else:
                whole.append((label, {place}))
        return [segment for segment in whole if segment[0] >= 0]

    total = normal = 0.0
    observed, predicted = segments(true.tolist()), segments(found.tolist())
    for label, first in observed:
        pairs = [(first, other) for kind, other in predicted if kind == label and first & other]
        normal += len(first) * len(pairs) or len(first)
        for one, other in pairs:
            common, extent = len(one & other), len(one | other)
            delta = min(extent - common, common, int(0.5 * len(one)), int(0.5 * len(other)))
            total += (common + delta) / extent * len(one)
    return total / normal if normal else float("nan")


@given(st.lists(st.tuples(st.sampled_from([-1, 0, 0, 1, 2]), st.integers(0, 2), st.integers(1, 4)), max_size=12))
def test_segment_overlap_is_that_of_the_definition(parts):
    true = np.array([label for label, _, length in parts for _ in range(length)], int)
    found = np.array([label for _, label, length in parts[::-1] for _ in range(length)], int)
    found = np.where(true >= 0, found, -1)
    assert segment_overlap(found, true) == pytest.approx(slow_overlap(found, true), nan_ok=True)
