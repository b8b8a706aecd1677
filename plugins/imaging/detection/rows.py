"""The labels of this task's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import List, Value

LABELS = {
    "classes": List(Value("int64")),
    "boxes": List(List(Value("float32"))),  # left, top, right, bottom in pixels of the file
    "size": List(Value("int64")),  # height and width of the file
}


def as_labels(classes: Sequence[int], boxes: Sequence[Sequence[float]], *, size: tuple[int, int]) -> dict[str, Any]:
    """Return an image's objects as they stand in a row; `size` is the image's height and width in pixels."""
    return {"classes": [*classes], "boxes": [[*map(float, box)] for box in boxes], "size": [*size]}
