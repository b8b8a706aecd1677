"""Settings that are JSON, and that refuse what they do not know."""

from __future__ import annotations

import json
import math

import pytest

from medhub.errors import ConfigError
from medhub.training import Settings
from medhub.training.schedule import learning_rate


def test_settings_come_back_from_json() -> None:
    settings = Settings(epochs=3, learning_rate=1e-2, schedule="linear", ema=0.99, cpu=True)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no training setting 'learning_rat'; did you mean 'learning_rate'"):
        Settings.from_dict({"learning_rat": 1e-3})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must lie between 1"),
        ({"epochs": "3"}, "epochs must be of type int, not '3'"),
        ({"accumulate": True}, "accumulate must be of type int"),
        ({"warmup": 1.5}, "warmup must lie between 0 and 1"),
        ({"learning_rate": math.nan}, "learning_rate must lie between"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"precision": "fp64"}, "Choices: no, bf16, fp16"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**values)


def rates(schedule: str, *, warmup: float = 0.1) -> list[float]:
    settings = Settings(schedule=schedule, warmup=warmup, learning_rate=1.0)
    return [learning_rate(step, total=100, settings=settings) for step in range(100)]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_warmup_rises_by_equal_amounts_to_the_full_rate(schedule: str) -> None:
    assert rates(schedule)[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert rates(schedule, warmup=0.0)[0] == 1.0


def test_schedules_fall_as_their_names_say() -> None:
    assert rates("constant")[10:] == [1.0] * 90
    assert rates("linear")[10:] == pytest.approx([1 - step / 90 for step in range(90)])
    assert rates("cosine")[10:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * step / 90) for step in range(90)])
