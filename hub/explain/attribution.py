"""Integrated gradients (Sundararajan et al. 2017), Grad-CAM (Selvaraju et al. 2017) and HiResCAM over a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from medhub.errors import MedHubError
from medhub.modeling import MedModel

Read = Callable[[ModelOutput], Tensor]
"""Makes of a model's output one figure a label, (batch, labels)."""


def _logits(outputs: ModelOutput) -> Tensor:
    return outputs["logits"]


def integrated_gradients(
    model: MedModel,
    batch: dict[str, Tensor],
    *,
    name: str,
    label: int,
    layer: nn.Module | None = None,
    baseline: Tensor | None = None,
    steps: int = 32,
    read: Read = _logits,
) -> Tensor:
    """Return the attribution of `batch[name]` to output `label`, of the same shape (batch, ...).

    With `layer` (an embedding, for inputs that are indices) the attribution is that of the layer's output, of shape
    (batch, ..., width). `baseline` is the input that says nothing: zeros unless given. The attributions of an example
    sum to the difference between its logit and the baseline's, up to the integration error of `steps`. `read` takes
    the figures of labels from an output whose `logits` are of another shape.
    """
    captum = _captum()
    inputs = batch[name]
    with _evaluating(model):
        method: object
        if layer is None:
            method = captum.IntegratedGradients(_figures(model, batch, name, read))
            inputs = inputs.float()
        else:
            method = captum.LayerIntegratedGradients(_figures(model, batch, name, read), layer)
        baseline = torch.zeros_like(inputs) if baseline is None else baseline
        return method.attribute(  # type: ignore[attr-defined]
            inputs, baselines=baseline, target=label, n_steps=steps, internal_batch_size=max(len(inputs), 64)
        ).detach()


def grad_cam(
    model: MedModel, batch: dict[str, Tensor], *, name: str, label: int, layer: nn.Module, read: Read = _logits
) -> Tensor:
    """Return where a convolutional `layer` looked for output `label`: (maps, 1, *spatial of `batch[name]`), >= 0.

    There is a map an example, or, of a layer that sees the slices of a volume one by one, a map a slice. `read` is that
    of `integrated_gradients`.
    """
    with _evaluating(model):
        method = _captum().LayerGradCam(_figures(model, batch, name, read), layer)
        coarse = method.attribute(batch[name], target=label, relu_attributions=True).detach()
    return _enlarge(coarse, batch[name])


def hires_cam(
    model: MedModel, batch: dict[str, Tensor], *, name: str, label: int, layer: nn.Module, read: Read = _logits
) -> Tensor:
    """Return what `grad_cam` returns, of gradients that count where they arise (Draelos and Carin 2020).

    Grad-CAM averages a channel's gradient over the map, which is right for an answer about the whole image. For one
    about a place in it, a box or a region, it would mark whatever looks alike elsewhere.
    """
    with _evaluating(model):
        method = _captum().LayerGradientXActivation(_figures(model, batch, name, read), layer)
        coarse = method.attribute(batch[name], target=label).detach().sum(1, keepdim=True).relu()
    return _enlarge(coarse, batch[name])


def _enlarge(coarse: Tensor, inputs: Tensor) -> Tensor:
    """Return maps (maps, 1, *space) in the size of the inputs they are about."""
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[coarse.ndim]
    return nn.functional.interpolate(coarse, size=inputs.shape[2 - coarse.ndim :], mode=mode, align_corners=False)


def _figures(model: MedModel, batch: dict[str, Tensor], name: str, read: Read) -> Callable[[Tensor], Tensor]:
    """Make a function of the one tensor; the batch's others are repeated as Captum stacks its integration steps."""
    others = {key: value for key, value in batch.items() if key not in (name, "labels")}

    def figures(inputs: Tensor) -> Tensor:
        repeats = len(inputs) // len(batch[name])
        repeated = {key: value.repeat(repeats, *[1] * (value.ndim - 1)) for key, value in others.items()}
        return read(model(**{name: inputs}, **repeated))

    return figures


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode with gradients enabled; afterwards all is as before."""
    was_training = model.training
    model.eval()
    try:
        # cuDNN refuses a recurrent network's backward pass in evaluation mode
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise MedHubError("explanations need Captum; pip install 'medhub[trust]'") from error
    return captum.attr
