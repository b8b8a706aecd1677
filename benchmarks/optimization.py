"""What chem/optimization's networks generate and find, beside the genetic algorithm: three tables.

    python benchmarks/optimization.py druglike-vae druglike-gan
    MEDHUB_MIRROR=... python benchmarks/optimization.py druglike-vae --only success --starts 200 --calls 500

- generation: 30,000 molecules of each model by MOSES' protocol, against its two test sets; "fcd" where `fcd_torch` is
  installed. The same of training molecules, drawn at random, and of children of such that the genetic algorithm makes.
- search: the area under the mean of the best ten over 10,000 oracle calls, from nothing, for drug-likeness and for
  penalised logP; the network's latents and the genetic algorithm start from the same molecules.
- success: the share of published starts for which a molecule of similarity 0.4 or more is found that is drug-like (QED
  at least 0.9), or active at the dopamine receptor D2. The published judge of that activity is a pickle; here it is a
  random forest on ECFP4 that tells the published training pairs' inactive from active molecules, so that the figures do
  not compare with those in the literature.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from sklearn.ensemble import RandomForestClassifier

import medhub
from medhub.plugins.chem.molecules import parse_smiles
from medhub.plugins.chem.optimization.data import DATASETS
from medhub.plugins.chem.optimization.genetic import breed
from medhub.plugins.chem.optimization.moses import fetch_reference, measure_generation
from medhub.plugins.chem.optimization.predictor import METHODS, OptimizationPredictor

PARTS = ("generation", "search", "success")
SIMILARITY = 0.4
ORACLES = ("qed", "plogp")
LEAST = {"qed": 0.9, "drd2": 0.5}
"""Value from which a search has succeeded."""

Rows = Iterator[list[str]]


def generation(models: dict[str, OptimizationPredictor], *, molecules: int, most: int | None) -> Rows:
    """Yield MOSES' figures, a row a figure and a column a model."""
    reference = fetch_reference(most=most)
    train = sorted(reference.train)
    figures = {
        name: measure_generation(model.generate(molecules), reference=reference) for name, model in models.items()
    }
    for name, make in (("training molecules", drawn), ("graph genetic algorithm", bred)):
        figures[name] = measure_generation(make(train, molecules), reference=reference)
    yield ["figure", *figures]
    for figure in next(iter(figures.values())):
        yield [figure, *(f"{values[figure]:.4f}" for values in figures.values())]


def drawn(train: Sequence[str], count: int, *, seed: int = 0) -> list[str]:
    """Return training molecules."""
    return [train[place] for place in np.random.default_rng(seed).choice(len(train), size=count)]


def bred(train: Sequence[str], count: int) -> list[str]:
    """Return children of two training molecules each, without any selection."""
    random = np.random.default_rng(0)
    pairs = zip(drawn(train, count, seed=1), drawn(train, count, seed=2), strict=True)
    return [breed(mother, father, random) or mother for mother, father in pairs]


def searching(models: dict[str, OptimizationPredictor], *, budget: int, seeds: int) -> Rows:
    """Yield the mean area over the seeds, a row an oracle and a column a way to search."""
    ways = [(name, method) for name in models for method in METHODS]
    yield ["top-10 AUC", *(f"{name}, {method}" for name, method in ways)]
    for oracle in ORACLES:
        row = [oracle]
        for name, method in ways:
            areas = [
                models[name].optimize(oracle=oracle, budget=budget, method=method, seed=seed).top10_auc
                for seed in range(seeds)
            ]
            row.append(f"{np.mean(areas):.3f} ± {np.std(areas):.3f}")
        yield row


def success(models: dict[str, OptimizationPredictor], *, starts: int, calls: int) -> Rows:
    """Yield the share of starts for which a search succeeds, a row an oracle and a column a way to search."""
    ways = [(name, method) for name in models for method in METHODS]
    yield ["success", *(f"{name}, {method}" for name, method in ways)]
    for name, oracle in (("qed", "qed"), ("drd2", activity())):
        texts = DATASETS["drd2-pairs"].fetch()[f"{name}/test.txt"].read_text(encoding="utf-8").split()[:starts]
        row = [f"{name} >= {LEAST[name]}"]
        for model, method in ways:
            results = [
                models[model].optimize(start, oracle=oracle, similarity=SIMILARITY, budget=calls, method=method)
                for start in texts
            ]
            row.append(f"{np.mean([(found.best.value or 0) >= LEAST[name] for found in results]):.1%}")
        yield row


@cache
def activity() -> Callable[[str], float]:
    """Return a forest's probability that a molecule is active at the dopamine receptor D2."""
    with gzip.open(DATASETS["drd2-pairs"].fetch()["drd2/train_pairs.txt.gz"], "rt", encoding="utf-8") as file:
        pairs = [line.split() for line in file]
    inactive, active = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprintAsNumPy(parse_smiles(smiles)) for smiles in (*inactive, *active)]
    forest = RandomForestClassifier(50, min_samples_leaf=3, random_state=0)
    forest.fit(np.stack(prints), np.repeat([0, 1], [len(inactive), len(active)]))

    def drd2(smiles: str) -> float:
        return float(forest.predict_proba([generator.GetFingerprintAsNumPy(parse_smiles(smiles))])[0, 1])

    return drd2


def main() -> None:
    """Print the tables that were asked for, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="folders or names of trained models of chem/optimization")
    parser.add_argument("--only", choices=PARTS, help="one of the parts; otherwise all")
    parser.add_argument("--molecules", type=int, default=30_000, help="generated by each model")
    parser.add_argument("--most", type=int, help="test molecules compared with, of each kind; otherwise all")
    parser.add_argument("--budget", type=int, default=10_000, help="oracle calls of a search from nothing")
    parser.add_argument("--seeds", type=int, default=3, help="searches from nothing, of which the mean is shown")
    parser.add_argument("--starts", type=int, default=200, help="molecules from which searches start")
    parser.add_argument("--calls", type=int, default=500, help="oracle calls of a search from a start")
    given = parser.parse_args()
    models: dict[str, OptimizationPredictor] = {name: medhub.from_pretrained(name) for name in given.models}
    tables = {
        "generation": lambda: generation(models, molecules=given.molecules, most=given.most),
        "search": lambda: searching(models, budget=given.budget, seeds=given.seeds),
        "success": lambda: success(models, starts=given.starts, calls=given.calls),
    }
    for part in [given.only] if given.only else PARTS:
        for number, row in enumerate(tables[part]()):
            print("| " + " | ".join(row) + " |" + ("\n|" + "---|" * len(row) if number == 0 else ""), flush=True)
        print()


if __name__ == "__main__":
    main()
