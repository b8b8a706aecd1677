"""The detector: one of the two networks, behind what training, prediction and explanation ask of a model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from transformers.utils import ModelOutput

from medhub.modeling import MedModel

from .config import ImageDetectionConfig
from .ssd import SingleShot
from .yolo import Yolo

NETWORKS: dict[str, type[Yolo] | type[SingleShot]] = {"yolo": Yolo, "ssd": SingleShot}


@dataclass
class DetectionOutput(ModelOutput):
    """What a detector answers; both networks answer in the same terms."""

    loss: Tensor | None = None
    """A scalar; None without labels."""
    logits: Tensor | None = None
    """(batch, candidates, labels): the log-odds that a candidate is an object of a label."""
    boxes: Tensor | None = None
    """(batch, candidates, 4): the candidates' boxes, xyxy in pixels of the network's input."""


class ImageDetectionModel(MedModel):
    """A detector; `config.architecture` chooses the network."""

    config_class = ImageDetectionConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ImageDetectionConfig) -> None:
        super().__init__(config)
        self.network = NETWORKS[config.architecture](config)
        self.post_init()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> DetectionOutput:
        """Return logits and boxes of every candidate, and the loss when labels are given.

        pixel_values (batch, channels, height, width), of any height and width; labels (batch, most, 5): class, x1, y1,
        x2, y2 in pixels of the input, class -1 where an image has fewer objects than the others.
        """
        loss, logits, boxes = self.network(pixel_values, labels)
        return DetectionOutput(loss=loss, logits=logits, boxes=boxes)

    def attribution_layer(self) -> nn.Module:
        """Return the layer whose output is the finest map on which all boxes depend."""
        return self.network.shared_layer
