"""Splitting a table into train, validation and test so that what belongs together stays together."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, DatasetDict

from medhub.data.labels import check_labels
from medhub.data.sources import SPLITS, Source
from medhub.data.tables import PARTS, Table, row_keys
from medhub.errors import SplitError, suggest


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """A data set in three parts, with the hashes that identify the data and the way it was split."""

    train: Dataset
    validation: Dataset
    test: Dataset
    label_names: tuple[str, ...]
    data_sha256: str
    split_sha256: str
    """Hash over every row's content and part: equal when and only when the same rows stand in the same parts."""
    split: str
    seed: int
    source: Source | None
    dropped: Mapping[str, int]
    notes: tuple[str, ...]

    def dataset_dict(self) -> DatasetDict:
        """Return the parts by name."""
        return DatasetDict({part: getattr(self, part) for part in PARTS})

    def summary(self) -> dict[str, Any]:
        """Return what a model card says about the data, in JSON's types."""
        parts = self.dataset_dict()
        return {
            "dataset": self.source.name if self.source else None,
            "version": self.source.version if self.source else None,
            "licence": self.source.licence if self.source else None,
            "data_sha256": self.data_sha256,
            "split": self.split,
            "group_by": self.source.group_by if self.source else "group",
            "seed": self.seed,
            "split_sha256": self.split_sha256,
            "rows": {part: len(rows) for part, rows in parts.items()},
            "groups": {part: len(set(rows["group"][:])) for part, rows in parts.items()},
            "labels": list(self.label_names),
            "dropped": dict(self.dropped),
            "notes": list(self.notes),
        }

    def describe(self) -> str:
        """Return rows and groups of each part as a few lines of text."""
        summary = self.summary()
        lines = [
            f"{summary['dataset'] or 'own data'}, split {self.split!r}, seed {self.seed}, by {summary['group_by']}"
        ]
        lines += [f"{part:<10} {summary['rows'][part]:>9,} rows {summary['groups'][part]:>9,} groups" for part in PARTS]
        lines += [f"left out   {count:>9,} rows: {reason}" for reason, count in self.dropped.items() if count]
        return "\n".join(lines)


def load_data(
    data: Source | Table, *, split: str | None = None, seed: int = 0, progress: Callable[[str], None] | None = None
) -> Splits:
    """Fetch, load, split and check a data set; a user's own `Table` needs no fetching.

    `split` is "official", "group" or "random"; None takes the source's default, and for a table "official" where it has
    a column `split`, else "group". `progress` is told about downloads. Raises DataError in its kinds.
    """
    source = data if isinstance(data, Source) else None
    if isinstance(data, Source):
        allowed = data.splits
        table = data.load(data.fetch(progress=progress))
    else:
        allowed = ("official", "group", "random") if "split" in data.rows.column_names else ("group", "random")
        table = data
    split = split or allowed[0]
    if split not in allowed:
        raise SplitError(
            f"{source.name if source else 'this table'} has no split {split!r}{suggest(split, allowed)} "
            f"Splits: {', '.join(allowed)}"
        )
    splits = split_table(table, by=split, seed=seed, source=source)
    check_labels(splits)
    return splits


