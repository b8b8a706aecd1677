"""Scores come back in row order, whatever the batches, and leave the model as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medhub.data import Splits, prepare
from medhub.errors import WeightsError
from medhub.evaluation import predict_logits, predict_scores
from medhub.modeling import MedModel
from medhub.processing import Processor

Network = tuple[MedModel, Processor]


def test_scores_stand_in_row_order_whatever_the_batch_size(network: Network, splits: Splits) -> None:
    model, processor = network
    features = prepare(splits.train, processor)
    assert len(set(features.lengths)) > 1  # otherwise nothing is reordered
    scores, targets = predict_scores(model, features, processor, batch_size=7)
    assert targets.tolist() == splits.train["labels"][:]
    for row in (0, 1, len(splits.train) - 1):
        alone = features.take(np.array([row]))
        batch = processor.collate({name: column for name, column in alone.items() if name != "labels"})
        model.eval()
        with torch.inference_mode():
            expected = processor.scores(model(**batch), model.config)
        assert scores[row] == pytest.approx(expected[0], abs=1e-5)


def test_logits_are_what_the_temperature_has_not_touched(network: Network, splits: Splits) -> None:
    model, processor = network
    features = prepare(splits.test, processor)
    model.config.temperature = 2.5
    logits, _ = predict_logits(model, features, processor)
    scores, _ = predict_scores(model, features, processor)
    cooled = np.exp(logits / 2.5)
    assert scores == pytest.approx(cooled / cooled.sum(axis=1, keepdims=True), abs=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode(network: Network, splits: Splits, training: bool) -> None:
    model, processor = network
    model.train(training)
    predict_scores(model, prepare(splits.test, processor), processor)
    assert model.training is training


def test_weights_that_are_not_finite_are_named(network: Network, splits: Splits) -> None:
    model, processor = network
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(WeightsError, match="not numbers"):
        predict_scores(model, prepare(splits.test, processor), processor)
