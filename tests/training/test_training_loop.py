"""What the loop does to the weights."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medhub.errors import ConfigError, LabelError, MedHubError
from medhub.metrics import Metric
from medhub.training import Settings
from medhub.training.average import MovingAverage
from medhub.training.balance import class_weights, sample_weights
from medhub.training.launch import start_accelerator
from medhub.training.run import READING_SECONDS
from medhub.training.step import Player, Stepper


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(one: nn.Module, other: nn.Module, **tolerance: float) -> None:
    tolerance = tolerance or {"atol": 0.0, "rtol": 0.0}
    for (name, left), right in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(left, right, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def scripted(*values: float, rising: bool = True) -> Metric:
    """A metric that takes these values, one an epoch."""
    course = iter(values)
    return Metric("scripted", lambda scores, targets: next(course), best=float(rising), higher_is_better=rising)


def test_learns_the_toy_task(toy: ModuleType, tmp_path: Path) -> None:
    outcome = toy.run(Settings(epochs=10, batch_size=16, learning_rate=1e-2), tmp_path, size=256)
    assert outcome.best_value == max(record["metric"] for record in outcome.history) > 0.9
    assert outcome.history[-1]["loss"] < outcome.history[0]["loss"] / 1.5
    assert (outcome.steps, outcome.rank, outcome.processes) == (160, 0, 1)
    assert not outcome.model.training


def test_same_seed_gives_the_same_weights_and_another_seed_others(toy: ModuleType, tmp_path: Path) -> None:
    one, same, other = (
        toy.run(Settings(epochs=2, seed=seed), tmp_path / name).model for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    )
    assert_same(one, same)
    with pytest.raises(AssertionError):
        assert_same(one, other)


def test_accumulated_batches_equal_a_large_one(toy: ModuleType, tmp_path: Path) -> None:
    small = toy.run(Settings(epochs=3, batch_size=8, accumulate=4), tmp_path / "small", kind="plain")
    large = toy.run(Settings(epochs=3, batch_size=32), tmp_path / "large", kind="plain")
    assert small.steps == large.steps == 9
    assert_same(small.model, large.model, atol=1e-6, rtol=0.0)


def test_the_last_step_of_an_epoch_takes_the_batches_that_are_left(toy: ModuleType, tmp_path: Path) -> None:
    outcome = toy.run(Settings(epochs=2, batch_size=32, accumulate=2), tmp_path)  # 3 batches an epoch
    assert outcome.steps == 4


def stepper_of(toy: ModuleType, kind: str = "plain", **settings: Any) -> tuple[nn.Module, Stepper]:
    model = toy.make_model(kind)
    return model, Stepper(model, start_accelerator(Settings()), settings=Settings(**settings))


def batch_of(toy: ModuleType) -> dict[str, Tensor]:
    return toy.PointProcessor().collate(toy.points(16).take(np.arange(16)))


def gradient_norm(model: nn.Module) -> float:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm().item()


def test_gradients_are_clipped_to_the_norm(toy: ModuleType) -> None:
    free, stepper = stepper_of(toy, clip=0.0)
    stepper.step([batch_of(toy)], learning_rate=1e-3)
    clipped, stepper = stepper_of(toy, clip=0.01)
    stepper.step([batch_of(toy)], learning_rate=1e-3)
    assert gradient_norm(free) > 0.1
    assert gradient_norm(clipped) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_loss_scaling_changes_nothing_but_skips_an_overflow(toy: ModuleType, clip: float) -> None:
    """The fp16 path, with the scaler that it would have on a GPU."""
    batch = batch_of(toy)
    plain, stepper = stepper_of(toy, clip=clip)
    scaled, scaling = stepper_of(toy, clip=clip)
    scaling.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(3):
        stepper.step([batch, batch], learning_rate=1e-2)
        scaling.step([batch, batch], learning_rate=1e-2)
    assert_same(plain, scaled, atol=1e-6, rtol=0.0)
    before = weights(scaled)
    scaling.step([{**batch, "values": batch["values"] * float("inf")}], learning_rate=1e-2)
    assert all(torch.equal(before[name], tensor) for name, tensor in scaled.state_dict().items())
    assert scaling.scaler.get_scale() == 512.0


def test_biases_are_not_decayed(toy: ModuleType) -> None:
    model, stepper = stepper_of(toy, weight_decay=0.5)
    decay = {
        id(parameter): group["weight_decay"]
        for group in stepper.players[0].optimizer.param_groups
        for parameter in group["params"]
    }
    assert {name: decay[id(parameter)] for name, parameter in model.named_parameters()} == {
        "hidden.weight": 0.5, "hidden.bias": 0.0, "head.weight": 0.5, "head.bias": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(("values", "rising"), [((0.5, 0.9, 0.9, 0.8, 1.0), True), ((0.5, 0.1, 0.1, 0.2, 0.0), False)])
def test_early_stopping_gives_the_best_weights_back(
    toy: ModuleType, tmp_path: Path, values: tuple[float, ...], rising: bool
) -> None:
    steady = {"schedule": "constant", "warmup": 0.0}
    settings = Settings(epochs=5, patience=2, **steady)
    stopped = toy.run(settings, tmp_path / "stopped", metric=scripted(*values, rising=rising))
    assert (len(stopped.history), stopped.best_epoch, stopped.best_value) == (4, 2, values[1])
    assert [record["best"] for record in stopped.history] == [True, True, False, False]
    short = toy.run(Settings(epochs=2, **steady), tmp_path / "short", metric=scripted(0.5, 0.9))
    assert_same(stopped.model, short.model)


def test_a_metric_without_a_value_never_stands_in_the_way_of_one_with(toy: ModuleType, tmp_path: Path) -> None:
    nan = float("nan")
    outcome = toy.run(Settings(epochs=4), tmp_path, metric=scripted(nan, nan, 0.2, nan))
    assert (outcome.best_epoch, outcome.best_value) == (3, 0.2)


def test_average_follows_the_weights(toy: ModuleType) -> None:
    model = toy.make_model("noisy")
    start = model.head.bias.detach().clone()
    average = MovingAverage(model, decay=0.5)
    with torch.no_grad():
        model.head.bias += 1.0
        model.norm.num_batches_tracked += 3
    average.update(0)  # decay 1 / 10 at first
    torch.testing.assert_close(average.model.head.bias, start + 0.9)
    average.update(100)  # decay 0.5 in the end
    torch.testing.assert_close(average.model.head.bias, start + 0.95)
    assert average.model.norm.num_batches_tracked == 3


def test_averaged_weights_are_returned(toy: ModuleType, tmp_path: Path) -> None:
    plain = toy.run(Settings(epochs=1), tmp_path / "plain")
    averaged = toy.run(Settings(epochs=1, ema=0.9), tmp_path / "averaged")
    with pytest.raises(AssertionError):
        assert_same(plain.model, averaged.model)


def test_class_weights_are_inverse_to_frequency(toy: ModuleType) -> None:
    values = np.zeros((8, 4), dtype=np.float32)
    classes = class_weights(toy.features_of(values, np.array([0] * 6 + [2] * 2)), toy.make_model("plain"))
    torch.testing.assert_close(classes, torch.tensor([8 / (3 * 6), 0.0, 8 / (3 * 2)]))
    assert sample_weights(torch.tensor([2, 0]), classes).tolist() == classes[[2, 0]].tolist()

    nan = float("nan")
    labels = np.array([[1, 0], [0, 0], [0, nan], [0, 1], [nan, nan], [nan, 0], [nan, 0], [nan, 0]])
    pairs = class_weights(toy.features_of(values, labels), toy.make_model("plain"))
    torch.testing.assert_close(pairs, torch.tensor([[4 / 6, 6 / 10], [4 / 2, 6 / 2]]))
    chosen = sample_weights(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), pairs)
    torch.testing.assert_close(chosen, torch.tensor([[2.0, 0.6], [2 / 3, 3.0]]))


def test_balance_raises_the_rare_class(toy: ModuleType, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(128, 4)).astype(np.float32)
    labels = (values[:, 0] + generator.normal(size=128) > 1.8).astype(int)
    rare = toy.features_of(values, labels)

    def mean_score(balance: str) -> float:
        settings = Settings(epochs=15, learning_rate=1e-2, balance=balance)
        outcome = toy.train(
            toy.make_model("plain"), rare, rare, toy.PointProcessor(),
            settings=settings, folder=tmp_path / balance, metric=toy.AUROC,
        )  # fmt: skip
        logits = outcome.model(torch.from_numpy(values)).logits
        return logits.softmax(-1)[:, 1].mean().item()

    assert mean_score("none") == pytest.approx(labels.mean(), abs=0.06)
    assert mean_score("balanced") > labels.mean() + 0.1


def test_balance_needs_classes_and_a_model_that_takes_weights(toy: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"GameModel\.forward takes no sample_weight"):
        class_weights(toy.points(8), toy.make_model("game"))
    targets = toy.features_of(np.zeros((4, 4), dtype=np.float32), np.arange(4.0))
    with pytest.raises(LabelError, match="have no classes"):
        class_weights(targets, toy.make_model("plain"))


@pytest.mark.parametrize(
    ("spoil", "settings"),
    [(float("nan"), {}), (1.0, {"learning_rate": 1e30, "clip": 0.0})],
    ids=["features", "learning rate"],
)
def test_divergence_is_an_error_with_a_cure(
    toy: ModuleType, tmp_path: Path, spoil: float, settings: dict[str, float]
) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(64, 4)).astype(np.float32)
    values[5] *= spoil
    features = toy.features_of(values, np.arange(64) % 2)
    with pytest.raises(MedHubError, match=r"training diverged: .* Lower the learning rate"):
        toy.train(
            toy.make_model("plain"), features, features, toy.PointProcessor(),
            settings=Settings(epochs=2, warmup=0.0, **settings), folder=tmp_path, metric=toy.AUROC,
        )  # fmt: skip


def test_no_step_waits_for_a_number(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        original = getattr(Tensor, name)

        def read(self: Tensor, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
            readings.append(_original)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(Tensor, name, read)
    counts = []
    for size in (64, 6400):
        readings.clear()
        outcome = toy.run(Settings(epochs=1), tmp_path / str(size), size=size)
        assert outcome.steps == size / 32
        # on a slow machine the epoch may take several half seconds, each of which has a reading
        counts.append(len(readings) - outcome.seconds / READING_SECONDS)
    assert counts[1] <= counts[0] + 1


def test_each_player_changes_only_its_own_parameters(toy: ModuleType) -> None:
    model, stepper = stepper_of(toy, "game")
    assert [player.name for player in stepper.players] == ["discriminator", "generator"]
    changed: dict[str, set[str]] = {}

    def watch(player: Player) -> None:
        before: dict[str, Tensor] = {}
        player.optimizer.register_step_pre_hook(lambda *_: before.update(weights(model)))
        player.optimizer.register_step_post_hook(
            lambda *_: changed.update(
                {player.name: {name for name, new in model.state_dict().items() if not torch.equal(before[name], new)}}
            )
        )

    for player in stepper.players:
        watch(player)
    stepper.step([batch_of(toy), batch_of(toy)], learning_rate=1e-2)
    assert changed["generator"] == {"generator.weight", "generator.bias"}
    assert changed["discriminator"] == {name for name in model.state_dict() if name.startswith("discriminator")}
    stepper.release()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_adversarial_training_finds_the_data(toy: ModuleType, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(loc=3.0, size=(256, 4)).astype(np.float32)
    features = toy.features_of(values, np.arange(256) % 2)
    model = toy.make_model("game")
    assert abs(model.generator.bias.item()) < 1
    settings = Settings(epochs=30, batch_size=32, learning_rate=2e-2, schedule="constant")
    outcome = toy.train(
        model, features, features, toy.PointProcessor(),
        settings=settings, folder=tmp_path, metric=scripted(*range(30)),
    )  # fmt: skip
    assert model.generator.bias.item() == pytest.approx(3.0, abs=1.0)
    record = outcome.history[-1]
    assert record["loss"] == pytest.approx(record["loss_discriminator"] + record["loss_generator"])


def test_bf16_trains_float32_weights(toy: ModuleType, tmp_path: Path) -> None:
    full = toy.run(Settings(epochs=4, learning_rate=1e-2), tmp_path / "no", size=256)
    half = toy.run(Settings(epochs=4, learning_rate=1e-2, precision="bf16"), tmp_path / "bf16", size=256)
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.float32}
    assert half.best_value == pytest.approx(full.best_value, abs=0.05)
    assert half.history[0]["loss"] != full.history[0]["loss"]
    assert "forward" not in vars(half.model)


def test_fp16_is_refused_on_a_cpu(toy: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        toy.run(Settings(cpu=True, precision="fp16"), tmp_path)


def test_channels_last_images_train_alike_and_come_back_as_they_were(toy: ModuleType, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(32, 3, 8, 8)).astype(np.float32)
    features = toy.features_of(images, np.arange(32) % 2)
    seen = set()

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.add(inputs[0].is_contiguous(memory_format=torch.channels_last))

    def train(*, channels_last: bool) -> nn.Module:
        torch.manual_seed(7)
        model = toy.ImageModel(toy.PointConfig())
        hook = model.convolution.register_forward_pre_hook(watch)
        settings = Settings(epochs=2, batch_size=8, channels_last=channels_last, ema=0.5)
        folder = tmp_path / str(channels_last)
        toy.train(model, features, features, toy.PointProcessor(), settings=settings, folder=folder, metric=toy.AUROC)
        hook.remove()
        return model

    usual = train(channels_last=False)
    assert seen == {False}
    inverted = train(channels_last=True)
    assert seen == {False, True}
    assert_same(usual, inverted, atol=1e-5, rtol=1e-5)
    assert inverted.convolution.weight.is_contiguous()


def test_compiled_training_does_the_same(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the tracer but without the code generator, which takes a minute."""
    original, asked = torch.compile, []

    def trace_only(module: nn.Module, **arguments: Any) -> Any:
        asked.append(arguments["backend"])
        return original(module, backend="eager")

    monkeypatch.setattr(torch, "compile", trace_only)
    usual = toy.run(Settings(epochs=1, ema=0.9), tmp_path / "usual", kind="plain")
    assert not asked
    compiled = toy.run(Settings(epochs=1, ema=0.9, compile=True), tmp_path / "compiled", kind="plain")
    assert asked == ["inductor"]
    assert_same(usual.model, compiled.model, atol=1e-6, rtol=0.0)


def test_progress_is_told_seldom_and_after_every_epoch(toy: ModuleType, tmp_path: Path) -> None:
    class Notes:
        def __init__(self) -> None:
            self.steps: list[dict[str, Any]] = []
            self.epochs: list[dict[str, Any]] = []

        def step(self, **told: Any) -> None:
            self.steps.append(told)

        def epoch(self, record: dict[str, Any]) -> None:
            self.epochs.append(record)

    notes = Notes()
    outcome = toy.run(Settings(epochs=3, batch_size=1), tmp_path, kind="plain", size=512, progress=notes)
    assert notes.epochs == outcome.history
    assert 3 <= len(notes.steps) <= 3 + outcome.seconds / READING_SECONDS
    assert notes.steps[-1] == {"step": 1536, "total": 1536, "epoch": 3, "loss": outcome.history[-1]["loss"]}
    for told in notes.steps:
        assert told["total"] == 1536
        assert 1 <= told["step"] <= 1536
        assert 0 < told["loss"] < 2


def test_tensorboard_gets_the_history(toy: ModuleType, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    outcome = toy.run(Settings(epochs=3, tensorboard=True), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("auroc")] == [1, 2, 3]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([r["loss"] for r in outcome.history])
