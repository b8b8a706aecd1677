"""What the confidences of an alignment model are worth: of the columns said to be so sure, how many are right.

    MEDHUB_MIRROR=... python benchmarks/alignment_reliability.py protein-aligner

The pairs are those of the model's own test split, and the columns those that the reference can judge.
"""

from __future__ import annotations

import sys

import numpy as np
from datasets import disable_progress_bars

import medhub
from medhub.data import prepare
from medhub.evaluation import code_version, predict_scores
from medhub.plugins.genomics.alignment.metrics import judge
from medhub.predictor import model_folder
from medhub.recipe import load_splits, read_recipe

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def main() -> None:
    """Print the table of the model that the command line names."""
    disable_progress_bars()
    name = sys.argv[1]
    predictor = medhub.from_pretrained(name, device="cpu")
    recipe = read_recipe(model_folder(name))
    splits = load_splits(predictor.task, recipe.data, split=recipe.split, seed=recipe.seed)
    scores, truths = predict_scores(predictor.model, prepare(splits.test, predictor.processor), predictor.processor)
    confidences, rights = [], []
    for answer, truth in zip(scores, truths, strict=True):
        right, judged = judge(answer, truth)
        confidences.append(answer.confidence[judged])
        rights.append(right[judged])
    confidence, right = np.concatenate(confidences), np.concatenate(rights)
    print(f"{name}, {splits.source.name if splits.source else recipe.data}, {len(truths)} test pairs, split sha256 "
          f"{splits.split_sha256[:16]}, commit {code_version()}\n")  # fmt: skip
    print("| confidence | columns | mean confidence | right |\n|---|---|---|---|")
    bins = np.digitize(confidence, EDGES)
    for number, (low, high) in enumerate(zip(EDGES, (*EDGES[1:], 1.0), strict=True), start=1):
        here = bins == number
        if here.any():
            means = (confidence[here].mean(), right[here].mean())
            print(f"| {low:.2f} to {high:.2f} | {here.sum():,} | {means[0]:.3f} | {means[1]:.3f} |")


if __name__ == "__main__":
    main()
