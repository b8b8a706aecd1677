"""What a segmentation returns: a mask on the image's own grid, and what each of its regions measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from medhub.errors import InputError
from medhub.pictures import percentage
from medhub.results import Prediction

from ..export import save_dicom_seg, save_label_png, save_nifti
from ..image import Image
from ..overlays import label_colours, region_overlay

if TYPE_CHECKING:
    import PIL.Image


@dataclass(frozen=True, kw_only=True)
class Region:
    """All pixels of one label, together."""

    pixels: int
    share: float
    """Of the image's pixels."""
    confidence: float
    """Mean probability of the label over the region; 0 where there is none."""
    area_mm2: float | None = None
    """Of a picture whose file tells how far its pixels are apart."""
    volume_ml: float | None = None
    """Of a volume whose file tells it."""
    count: int | None = None
    """How many objects there are; None where the model does not tell them apart."""

    @property
    def size(self) -> str:
        """Say how large the region is, in pixels where the image has no unit."""
        if self.volume_ml is not None:
            return f"{self.volume_ml:.2f} ml"
        return f"{self.area_mm2:.1f} mm²" if self.area_mm2 is not None else f"{self.pixels:,} pixels"

    @property
    def percentage(self) -> str:
        """Say the share in percent."""
        return "<0.1 %" if 0 < self.share < 0.001 else f"{self.share * 100:.1f} %"


@dataclass(frozen=True, kw_only=True)
class SegmentationPrediction(Prediction):
    """The regions in a picture or a volume.

    `mask` (slices, height, width) lies on `image`: 0 for background, else the place in `labels` + 1. `instances` has
    the same shape and numbers the objects from 1; None where the model does not tell them apart.
    """

    labels: tuple[str, ...]
    regions: dict[str, Region]
    mask: NDArray[np.uint8] = field(repr=False, compare=False)
    instances: NDArray[np.int32] | None = field(default=None, repr=False, compare=False)
    image: Image = field(repr=False, compare=False)

    @classmethod
    def from_mask(
        cls,
        image: Image,
        mask: NDArray[np.uint8],
        *,
        labels: Sequence[str],
        confidence: Sequence[float],
        instances: NDArray[np.int32] | None = None,
    ) -> Self:
        """Measure the regions of a mask (slices, height, width) that lies on `image`; see `Region`."""
        regions = {
            label: _measure(image, mask == number, certain, instances)
            for number, (label, certain) in enumerate(zip(labels, confidence, strict=True), start=1)
        }
        return cls(
            input=image.source, labels=tuple(labels), regions=regions, mask=mask, instances=instances, image=image
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with the mask as run lengths: a label's runs of pixels without and with it, in turn.

        These are COCO's uncompressed counts: down the columns, and of a volume slice after slice. Image and objects are
        left out.
        """
        plain = Prediction(input=self.input, provenance=self.provenance, explanation=self.explanation).to_dict()
        return {
            **plain, "labels": [*self.labels],
            "regions": {label: asdict(region) for label, region in self.regions.items()},
            "mask": {label: _run_lengths(self.mask == number) for number, label in enumerate(self.labels, start=1)},
        }  # fmt: skip

    def formats(self) -> dict[str, Callable[[Path, Any], Any]]:
        """Add the mask on the image's own grid: NIfTI, DICOM SEG (`source` is the series), `.mask.png` of a picture."""
        return {
            ".nii.gz": lambda path, source: save_nifti(path, self.mask, self.image),
            ".nii": lambda path, source: save_nifti(path, self.mask, self.image),
            ".dcm": self._save_dicom,
            ".mask.png": lambda path, source: save_label_png(path, self.mask),
            **super().formats(),
        }

    def downloads(self) -> tuple[str, ...]:
        """Return the mask's format, NIfTI for a volume, and those of every result."""
        return (".nii.gz" if len(self.mask) > 1 else ".mask.png", *super().formats())

    def title(self) -> str:
        """Say what was found of each label."""
        said = [_say(label, region) for label, region in self.regions.items() if region.pixels]
        return f"{self.input}: " + ("; ".join(said) or f"no {' or '.join(self.labels)} found")

    def certainty(self) -> str:
        """Say how sure the model is of what it found; it has no rule by which it would not decide."""
        sure = [
            f"{percentage(region.confidence)} in {label}" for label, region in self.regions.items() if region.pixels
        ]
        return f"Mean probability of a pixel's label: {', '.join(sure)}. Borders are less sure." if sure else ""

    def bars(self) -> dict[str, float]:
        """Return the mean probability of each label over its region."""
        return {label: region.confidence for label, region in self.regions.items()}

    def picture(self) -> PIL.Image.Image:
        """Draw the regions over the picture; of a volume, over the slice that has most of them."""
        return self.slice_picture(int((self.mask > 0).sum((1, 2)).argmax()))

    def slice_picture(self, place: int) -> PIL.Image.Image:
        """Draw the regions over one slice."""
        return region_overlay(
            self.image.grey_levels()[place], self.mask[place], self.labels,
            instances=None if self.instances is None else self.instances[place], colours=label_colours(self.labels),
        )  # fmt: skip

    def _save_dicom(self, path: Path, source: Any) -> None:
        if source is None:
            raise InputError(
                f"{path.name} repeats what the DICOM series says of the patient; give the series as source"
            )
        save_dicom_seg(path, self.mask, source, self.labels)


def _measure(image: Image, region: NDArray[np.bool_], confidence: float, instances: NDArray[np.int32] | None) -> Region:
    pixels = int(region.sum())
    area = volume = None
    if image.spacing is not None and image.slices > 1:
        volume = pixels * float(np.prod(image.spacing)) / 1000
    elif image.spacing is not None:
        area = pixels * float(np.prod(image.spacing[-2:]))
    return Region(
        pixels=pixels, share=pixels / region.size, confidence=float(confidence), area_mm2=area, volume_ml=volume,
        count=None if instances is None else int(np.count_nonzero(np.unique(instances[region]))),
    )  # fmt: skip


def _say(label: str, region: Region) -> str:
    if region.count is not None:
        return f"{label}: {region.count} object{'s' if region.count != 1 else ''}, {region.percentage} of the image"
    has_unit = region.volume_ml is not None or region.area_mm2 is not None
    return f"{label} {region.size}" if has_unit else f"{label} {region.percentage} of the image"


def _run_lengths(region: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Return COCO's run lengths of a region (slices, height, width); the first run is of pixels outside."""
    down = region.transpose(0, 2, 1).ravel()
    changes = np.flatnonzero(np.diff(down)) + 1
    counts = np.diff([0, *changes, down.size]).tolist()
    size = [*region.shape] if len(region) > 1 else [*region.shape[1:]]
    return {"size": size, "counts": [0, *counts] if down[0] else counts}
