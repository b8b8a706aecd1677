"""Our networks on real data, over several seeds, beside their baselines and the published figures: one table.

    python benchmarks/tasks.py                              # all runs; models are kept in runs/benchmarks and reused
    python benchmarks/tasks.py --only tox21 --seeds 0 1 2

Needs MEDHUB_MIRROR for Tox21 and PneumoniaMNIST. Each line names data, split, seeds and commit; a line's models were
trained by `medhub train` with the command on their cards. The published figures were made on their authors' own splits.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from medhub.evaluation import Report
from medhub.recipe import Recipe, run

RUNS = Path("runs/benchmarks")


@dataclass(frozen=True)
class Entry:
    """One network on one split, and what others published."""

    task: str
    data: str
    split: str
    architecture: str
    metrics: tuple[str, ...]
    published: str


ENTRIES = (
    Entry("chem/toxicity", "tox21", "random", "dnn", ("auroc", "auprc"), "chemprop .851 AUROC"),
    Entry("chem/toxicity", "tox21", "group", "dnn", ("auroc", "auprc"), "chemprop .829 AUROC"),
    Entry("chem/toxicity", "clintox", "group", "dnn", ("auroc", "auprc"), "ADMET-AI .870 AUROC, .425 AUPRC"),
    Entry("chem/toxicity", "clintox", "random", "dnn", ("auroc", "auprc"), "ADMET-AI .870 AUROC, .425 AUPRC"),
    Entry("imaging/classification", "pneumoniamnist", "official", "cnn", ("auroc", "accuracy"),
          "ResNet-18 (28 px) .944/.854, AutoML .991/.946"),
)  # fmt: skip


def reports(entry: Entry, seeds: list[int]) -> list[Report]:
    """Return the report of each seed, training the models that are not there yet."""
    found = []
    for seed in seeds:
        folder = RUNS / f"{entry.task.replace('/', '-')}-{entry.data}-{entry.split}-{entry.architecture}-seed{seed}"
        path = folder / "evaluation.json"
        if not path.exists():
            recipe = Recipe(
                task=entry.task, data=entry.data, split=entry.split, architecture=entry.architecture, seed=seed
            )
            run(recipe, folder, say=lambda line: print(f"  {line}"))
        found.append(Report.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    return found


def spread(values: list[float]) -> str:
    """Say the mean over seeds, and their standard deviation."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"


def rows(entry: Entry, found: list[Report]) -> list[str]:
    """Return a Markdown line a model, the network first."""
    lines = []
    for model in found[0].models:
        ours = model == found[0].network
        figures = [spread([report.models[model][metric].value or 0.0 for report in found]) for metric in entry.metrics]
        lines.append(
            f"| {f'**{model}**' if ours else model} | {entry.data}, {entry.split} | {len(found)} | "
            f"{' | '.join(figures)} | {entry.published if ours else ''} |"
        )
    return lines


def main() -> None:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="data sets whose name holds this")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    for entry in ENTRIES:
        if arguments.only and arguments.only not in entry.data:
            continue
        found = reports(entry, arguments.seeds)
        print(f"\n| model | data, split | seeds | {' | '.join(entry.metrics)} | published |")
        print(f"|---|---|---|{'---|' * len(entry.metrics)}---|")
        print("\n".join(rows(entry, found)))
        print(f"\ncommits {sorted({report.commit for report in found})}, data sha256 {found[0].data_sha256[:16]}, "
              f"splits {[report.split_sha256[:12] for report in found]}")  # fmt: skip


if __name__ == "__main__":
    main()
