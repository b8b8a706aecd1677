"""From an image file to a batch, and from the network's candidates to boxes that a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.errors import ModalityError
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation

from ..files import read_image
from ..image import Image
from .augmentation import GREY, augment
from .boxes import keep_best, letterbox
from .calibration import fit_calibration
from .config import ImageDetectionConfig
from .explanation import explain_boxes
from .results import Box, DetectionPrediction

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

MOST_ROWS = 200
"""Training rows, evenly spaced, from which the mean and the deviation are learnt; more would not change them."""
LEAST_REPORTED = 0.05
"""Probability from which on a box stands in a result; metrics look at less probable ones too."""


@dataclass(kw_only=True)
class ImageDetectionProcessor(Processor):
    """Pictures of any kind in; fitted into one size in their proportions, normalised as the training images were."""

    image_size: list[int]
    """Rows and columns into which every image is fitted."""
    channels: int
    horizontal_flip: bool
    vertical_flip: bool
    mosaic: float
    modalities: list[str]
    """DICOM's codes of the modalities that are accepted; empty: all."""
    mean: list[float]
    """Of each channel, with black at 0 and white at 1."""
    deviation: list[float]

    RAGGED: ClassVar[tuple[str, ...]] = ("labels",)

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn each channel's mean and deviation from the training rows, and which modalities they are of."""
        assert isinstance(config, ImageDetectionConfig)
        if config.modalities is None:
            named: set[Any] = set(rows["modality"][:]) if "modality" in rows.column_names else {None}
            config.modalities = [] if None in named else sorted(named)
        processor = cls(
            image_size=[*config.image_size], channels=config.channels, horizontal_flip=config.horizontal_flip,
            vertical_flip=config.vertical_flip, mosaic=config.mosaic, modalities=config.modalities,
            mean=[0.0] * config.channels, deviation=[1.0] * config.channels,
        )  # fmt: skip
        sums = np.zeros((3, config.channels))
        for row in np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(int):
            pixels = processor.features(processor.read(rows[int(row)]["input"]))["pixel_values"]
            values = pixels.reshape(config.channels, -1) / 255
            sums += [[values.shape[1]] * config.channels, values.sum(1), (values**2).sum(1)]
        mean = sums[1] / sums[0]
        deviation = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0))
        processor.mean = mean.tolist()
        processor.deviation = np.where(deviation > 0, deviation, 1.0).tolist()
        return processor

    def read(self, raw: Any) -> Image:
        """Read an image in any form that `read_image` takes; raise InputError, or ModalityError for a wrong modality.

        Of a volume the middle slice is taken, and the result names it.
        """
        image = read_image(raw)
        if self.modalities and image.modality and image.modality not in self.modalities:
            raise ModalityError(
                f"{image.source} is of modality {image.modality}, but the model was trained on "
                f"{', '.join(self.modalities)}; use a model for {image.modality}"
            )
        return image if image.slices == 1 else image.slice(image.slices // 2)

    def describe(self, sample: Image) -> str:
        """Name an image by its file."""
        return sample.source

    def features(self, sample: Image) -> dict[str, NDArray]:
        """Return uint8 pixels (channels, rows, columns): the image in the upper left corner, grey beside or below."""
        import PIL.Image

        levels = sample.grey_levels()[0]
        picture = PIL.Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
        height, width = letterbox(levels.shape[:2], self.image_size)
        picture = picture.convert("L" if self.channels == 1 else "RGB")
        picture = picture.resize((width, height), PIL.Image.Resampling.BILINEAR)
        pixels = np.full((self.channels, *self.image_size), round(255 * GREY), np.uint8)
        pixels[:, :height, :width] = np.asarray(picture).reshape(height, width, self.channels).transpose(2, 0, 1)
        return {"pixel_values": pixels}

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return a row's objects, float32 (n, 5): class, left, top, right, bottom in the network's input pixels."""
        labels = row["labels"]
        boxes = np.asarray(labels["boxes"], np.float32).reshape(-1, 4) * self._scale(tuple(labels["size"]))
        return {"labels": np.column_stack([np.asarray(labels["classes"], np.float32), boxes]).astype(np.float32)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Normalise a batch, and augment it when a generator is given; see `ImageDetectionModel.forward`."""
        images = torch.from_numpy(np.asarray(columns["pixel_values"])).float() / 255
        batch = {}
        if "labels" in columns:
            boxes = [torch.from_numpy(np.array(item)) for item in columns["labels"]]
            labels = torch.nn.utils.rnn.pad_sequence(boxes, batch_first=True, padding_value=-1.0)
            if generator is not None:
                images, labels = augment(
                    images, labels, generator, horizontal_flip=self.horizontal_flip, vertical_flip=self.vertical_flip,
                    mosaic=self.mosaic,
                )  # fmt: skip
            batch["labels"] = labels
        mean, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.deviation))
        return {"pixel_values": (images - mean) / deviation, **batch}

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return an (n, 6) array an image: left, top, right, bottom in input pixels, probability, label.

        Of the candidates those are left that `keep_best` chooses, the most probable first.
        """
        assert isinstance(config, ImageDetectionConfig)
        rows = []
        for boxes, logits in zip(outputs["boxes"], outputs["logits"], strict=True):
            kept = keep_best(
                boxes, logits, calibration=config.calibration, overlap=config.nms_iou, size=self.image_size
            )
            numbers = torch.cat([kept.boxes, kept.probabilities[:, None], kept.labels[:, None].float()], dim=1)
            rows.append(numbers.cpu().numpy())
        return as_rows(rows)

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Turn logits into the probability that a box finds an object, by what boxes of the validation rows did."""
        assert isinstance(config, ImageDetectionConfig)
        names = [config.id2label[label] for label in range(len(config.id2label))]
        config.calibration, said = fit_calibration(scores, truths, names=names, before=config.calibration)
        return said

    def result(self, sample: Image, scores: Any, config: MedConfig) -> DetectionPrediction:
        """Return the boxes of some probability in pixels of the image, cut to it."""
        pixels = sample.grey_levels()[0]
        height, width = pixels.shape[:2]
        corners = (scores[:, :4] / self._scale((height, width))).clip(0, [width, height, width, height])
        boxes = tuple(
            Box(label=config.id2label[int(label)], probability=float(probability), x1=x1, y1=y1, x2=x2, y2=y2)
            for (x1, y1, x2, y2), probability, label in zip(corners.tolist(), scores[:, 4], scores[:, 5], strict=True)
            if probability >= LEAST_REPORTED and x2 > x1 and y2 > y1  # boxes in the grey beside the image go
        )
        names = tuple(config.id2label[label] for label in range(len(config.id2label)))
        expected = np.bincount(scores[:, 5].astype(int), weights=scores[:, 4], minlength=len(names))
        return DetectionPrediction(
            input=self.describe(sample), labels=names, boxes=boxes, size=(height, width), pixels=pixels,
            expected=dict(zip(names, expected.tolist(), strict=True)),
        )  # fmt: skip

    def explain(self, model: MedModel, sample: Image, label: str) -> Explanation:
        """Say where the network saw objects of `label`: HiResCAM of their boxes, drawn over the image.

        The values have the shape of the image as the network sees it, (rows, columns), without what was added.
        """
        scale = self._scale(sample.grey_levels().shape[1:3])
        batch = self.collate(self.stack([self.features(sample)]))
        return explain_boxes(model, batch, label=label, pixels=sample.grey_levels()[0], scale=scale)

    def _scale(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return what turns boxes in an image of `size` (height, width) into boxes in the network's input pixels."""
        height, width = letterbox(size, self.image_size)
        across, down = width / size[1], height / size[0]
        return np.array([across, down, across, down], np.float32)
