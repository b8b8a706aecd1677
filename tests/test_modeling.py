"""Strictness of configs and weights, which transformers leaves to warnings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.errors import ConfigError, WeightsError
from medhub.modeling import MedConfig, MedModel, classification_loss


class PulseConfig(MedConfig):
    model_type = "test_pulse"
    ARCHITECTURES: ClassVar[tuple[str, ...]] = ("dense", "deep")

    architecture: str = "dense"
    width: int = 4


class PulseModel(MedModel):
    config_class = PulseConfig
    main_input_name = "values"

    def __init__(self, config: PulseConfig) -> None:
        super().__init__(config)
        self.layer = nn.Linear(3, config.width)
        self.head = nn.Linear(config.width, config.num_labels)
        self.register_buffer("ramp", torch.arange(config.width).float(), persistent=False)
        self.post_init()

    def forward(self, values: Tensor, labels: Tensor | None = None, **_: Any) -> SequenceClassifierOutput:
        logits = self.head(self.layer(values) + self.ramp)
        return SequenceClassifierOutput(
            loss=None if labels is None else classification_loss(logits, labels), logits=logits
        )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    PulseModel(PulseConfig()).save_pretrained(tmp_path)
    return tmp_path


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_saved_and_loaded_weights_are_equal_bit_for_bit(saved: Path) -> None:
    torch.manual_seed(0)
    made, loaded = PulseModel(PulseConfig()), PulseModel.from_pretrained(saved)
    for (name, one), (_, other) in zip(made.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert torch.equal(one, other), name


def test_buffers_that_are_not_saved_are_computed_anew(saved: Path) -> None:
    assert torch.equal(PulseModel.from_pretrained(saved).ramp, torch.arange(4).float())


def test_layers_keep_their_own_initialisation() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(3, 4)
    torch.manual_seed(0)
    assert torch.equal(PulseModel(PulseConfig()).layer.weight, plain.weight)


def test_a_misspelt_key_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"no key 'widht'; did you mean 'width'\?"):
        PulseConfig(widht=8)


def test_a_misspelt_key_in_a_file_is_refused(saved: Path) -> None:
    edit_config(saved, architecutre="deep")
    with pytest.raises(ConfigError, match="did you mean 'architecture'"):
        PulseModel.from_pretrained(saved)


def test_an_unknown_network_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"no network 'dens'; did you mean 'dense'\?"):
        PulseConfig(architecture="dens")


def test_a_config_of_another_task_is_refused(saved: Path) -> None:
    edit_config(saved, model_type="medhub_imaging_classification")
    with pytest.raises(ConfigError, match="medhub_imaging_classification"):
        PulseModel.from_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("head.bias"), r"lacks head\.bias"),
        (lambda weights: weights.update(extra=torch.zeros(2)), r"holds the unexpected extra"),
        (lambda weights: weights.update(haed=weights.pop("head.bias")), r"lacks head\.bias"),
    ],
    ids=["missing", "unexpected", "renamed"],
)
def test_weights_that_do_not_fit_are_refused(saved: Path, change: Any, said: str) -> None:
    weights = load_file(saved / "model.safetensors")
    change(weights)
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=said):
        PulseModel.from_pretrained(saved)


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    edit_config(saved, width=5)
    with pytest.raises(WeightsError, match=r"does not fit PulseModel"):
        PulseModel.from_pretrained(saved)


def test_a_pickle_is_not_loaded(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    torch.save(weights, saved / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        PulseModel.from_pretrained(saved)


def test_missing_labels_do_not_count() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    labels = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    expected = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels[:, 0])
    assert torch.isclose(classification_loss(logits, labels), expected)


def test_all_labels_missing_gives_no_gradient_and_no_nan() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    classification_loss(logits, torch.full((2, 2), float("nan"))).backward()
    assert torch.equal(logits.grad, torch.zeros(2, 2))


def test_sample_weights_weigh() -> None:
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1])
    weighed = classification_loss(logits, labels, sample_weight=torch.tensor([1.0, 0.0, 0.0]))
    assert torch.isclose(weighed, nn.functional.cross_entropy(logits[:1], labels[:1]))
