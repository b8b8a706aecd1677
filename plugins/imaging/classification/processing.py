"""From an image file to a batch, and from the model's output to a result that a person can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from medhub.errors import ModalityError
from medhub.processing import Columns, Processor
from medhub.results import Explanation

from ..files import read_image
from ..image import Image
from .augmentation import SCALE, augment
from .config import ImageClassificationConfig
from .explanation import attribute, draw

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

MOST_ROWS = 1000
"""Training rows, evenly spaced, from which the mean and the deviation are learnt; more would not change them."""
RADIOGRAPHS = {"CR", "DX"}
"""Two codes for one kind of picture: on a storage plate and on a detector."""


@dataclass(kw_only=True)
class ImageClassificationProcessor(Processor):
    """Images of any kind in; one size, 256 levels, normalised by the training images' mean and deviation."""

    image_size: int
    channels: int
    volume: bool
    """Whether the network reads volumes; others see the middle slice of one."""
    max_slices: int
    horizontal_flip: bool
    modalities: list[str]
    """DICOM's codes of the modalities that are accepted; empty: all."""
    mean: list[float]
    """Of each channel, with black at 0 and white at 1."""
    deviation: list[float]

    RAGGED: ClassVar[tuple[str, ...]] = ("pixel_values",)

    def __post_init__(self) -> None:
        if not self.volume:
            self.RAGGED = ()  # type: ignore[misc]  # pictures have one shape

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn each channel's mean and deviation from the training rows, and which modalities they are of."""
        assert isinstance(config, ImageClassificationConfig)
        if config.modalities is None:
            config.modalities = _modalities(rows)
        processor = cls(
            image_size=config.image_size, channels=config.channels, volume=config.architecture == "cnn_rnn",
            max_slices=config.max_slices, horizontal_flip=config.horizontal_flip, modalities=config.modalities,
            mean=[0.0] * config.channels, deviation=[1.0] * config.channels,
        )  # fmt: skip
        sums = np.zeros((3, config.channels))
        for row in np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(int):
            pixels = processor.features(processor.read(rows[int(row)]["input"]))["pixel_values"]
            values = np.moveaxis(pixels, -3, 0).reshape(config.channels, -1) / 255
            sums += [[values.shape[1]] * config.channels, values.sum(1), (values**2).sum(1)]
        mean = sums[1] / sums[0]
        deviation = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0))
        processor.mean = mean.tolist()
        processor.deviation = np.where(deviation > 0, deviation, 1.0).tolist()
        return processor

    def read(self, raw: Any) -> Image:
        """Read an image in any form that `read_image` takes; raise InputError, or ModalityError for a wrong modality.

        A network for pictures gets the middle slice of a volume, and the result names it.
        """
        image = read_image(raw)
        if self.modalities and image.modality and image.modality not in self.modalities:
            raise ModalityError(
                f"{image.source} is of modality {image.modality}, but the model was trained on "
                f"{', '.join(self.modalities)}; use a model for {image.modality}"
            )
        return image if self.volume or image.slices == 1 else image.slice(image.slices // 2)

    def describe(self, sample: Image) -> str:
        """Name an image by its file."""
        return sample.source

    def features(self, sample: Image) -> dict[str, NDArray]:
        """Return uint8 pixels: (channels, size, size) of a picture, (slices, channels, size, size) of a volume.

        Of a picture, as in MedMNIST, the middle square is cut out and brought to size. The slices of a volume are kept
        whole and never enlarged, so that large and small organs stay so. Of thick stacks `max_slices` slices are kept.
        """
        kept = np.linspace(0, sample.slices - 1, min(sample.slices, self.max_slices)).round().astype(int)
        slices = np.stack([self._fit(pixels) for pixels in self._squares(sample)[kept]])
        return {"pixel_values": slices if self.volume else slices[0]}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Normalise a batch, and augment it when a generator is given; see `ImageClassificationModel.forward`."""
        batch = super().collate(columns, generator)
        mean, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.deviation))
        pixels = (batch["pixel_values"].float() / 255 - mean) / deviation
        if generator is not None:
            # the slices of a volume move together, as if they were channels, and what is large in it stays so
            images = pixels.flatten(1, -3)
            scale = 0.0 if self.volume else SCALE
            pixels = augment(images, generator, horizontal_flip=self.horizontal_flip, scale=scale).view_as(pixels)
        return {**batch, "pixel_values": pixels}

    def explain(self, model: MedModel, sample: Image, label: str, *, method: str | None = None) -> Explanation:
        """Say where the network saw `label`, drawn over the image: of a volume, over the slice that says most.

        `method` is "Grad-CAM" (the default of convolutional networks) or "integrated gradients". The values have the
        shape (size, size), or (slices, size, size).
        """
        batch = self.collate(self.stack([self.features(sample)]))
        method, heat = attribute(model, batch, label=label, method=method)
        return Explanation(
            method=method,
            label=label,
            legend="yellow to red parts speak for it, blue ones against it",
            values=heat,
            picture=draw(self._squares(sample), heat),
        )

    def _squares(self, image: Image) -> NDArray[np.uint8]:
        return whole_squares(image, least=self.image_size) if self.volume else middle_squares(image)

    def _fit(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a square slice (side, side, 1 or 3) to (channels, size, size)."""
        import PIL.Image

        picture = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        picture = picture.convert("L" if self.channels == 1 else "RGB")
        if picture.width != self.image_size:
            picture = picture.resize((self.image_size, self.image_size), PIL.Image.Resampling.BICUBIC)
        return np.asarray(picture).reshape(self.image_size, self.image_size, self.channels).transpose(2, 0, 1)


def middle_squares(image: Image) -> NDArray[np.uint8]:
    """Return each slice's largest middle square in 256 levels: (slices, side, side, channels)."""
    height, width = image.pixels.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image.grey_levels()[:, top : top + side, left : left + side]


def whole_squares(image: Image, *, least: int) -> NDArray[np.uint8]:
    """Return the slices in 256 levels, with black around them: (slices, side, side, channels), side `least` or more."""
    height, width = image.pixels.shape[1:3]
    side = max(height, width, least)
    top, left = (side - height) // 2, (side - width) // 2
    return np.pad(
        image.grey_levels(), ((0, 0), (top, side - height - top), (left, side - width - left), (0, 0))
    )  # fmt: skip


def _modalities(rows: Dataset) -> list[str]:
    """Return the modalities that the training rows name in their column `modality`; empty where any row names none."""
    if "modality" not in rows.column_names or None in (named := set(rows["modality"][:])):
        return []
    return sorted(named | RADIOGRAPHS if named & RADIOGRAPHS else named)
