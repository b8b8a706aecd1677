"""From an image file to a batch, and from the network's maps to a mask on the image's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers.utils import ModelOutput

from medhub.errors import InputError, ModalityError
from medhub.processing import Columns, Processor, as_rows
from medhub.results import Explanation

from ..files import read_image
from ..geometry import canonical
from ..image import Image, usual_range
from .augmentation import class_map, cut_patches, expose
from .calibration import fit_calibration
from .config import MULTIPLE, ImageSegmentationConfig
from .explanation import attribute, draw
from .grids import mask_on, median_spacing, middle, on_grid, on_image
from .label_map import LabelMap, decide
from .losses import IGNORED
from .model import ImageSegmentationModel, crop_to, pad_to

if TYPE_CHECKING:
    from medhub.modeling import MedConfig, MedModel

    from .results import SegmentationPrediction


@dataclass(kw_only=True)
class ImageSegmentationProcessor(Processor):
    """Images of any kind in, each normalised by itself; masks of the same size and place out."""

    patch_size: list[int]
    """Sides of training patches: rows and columns, of volumes slices before them."""
    channels: int
    spacing: list[float] | None
    """Millimetres between slices, rows and columns to which volumes are brought; None for pictures."""
    instances: bool
    """Whether the masks number single objects, whose borders are learnt as a class of their own."""
    labels: int
    """How many labels there are beside the background."""
    flip_axes: list[int]
    turn: bool
    modalities: list[str]
    """DICOM's codes of the modalities that are accepted; empty: all."""

    RAGGED: ClassVar[tuple[str, ...]] = ("pixel_values", "labels")

    @classmethod
    def fit(cls, rows: Dataset, config: MedConfig) -> Self:
        """Learn from the training rows whether masks number objects, how far apart voxels lie, and the modalities."""
        assert isinstance(config, ImageSegmentationConfig)
        volume = config.axes == 3
        if config.instances is None:
            config.instances = any(labels["instances"] for labels in rows["labels"])
        if config.spacing is None and volume:
            config.spacing = median_spacing(rows)
        if config.modalities is None:
            named = rows["modality"][:] if "modality" in rows.column_names else [None]
            config.modalities = [] if None in named else sorted({str(name) for name in named})
        if config.flip_axes is None:
            config.flip_axes = [2] if volume else [0, 1]
        if config.turn is None:
            config.turn = not volume
        return cls(
            patch_size=config.patch_size or [], channels=config.channels, spacing=config.spacing if volume else None,
            instances=config.instances, labels=config.num_labels, flip_axes=config.flip_axes, turn=config.turn,
            modalities=config.modalities,
        )  # fmt: skip

    @property
    def volume(self) -> bool:
        """Whether the network reads volumes; others see the middle slice of one."""
        return len(self.patch_size) == 3

    def read(self, raw: Any) -> Image:
        """Read an image in any form that `read_image` takes; raise InputError, or ModalityError for a wrong modality.

        A network for pictures gets the middle slice of a volume, and the result names it. One for volumes needs a file
        that says how its voxels lie in the patient.
        """
        image = self._seen(read_image(raw))
        if self.modalities and image.modality and image.modality not in self.modalities:
            raise ModalityError(
                f"{image.source} is of modality {image.modality}, but the model was trained on "
                f"{', '.join(self.modalities)}; use a model for {image.modality}"
            )
        if self.volume:
            canonical(image)  # raises where the file does not say enough
        return image

    def describe(self, sample: Image) -> str:
        """Name an image by its file."""
        return sample.source

    def features(self, sample: Image) -> dict[str, NDArray]:
        """Return float16 pixels (pixels, channels) of mean 0 and deviation 1, and the size that they are to have."""
        pixels = _with_channels(on_grid(sample, self.spacing, order=1), self.channels)
        pixels = pixels.clip(*usual_range(pixels))
        pixels = (pixels - pixels.mean()) / max(float(pixels.std()), 1e-6)
        size = np.array(pixels.shape[:-1], dtype=np.int64)
        return {"pixel_values": pixels.reshape(-1, self.channels).astype(np.float16), "size": size}

    def targets(self, row: Mapping[str, Any]) -> dict[str, NDArray]:
        """Return uint16 labels (pixels, 2): the class of each pixel, 0 for background, and the number of its object.

        Raises InputError for a mask that does not lie on its image's grid, or has numbers without a label.
        """
        image = read_image(row["input"])
        mask = self._seen(mask_on(image, read_image(row["labels"]["mask"])))
        numbers = on_grid(mask, self.spacing, order=0)[..., 0].round().astype(np.int64)
        objects = numbers if row["labels"]["instances"] else np.zeros_like(numbers)
        classes = np.minimum(numbers, 1) if row["labels"]["instances"] else numbers
        if classes.max() > self.labels or numbers.min() < 0 or numbers.max() > np.iinfo(np.uint16).max:
            raise InputError(f"{mask.source} has the number {numbers.max() if numbers.min() >= 0 else numbers.min()}, "
                             f"but there are {self.labels} labels; 0 is the background")  # fmt: skip
        return {"labels": np.stack([classes, objects], -1).reshape(-1, 2).astype(np.uint16)}

    def collate(self, columns: Columns, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Pad whole images to a batch, or, with a generator, cut and change random patches; see the model's `forward`.

        In a batch of whole images the sides are multiples of 32 (of volumes, 8), labels of padding are IGNORED, and
        `size` says how large each image is. Objects' borders become a class of their own, the last one.
        """
        sizes = np.asarray(columns["size"])
        images = [_unflatten(values, size) for values, size in zip(columns["pixel_values"], sizes, strict=True)]
        labels = None
        if "labels" in columns:
            labels = [_unflatten(values, size) for values, size in zip(columns["labels"], sizes, strict=True)]
        border = self.labels + 1 if self.instances else None
        if generator is not None and labels is not None:
            pixels, numbers, inside = cut_patches(
                images, labels, patch_size=self.patch_size, spacing=self.spacing or [1.0, 1.0],
                flip_axes=self.flip_axes, turn=self.turn, generator=generator,
            )  # fmt: skip
            classes = class_map(numbers[:, 0], numbers[:, 1], border=border, inside=inside)
            return {"pixel_values": expose(pixels, generator), "labels": classes}
        step = MULTIPLE[len(self.patch_size)]
        shape = [-(-int(side) // step) * step for side in sizes.max(0)]
        pixels = torch.cat([pad_to(image[None].float(), shape) for image in images])
        batch = {"pixel_values": pixels, "size": torch.from_numpy(sizes)}
        if labels is not None:
            maps = [class_map(label[:1], label[1:], border=border) for label in labels]
            batch["labels"] = torch.cat([pad_to(m, shape, mode="constant", value=IGNORED) for m in maps])
        return batch

    def truths(self, columns: Columns) -> NDArray:
        """Return each row's LabelMap."""
        maps = []
        for values, size in zip(columns["labels"], np.asarray(columns["size"]), strict=True):
            classes, objects = np.moveaxis(np.asarray(values).reshape(*size, 2), -1, 0)
            maps.append(LabelMap(
                classes=classes.astype(np.uint8), instances=objects.astype(np.int32) if self.instances else None,
                spacing=tuple(self.spacing) if self.spacing else None, confidence=(1.0,) * self.labels,
            ))  # fmt: skip
        return as_rows(maps)

    def scores(self, outputs: ModelOutput, config: MedConfig) -> NDArray:
        """Return each row's LabelMap, on the grid that the network sees."""
        probabilities = (outputs["logits"].float() / config.temperature).softmax(1).cpu()
        maps = []
        for row, size in zip(probabilities, outputs["size"].tolist(), strict=True):
            own = crop_to(row, size).numpy()
            maps.append(decide(own, labels=self.labels, spacing=self.spacing, calibration=config.calibration))
        return as_rows(maps)

    def calibrate(self, scores: NDArray, truths: NDArray, config: MedConfig) -> str | None:
        """Fit `config.calibration` to the validation images' pixels."""
        assert isinstance(config, ImageSegmentationConfig)
        fitted = fit_calibration(scores, truths)
        if fitted is None:
            return None
        config.calibration = fitted
        return (
            f"The probability that a pixel has any label was fitted to the pixels of the {len(scores):,} validation "
            f"images (Platt scaling: logit times {fitted[0]:.2f}, plus {fitted[1]:.2f})."
        )

    def result(self, sample: Image, scores: LabelMap, config: MedConfig) -> SegmentationPrediction:
        """Return the mask on the image's own grid, and what its regions measure."""
        from .results import SegmentationPrediction

        names = [config.id2label[i] for i in range(self.labels)]
        mask = on_image(scores.classes, sample, self.spacing)
        objects = None if scores.instances is None else on_image(scores.instances, sample, self.spacing)
        return SegmentationPrediction.from_mask(
            sample, mask, labels=names, confidence=scores.confidence, instances=objects
        )

    def explain(self, model: MedModel, sample: Image, label: str) -> Explanation:
        """Say where the network looked for the region of `label`: of a volume, drawn over the slice that says most.

        The values have the shape of the grid that the network sees.
        """
        batch = self.collate(self.stack([self.features(sample)]))
        heat = attribute(cast("ImageSegmentationModel", model), batch, label=label)
        return Explanation(
            method="HiResCAM",
            label=label,
            legend="yellow to red parts are where the network looked",
            values=heat,
            picture=draw((canonical(sample) if self.volume else sample).grey_levels(), heat),
        )

    def _seen(self, image: Image) -> Image:
        return image if self.volume else middle(image)


def _unflatten(values: NDArray, size: NDArray) -> Tensor:
    """Turn (pixels, channels) into a tensor (channels, *size)."""
    values = values if values.dtype == np.float16 else values.astype(np.int64)
    return torch.from_numpy(values).view(*size.tolist(), -1).movedim(-1, 0)


def _with_channels(pixels: NDArray[np.floating], channels: int) -> NDArray[np.floating]:
    """Make grey of colours, or colours of grey, where the network wants the other."""
    if pixels.shape[-1] == channels:
        return pixels
    grey = pixels.mean(-1, keepdims=True)
    return np.repeat(grey, channels, axis=-1)
