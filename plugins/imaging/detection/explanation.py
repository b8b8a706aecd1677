"""Where in an image a network saw the objects of one label: HiResCAM of their boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.explain import hires_cam
from medhub.results import Explanation

from ..overlays import box_overlay, heat_overlay, label_colours
from .boxes import DECIDED, Kept, keep_best

if TYPE_CHECKING:
    from medhub.modeling import MedModel


def explain_boxes(
    model: MedModel, batch: dict[str, Tensor], *, label: str, pixels: NDArray[np.uint8], scale: NDArray[np.floating]
) -> Explanation:
    """Return the HiResCAM of the boxes of `label` that are found; where none is, of the most probable one.

    `batch` holds one image, whose `pixels` (height, width, channels) are drawn beneath; times `scale` they are the
    network's.
    """
    index = int(model.config.label2id[label])
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    kept = _boxes_of(model, batch, index)

    def read(outputs: ModelOutput) -> Tensor:
        return outputs["logits"][:, kept.candidates].sum(1)

    layer = model.attribution_layer()  # type: ignore[operator]
    whole = {"pixel_values": model.network.pad(batch["pixel_values"])}  # type: ignore[operator, union-attr]
    heat = hires_cam(model, whole, name="pixel_values", label=index, layer=layer, read=read)[0, 0].cpu().numpy()
    height, width = (round(side * factor) for side, factor in zip(pixels.shape[:2], scale[1::-1], strict=True))
    heat = heat[:height, :width]  # not what was added beside the image
    beneath = np.asarray(heat_overlay(pixels, heat))
    zoom = np.tile([beneath.shape[1] / width, beneath.shape[0] / height], 2)
    colours = label_colours(list(model.config.id2label.values()))
    return Explanation(
        method="HiResCAM",
        label=label,
        legend="yellow to red parts speak for the boxes that are drawn",
        values=heat,
        picture=box_overlay(
            beneath, kept.boxes.cpu().numpy() * zoom, [label] * len(kept.boxes), kept.probabilities.cpu().numpy(),
            colours={label: colours[label]},
        ),
    )  # fmt: skip


def _boxes_of(model: MedModel, batch: dict[str, Tensor], label: int) -> Kept:
    """Return the boxes of `label` that are found; the most probable one where none is, if there is any at all."""
    config = model.config
    was_training = model.training
    model.eval()
    with torch.no_grad():
        outputs = model(**batch)
    model.train(was_training)
    kept = keep_best(
        outputs["boxes"][0], outputs["logits"][0], calibration=config.calibration, overlap=config.nms_iou,
        size=[*batch["pixel_values"].shape[2:]],
    )  # fmt: skip
    places = (kept.labels == label).nonzero()[:, 0]
    found = int((kept.probabilities[places] >= DECIDED).sum())
    return Kept(*(values[places[: max(1, found)]] for values in kept))
