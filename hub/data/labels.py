"""Whether labels can be learnt from; asked before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow
import pyarrow.compute
from datasets import Dataset
from numpy.typing import NDArray

from medhub.errors import LabelError

if TYPE_CHECKING:
    from medhub.data.splits import Splits


def check_labels(splits: Splits) -> None:
    """Raise LabelError for classes or yes-or-no labels that cannot be learnt from; other kinds of labels pass.

    One label a row must be known, finite and, where it is a class, one of `label_names`; train needs two different
    ones. Of several yes-or-no labels a row some may be unknown (NaN), but one at least needs both values in train.
    """
    for part, rows in splits.dataset_dict().items():
        labels = _as_array(rows, len(splits.label_names))
        if labels is None:
            return
        if labels.ndim == 1:
            _check_single(labels, part, rows, splits.label_names)
        else:
            _check_several(labels, part, rows, splits.label_names)


def _as_array(rows: Dataset, width: int) -> NDArray[np.floating] | None:
    """Return labels of shape (rows,) or (rows, width) with NaN for missing, None for labels of another kind."""
    column = rows.select_columns(["labels"]).with_format("arrow")[:]["labels"].combine_chunks()
    types = pyarrow.types
    kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    if not types.is_list(kind) or not types.is_floating(kind.value_type):
        return None
    lengths = pyarrow.compute.list_value_length(column)
    if column.null_count or pyarrow.compute.any(pyarrow.compute.not_equal(lengths, width)).as_py():
        return None  # a value a position, as in sequences
    return column.flatten().to_numpy(zero_copy_only=False).astype(float).reshape(-1, width)


def _check_single(labels: NDArray[np.floating], part: str, rows: Dataset, names: tuple[str, ...]) -> None:
    if len(odd := np.flatnonzero(~np.isfinite(labels))):
        raise LabelError(
            f"{_row(part, rows, odd[0])} has the label {labels[odd[0]]}, and {len(odd)} row(s) in all have none "
            "that is a finite number; label them or leave them out"
        )
    classes = names if len(names) > 1 else ()  # one name is that of a measured value
    if classes and len(odd := np.flatnonzero((labels < 0) | (labels >= len(classes)) | (labels % 1 != 0))):
        raise LabelError(
            f"{_row(part, rows, odd[0])} has the label {labels[odd[0]]:g}, but there are {len(classes)} classes "
            f"numbered from 0: {', '.join(classes)}"
        )
    if part == "train" and len(values := np.unique(labels)) == 1:
        label = classes[int(values[0])] if classes else f"{values[0]:g}"
        raise LabelError(
            f"all {len(labels)} rows of train have the label {label!r}; training needs two different labels"
        )


def _check_several(labels: NDArray[np.floating], part: str, rows: Dataset, names: tuple[str, ...]) -> None:
    if len(odd := np.argwhere(np.isinf(labels))):
        raise LabelError(
            f"{_row(part, rows, odd[0][0])} has an infinite label {names[odd[0][1]]!r}; give 0, 1 or NaN for unknown"
        )
    if part != "train":
        return
    values = {name: np.unique(column[~np.isnan(column)]) for name, column in zip(names, labels.T, strict=True)}
    if all(len(known) < 2 for known in values.values()):
        seen = ", ".join(
            f"{name!r} is {f'always {known[0]:g}' if len(known) else 'never known'}"
            for name, known in [*values.items()][:3]
        )
        raise LabelError(f"no label has two different values in train ({seen}); training needs one that has")


def _row(part: str, rows: Dataset, index: int) -> str:
    """Name a row for people, by its number and group."""
    return f"row {index} of {part} (group {rows['group'][int(index)]!r})"
