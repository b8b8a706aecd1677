"""The risk networks: decay and summary worked out by hand, padding, frequencies, and that all three learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medhub.errors import ConfigError
from medhub.plugins.ehr.prediction.config import OutcomePredictionConfig
from medhub.plugins.ehr.prediction.model import OutcomePredictionModel
from medhub.plugins.ehr.prediction.recurrence import Decay, DecayingGRU
from medhub.plugins.ehr.prediction.summary import STATISTICS, carry_forward, summarise

ARCHITECTURES = OutcomePredictionConfig.ARCHITECTURES


def make(architecture: str = "gru", **changes) -> OutcomePredictionModel:
    torch.manual_seed(0)
    sizes = {"variables": 3, "statics": 2, "id2label": {0: "died"}, "label2id": {"died": 0}}
    return OutcomePredictionModel(OutcomePredictionConfig.tiny(architecture, **{**sizes, **changes})).eval()


def batch(rows: int = 4, steps: int = 6, *, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand(rows, steps, 3, generator=generator) < 0.4
    return {
        "values": torch.randn(rows, steps, 3, generator=generator) * seen,
        "seen": seen.to(torch.uint8),
        "elapsed": torch.rand(rows, steps, 3, generator=generator) * 5,
        "statics": torch.randn(rows, 2, generator=generator),
        "lengths": torch.full((rows,), steps),
    }


def summary_of(values: list[float | None], elapsed: list[float]) -> dict[str, float]:
    """The statistics of one variable."""
    seen = torch.tensor([value is not None for value in values], dtype=torch.float)[None, :, None]
    tensor = torch.tensor([value or 0.0 for value in values])[None, :, None]
    series = {"values": tensor, "seen": seen, "elapsed": torch.tensor(elapsed)[None, :, None]}
    found = summarise(**series, filled=carry_forward(tensor, seen), lengths=torch.tensor([len(values)]))
    return dict(zip(STATISTICS, found[0].tolist(), strict=True))


def test_a_summary_has_the_figures_worked_out_by_hand():
    found = summary_of([None, 2.0, None, -1.0, None], [0, 1, 1, 2, 3])
    expected = {
        "last": -1, "mean": 0.5, "least": -1, "most": 2, "change": -3, "count": math.log(3), "known": 1,
        "since": math.log(4), "mean above -0.67": 1.17, "mean above 0.67": 0, "most above 0.67": 1.33,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_was_never_seen_is_zero_in_every_statistic():
    assert set(summary_of([None, None], [1, 2]).values()) == {0.0}


def test_the_last_value_is_carried_forward_and_none_backward():
    values, seen = torch.tensor([[[0.0], [5.0], [0.0], [-2.0]]]), torch.tensor([[[0.0], [1.0], [0.0], [1.0]]])
    assert carry_forward(values, seen)[0, :, 0].tolist() == [0, 5, 5, -2]


def test_less_is_left_the_more_time_has_gone():
    decay = Decay(1)
    with torch.no_grad():
        decay.weight.fill_(0.5)
        decay.bias.fill_(-1.0)
    left = decay(torch.tensor([[0.0], [2.0], [4.0], [40.0]]))[:, 0]
    assert left.tolist() == pytest.approx([1, 1, math.exp(-1), math.exp(-19)])


def test_a_missing_value_fades_from_the_last_one_to_the_mean_in_the_gru():
    torch.manual_seed(0)
    layer = DecayingGRU(1, 4, dropout=0.0).eval()
    seen = torch.tensor([[[1.0], [0.0]]])

    def state(value: float, elapsed: float) -> torch.Tensor:
        values = torch.tensor([[[value], [0.0]]])
        times = torch.tensor([[[0.0], [elapsed]]])
        return layer(values=values, filled=carry_forward(values, seen), seen=seen, elapsed=times,
                     lengths=torch.tensor([2]))[0, 1]  # fmt: skip

    with torch.no_grad():
        layer.state_decay.weight.fill_(1.0)  # the state fades as well
        near = (state(2.0, 0.1) - state(-2.0, 0.1)).abs().max()
        far = (state(2.0, 200.0) - state(-2.0, 200.0)).abs().max()
    assert near > 0.05
    assert far < 1e-6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_stands_behind_a_series_changes_nothing(architecture):
    model, short = make(architecture), batch(2, 4)
    noise = batch(2, 3, seed=1)
    padded = {
        name: torch.cat([tensor, noise[name] * 0], dim=1) if tensor.ndim == 3 else tensor
        for name, tensor in short.items()
    }
    with torch.inference_mode():
        assert torch.allclose(model(**short).logits, model(**padded).logits, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_answer_is_the_mean_of_the_members(architecture):
    model, inputs = make(architecture, members=3), batch()
    with torch.inference_mode():
        together = model(**inputs).logits
        alone = []
        for member in model.members:
            model.members = torch.nn.ModuleList([member])
            alone.append(model(**inputs).logits)
    assert torch.allclose(together, torch.stack(alone).mean(0), atol=1e-6)
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_member_reads_its_share_of_the_variables_and_nothing_of_the_others(architecture):
    model, inputs = make(architecture, members=1, share=0.67), batch()
    (unread,) = torch.nonzero(model.members[0].reads == 0)[:, 0].tolist()
    with torch.inference_mode():
        answers = model(**inputs).logits
        for variable in range(3):
            changed = {name: inputs[name].clone() for name in inputs}
            changed["values"][..., variable] += 1.0
            changed["elapsed"][..., variable] *= 2.0
            changed["seen"][..., variable] = 1
            assert torch.equal(model(**changed).logits, answers) == (variable == unread)


def test_a_rare_outcome_is_rare_before_anything_is_learnt():
    model = make(frequencies=[0.02], members=4)
    with torch.inference_mode():
        assert model(**batch(64)).logits.sigmoid().mean() < 0.06


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_network_learns_a_trend_that_the_last_value_hides(architecture):
    """The outcome is whether the values rose; the last one is the same for all."""
    generator = torch.Generator().manual_seed(0)
    outcome = (torch.arange(32) % 2).float()
    values = torch.zeros(32, 5, 3)
    values[:, :4, 0] = torch.linspace(-1, 1, 4) * (2 * outcome - 1)[:, None]
    values[:, :4, 0] += 0.1 * torch.randn(32, 4, generator=generator)
    values[:, 3, 0] = 0.0
    seen = torch.zeros(32, 5, 3, dtype=torch.uint8)
    seen[:, :4, 0] = 1
    inputs = {"values": values, "seen": seen, "elapsed": torch.ones(32, 5, 3), "statics": torch.zeros(32, 2),
              "lengths": torch.full((32,), 5)}  # fmt: skip
    model = make(architecture).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        loss = model(**inputs, labels=outcome[:, None]).loss
        loss.backward()
        optimiser.step()
    with torch.inference_mode():
        risks = model.eval()(**inputs).logits.sigmoid()[:, 0].numpy()
    assert np.array_equal(risks > 0.5, outcome.numpy() == 1)


def test_unknown_outcomes_and_weights_are_heard_in_the_loss():
    model = make(id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
    inputs, nan = batch(2), float("nan")
    known = model(**inputs, labels=torch.tensor([[1.0, nan], [0.0, nan]])).loss
    with torch.no_grad():
        for member in model.members:
            member.answer.bias[1] += 3  # moves the unknown outcome only
    assert torch.isclose(model(**inputs, labels=torch.tensor([[1.0, nan], [0.0, nan]])).loss, known)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    weighted = model(**inputs, labels=labels, sample_weight=torch.tensor([[1.0, 0.0], [1.0, 0.0]])).loss
    assert torch.isclose(weighted, known)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"window_hours": 0.0}, "window_hours must be above 0"),
        ({"step_hours": -1.0}, "step_hours must be above 0"),
        ({"members": 0}, "members must be at least 1"),
        ({"share": 0.0}, "share must be above 0"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        OutcomePredictionConfig(**changes)
