"""The labels of this task's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Value

from ..rows import FILE, as_file

LABELS = {"mask": FILE, "instances": Value("bool")}
"""A map of the image's size: of each pixel the label's place in `label_names` + 1, or the number of its object; 0 is
what has no label."""


def as_labels(mask: Path | str, data: bytes | None = None, *, instances: bool = False) -> dict[str, Any]:
    """Return a label map's file as it stands in a row; `instances` says that it numbers the objects of one label."""
    return {"mask": as_file(mask, data), "instances": instances}
