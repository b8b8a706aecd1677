"""The pipelines that `imaging.py` is held against: those of timm, MONAI and torchvision, as their examples have them.

Each takes the files of our rows and the network of our model, and returns an epoch of training and one of inference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader

from medhub.modeling import MedModel
from medhub.training import Settings

Epoch = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What all contestants get: the same rows, the same network, the same settings."""

    rows: Dataset
    label_names: tuple[str, ...]
    model: MedModel
    settings: Settings
    folder: Path
    """An empty one."""

    def files(self) -> list[str]:
        """Return each row's file."""
        return [files[0]["path"] for files in self.rows["input"]]


def timm_pipeline(subject: Subject) -> tuple[Epoch, Epoch]:
    """Train as timm's train.py: pictures decoded, cut out, mirrored, exposed anew and erased by `create_loader`."""
    import timm
    from timm.data import ImageDataset, create_loader
    from timm.optim import create_optimizer_v2

    config, settings = subject.model.config, subject.settings
    for number, (path, label) in enumerate(zip(subject.files(), subject.rows["labels"], strict=True)):
        link = subject.folder / subject.label_names[label] / f"{number}{Path(path).suffix}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
    network = timm.create_model(config.architecture, num_classes=config.num_labels, in_chans=config.channels)
    memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
    network.to(memory_format=memory_format)
    optimizer = create_optimizer_v2(network, opt="adamw", lr=settings.learning_rate, weight_decay=settings.weight_decay)
    criterion = nn.CrossEntropyLoss()

    def loader(*, training: bool) -> Any:
        augmentation = {"scale": (0.7, 1.0), "hflip": 0.5, "color_jitter": (0.3, 0.3, 0.0), "re_prob": 0.25}
        return create_loader(
            ImageDataset(str(subject.folder), input_img_mode="L" if config.channels == 1 else "RGB"),
            input_size=(config.channels, config.image_size, config.image_size), batch_size=settings.batch_size,
            is_training=training, mean=(0.5,) * config.channels, std=(0.5,) * config.channels, num_workers=0,
            persistent_workers=False, device=torch.device("cpu"), **(augmentation if training else {}),
        )  # fmt: skip

    training, inference = loader(training=True), loader(training=False)

    def train() -> None:
        network.train()
        for images, labels in training:
            loss = criterion(network(images.contiguous(memory_format=memory_format)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        network.eval()
        for images, _ in inference:
            network(images.contiguous(memory_format=memory_format)).softmax(-1)

    return train, infer


def monai_pipeline(subject: Subject) -> tuple[Epoch, Epoch]:
    """Train as MONAI's tutorials: dictionary transforms, of which the fixed ones are cached, and its DataLoader.

    Elastic bending, which ours has and which MONAI does slowly in three dimensions, is left out.
    """
    from monai import transforms
    from monai.data import CacheDataset
    from monai.data import DataLoader as MonaiLoader
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss

    config, settings, keys = subject.model.config, subject.settings, ("image", "label")
    masks = [labels["mask"]["path"] for labels in subject.rows["labels"]]
    files = [{"image": image, "label": mask} for image, mask in zip(subject.files(), masks, strict=True)]
    fixed = [
        transforms.LoadImaged(keys), transforms.EnsureChannelFirstd(keys),
        transforms.Orientationd(keys, "SPL", labels=None),
        transforms.ScaleIntensityRangePercentilesd("image", 0.5, 99.5, 0, 1, clip=True),
        transforms.NormalizeIntensityd("image"),
    ]  # fmt: skip
    random = [
        transforms.SpatialPadd(keys, config.patch_size), transforms.RandSpatialCropd(keys, config.patch_size),
        transforms.RandFlipd(keys, prob=0.5, spatial_axis=2),
        transforms.RandAffined(keys, prob=1.0, rotate_range=[0.26] * 3, scale_range=[0.2] * 3,
                               mode=("bilinear", "nearest"), padding_mode="border"),
        transforms.RandAdjustContrastd("image", prob=1.0, gamma=(0.67, 1.5)),
        transforms.RandScaleIntensityd("image", factors=0.3, prob=1.0),
        transforms.RandShiftIntensityd("image", offsets=0.3, prob=1.0),
        transforms.RandGaussianNoised("image", prob=1.0, std=0.15),
    ]  # fmt: skip
    network = copy.deepcopy(subject.model.network)
    optimizer = _adamw(network, settings)
    criterion = DiceCELoss(to_onehot_y=True, softmax=True)
    training = MonaiLoader(
        CacheDataset(files, [*fixed, *random], progress=False), batch_size=settings.batch_size, shuffle=True
    )
    inference = MonaiLoader(CacheDataset(files, fixed, progress=False), batch_size=1)

    def train() -> None:
        network.train()
        for batch in training:
            optimizer.zero_grad()
            criterion(network(batch["image"]), batch["label"]).backward()
            optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        network.eval()
        for batch in inference:
            sliding_window_inference(batch["image"], config.patch_size, 4, network, 0.25, "gaussian").argmax(1)

    return train, infer


def torchvision_pipeline(subject: Subject) -> tuple[Epoch, Epoch]:
    """Train as torchvision's detection references: its SSD preset of transforms, and its own model's forward."""
    from torchvision import tv_tensors
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
    from torchvision.models.detection.ssd import SSD
    from torchvision.transforms import v2

    config, settings = subject.model.config, subject.settings
    augmentation = [v2.RandomPhotometricDistort(), v2.RandomZoomOut(), v2.RandomIoUCrop(), v2.RandomHorizontalFlip()]
    finish = [v2.SanitizeBoundingBoxes(), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()]

    def loader(transform: v2.Transform, **options: Any) -> DataLoader:
        def read(number: int) -> tuple[Tensor, dict[str, Tensor]]:
            row = subject.rows[number]
            image = tv_tensors.Image(decode_image(row["input"][0]["path"], ImageReadMode.RGB))
            labels = row["labels"]
            boxes = tv_tensors.BoundingBoxes(labels["boxes"], format="XYXY", canvas_size=tuple(labels["size"]))
            return transform(image, {"boxes": boxes, "labels": 1 + torch.tensor(labels["classes"])})

        return DataLoader(
            _Read(read, len(subject.rows)), batch_size=settings.batch_size,
            collate_fn=lambda items: tuple(zip(*items, strict=True)), **options,
        )  # fmt: skip

    rows, columns = config.image_size
    pyramid = copy.deepcopy(subject.model.network.ssd.backbone)
    levels = len(pyramid.out_channels)
    defaults = DefaultBoxGenerator(
        [[2]] * levels, scales=[size / rows for size in config.box_sizes],
        steps=[config.strides[0] * 2**level for level in range(levels)],
    )  # fmt: skip
    detector = SSD(_NamedMaps(pyramid), defaults, (columns, rows), num_classes=1 + config.num_labels)
    if settings.channels_last:
        detector.to(memory_format=torch.channels_last)
    optimizer = _adamw(detector, settings)
    training = loader(v2.Compose([v2.ToImage(), *augmentation, *finish]), shuffle=True)
    inference = loader(v2.Compose([v2.ToImage(), *finish]))

    def train() -> None:
        detector.train()
        for images, targets in training:
            loss = sum(detector(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        detector.eval()
        for images, _ in inference:
            detector(images)

    return train, infer


class _Read:
    """A data set whose items a function reads."""

    def __init__(self, read: Callable[[int], Any], length: int) -> None:
        self._read, self._length = read, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> Any:
        return self._read(number)


class _NamedMaps(nn.Module):
    """A backbone whose maps have names, as torchvision's detectors want them."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone, self.out_channels = backbone, backbone.out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the backbone's maps by number."""
        return {str(level): maps for level, maps in enumerate(self.backbone(images))}


def _adamw(network: nn.Module, settings: Settings) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
