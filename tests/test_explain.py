"""Attributions of networks whose right answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import ModelOutput

from medhub.explain import grad_cam, hires_cam, integrated_gradients
from medhub.modeling import MedConfig, MedModel


class ProbeConfig(MedConfig):
    model_type = "test_probe"


class LinearModel(MedModel):
    """Logits are a fixed linear function of `values`, so each attribution is weight times value."""

    config_class = ProbeConfig

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        self.head = nn.Linear(3, 2, bias=True)
        self.post_init()

    def forward(self, values: Tensor, scale: Tensor | None = None, **_: Any) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.head(values if scale is None else values * scale[:, None]))


class TokenModel(MedModel):
    config_class = ProbeConfig

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(5, 4)
        self.recurrent = nn.GRU(4, 4, batch_first=True)
        self.head = nn.Linear(4, 2)
        self.post_init()

    def forward(self, tokens: Tensor, **_: Any) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.head(self.recurrent(self.embedding(tokens))[0].mean(1)))


@dataclass
class PictureOutput(ModelOutput):
    logits: Tensor | None = None
    maps: Tensor | None = None


class PictureModel(MedModel):
    config_class = ProbeConfig

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        self.convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        nn.init.ones_(self.convolution.weight)
        self.post_init()

    def forward(self, pixels: Tensor, **_: Any) -> PictureOutput:
        maps = self.convolution(pixels)
        seen = maps.mean((1, 2, 3))
        return PictureOutput(logits=torch.stack([-seen, seen], dim=1), maps=maps)


def test_a_linear_model_is_explained_exactly() -> None:
    torch.manual_seed(0)
    model = LinearModel(ProbeConfig())
    values = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    found = integrated_gradients(model, {"values": values}, name="values", label=1)
    torch.testing.assert_close(found, values * model.head.weight[1].detach())


def test_other_tensors_of_the_batch_go_along() -> None:
    torch.manual_seed(0)
    model = LinearModel(ProbeConfig())
    batch = {"values": torch.ones(2, 3), "scale": torch.tensor([1.0, 3.0]), "labels": torch.tensor([0, 1])}
    found = integrated_gradients(model, batch, name="values", label=0)
    torch.testing.assert_close(found[1], 3 * found[0])


def test_token_attributions_add_up_to_the_difference_of_logits() -> None:
    torch.manual_seed(0)
    model = TokenModel(ProbeConfig()).train()
    tokens = torch.tensor([[1, 2, 3, 4]])
    found = integrated_gradients(
        model, {"tokens": tokens}, name="tokens", label=1, layer=model.embedding, steps=200
    )  # fmt: skip
    blank = torch.zeros_like(tokens)
    difference = (model(tokens=tokens)["logits"] - model(tokens=blank)["logits"])[0, 1]
    assert found.shape == (1, 4, 4)
    torch.testing.assert_close(found.sum(), difference, atol=1e-3, rtol=1e-3)
    assert model.training, "the model's mode is as it was"
    assert all(parameter.grad is None for parameter in model.parameters())


def test_grad_cam_finds_the_bright_spot() -> None:
    model = PictureModel(ProbeConfig())
    pixels = torch.zeros(1, 1, 16, 16)
    pixels[0, 0, 3:6, 9:12] = 1
    heat = grad_cam(model, {"pixels": pixels}, name="pixels", label=1, layer=model.convolution)
    assert heat.shape == pixels.shape
    row, column = divmod(int(heat.argmax()), 16)
    assert 3 <= row < 6
    assert 9 <= column < 12


def test_an_answer_about_one_place_is_explained_by_that_place() -> None:
    model = PictureModel(ProbeConfig())
    pixels = torch.zeros(1, 1, 16, 16)
    pixels[0, 0, 3:6, 9:12] = pixels[0, 0, 11:14, 2:5] = 1  # two spots that look alike

    def upper(outputs: dict[str, Tensor]) -> Tensor:
        return torch.stack([-outputs["maps"], outputs["maps"]], dim=-1)[0, 0, :8].mean((0, 1))[None]

    given = {"name": "pixels", "label": 1, "layer": model.convolution, "read": upper}
    heat = hires_cam(model, {"pixels": pixels}, **given)
    assert heat[0, 0, 4, 10] > 0
    assert heat[0, 0, 8:].max() == 0
    assert grad_cam(model, {"pixels": pixels}, **given)[0, 0, 12, 3] > 0