def split_table(
    table: Table,
    *,
    by: str,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    source: Source | None = None,
) -> Splits:
    """Split a table into three parts of about `fractions` of the rows.

    `by` "group" keeps groups whole. "random" keeps only rows of equal input together. "official" follows the column
    `split`; where it names no validation part, one is taken from train by whole groups. The same table, seed and
    fractions give the same parts in whatever order the rows stand. Raises SplitError when a part is empty or a
    group stands in two parts.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise SplitError(f"the fractions {fractions} must be three positive numbers that sum to 1")
    wanted = dict(zip(PARTS, fractions, strict=True))
    groups = table.rows["group"][:]
    if by == "official":
        part_of_row = _official(table, groups, wanted, seed)
    elif by == "group":
        part_of_row = _whole(groups, wanted, seed)
    elif by == "random":
        part_of_row = _whole(row_keys(table.rows, columns=("input",)), wanted, seed)
    else:
        raise SplitError(f"no split {by!r}{suggest(by, SPLITS)} Splits: {', '.join(SPLITS)}")

    parts = {part: table.rows.select([row for row, where in enumerate(part_of_row) if where == part]) for part in PARTS}
    for part, rows in parts.items():
        if not len(rows):
            raise SplitError(
                f"split {by!r} leaves the {part} part empty; split by 'group' or correct the column 'split'"
            )
    if by != "random":
        check_disjoint(parts)
    keys = row_keys(table.rows)
    return Splits(
        **parts,
        label_names=table.label_names,
        data_sha256=source.sha256 if source else _hash([*table.label_names, "", *sorted(keys)]),
        split_sha256=_hash(sorted(f"{key} {part}" for key, part in zip(keys, part_of_row, strict=True))),
        split=by,
        seed=seed,
        source=source,
        dropped=table.dropped,
        notes=table.notes,
    )


def check_disjoint(parts: Mapping[str, Dataset]) -> None:
    """Raise SplitError, naming the group, when rows of one group stand in two parts."""
    part_of: dict[str, str] = {}
    shared: dict[str, str] = {}
    for part, rows in parts.items():
        for group in sorted(set(rows["group"][:])):
            if part_of.setdefault(group, part) != part:
                shared.setdefault(group, f"{part_of[group]} and in {part}")
    if shared:
        group = min(shared)
        raise SplitError(
            f"group {group!r} stands in {shared[group]}"
            f"{f' (and {len(shared) - 1} more groups do so)' if len(shared) > 1 else ''}; "
            "put all of a group's rows into one part, or split by 'group'"
        )


def _official(table: Table, groups: Sequence[str], wanted: Mapping[str, float], seed: int) -> list[str]:
    """Return each row's part in the authors' split, with a validation part taken from train where they have none."""
    if "split" not in table.rows.column_names:
        raise SplitError("this data has no official split, because it has no column 'split'; split by 'group'")
    official = list(table.rows["split"][:])
    if "validation" in official or "train" not in official:
        return official
    share = {part: wanted[part] / (wanted["train"] + wanted["validation"]) for part in ("train", "validation")}
    in_train = [row for row, part in enumerate(official) if part == "train"]
    for row, part in zip(in_train, _whole([groups[row] for row in in_train], share, seed), strict=True):
        official[row] = part
    return official


def _whole(groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """Return each row's part so that groups stay whole and parts come near their fractions of the rows.

    Groups that would fill more than half of a small part come first and so mostly go to train, the others follow
    in an order that the seed shuffles, as in chemprop's balanced scaffold split (Yang et al. 2019). A group goes to the
    first part it fits into, or else to the one with the most room.
    """
    sizes = Counter(groups)
    if len(sizes) < len(fractions):
        raise SplitError(
            f"{len(sizes)} group(s) cannot be split into {' and '.join(fractions)} without dividing one; "
            "give more groups, or split by 'random' where rows do not depend on each other"
        )
    room = {part: fraction * len(groups) for part, fraction in fractions.items()}
    large = min(room.values()) / 2
    # an order by hash, unlike a library's shuffle, is the same on every machine and for ever
    order = sorted(sizes, key=lambda group: (sizes[group] <= large, _hash([str(seed), group])))
    part_of: dict[str, str] = {}
    for group in order:
        part = next((part for part in room if sizes[group] <= room[part]), max(room, key=lambda part: room[part]))
        part_of[group] = part
        room[part] -= sizes[group]
    for part in fractions:
        if part not in part_of.values():  # few and large groups: take one from the part that has most of them
            giver = Counter(part_of.values()).most_common(1)[0][0]
            smallest = min((g for g in reversed(order) if part_of[g] == giver), key=lambda group: sizes[group])
            part_of[smallest] = part
    return [part_of[group] for group in groups]


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()
