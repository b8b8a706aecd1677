"""Data: where a data set comes from, how it is split, and how its rows become batches.

    source = task.source("clintox")                  # Source: name, licence, files with sha256, how it is grouped
    splits = load_data(source, seed=0)               # Splits: train, validation, test; no group on two sides
    features = prepare(splits.train, processor)      # Features: every row's numbers, computed once, memory-mapped
    batches = Batches(features, processor.collate, batch_size=32, shuffle=True)
    for batch in batches.epoch(0):                   # a dict of tensors: the keyword arguments of `forward`
        loss = model(**batch).loss

A user's own table takes the same way: `load_data(Table(rows=..., label_names=...))`.
"""

from medhub.data.batching import Batches
from medhub.data.cache import cache_folder
from medhub.data.features import Column, Features, prepare
from medhub.data.labels import check_labels
from medhub.data.sources import File, Source
from medhub.data.splits import Splits, check_disjoint, load_data, split_table
from medhub.data.tables import Table, row_keys

__all__ = [
    "Batches",
    "Column",
    "Features",
    "File",
    "Source",
    "Splits",
    "Table",
    "cache_folder",
    "check_disjoint",
    "check_labels",
    "load_data",
    "prepare",
    "row_keys",
    "split_table",
]
