"""What this task returns: molecules near a given one, and what a search has found."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from medhub.plugins.chem.molecules import parse_smiles
from medhub.results import Prediction

from .properties import PROPERTIES, measure, similarities

if TYPE_CHECKING:
    from PIL.Image import Image

DRAWN = 8
"""Most molecules in the picture of a result, beside the one from which it starts."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A molecule with its properties; `similarity` is that to the start (Tanimoto, ECFP4), None without one."""

    smiles: str
    properties: dict[str, float]
    similarity: float | None = None
    value: float | None = None
    """What the oracle said; None where none was asked."""

    @classmethod
    def of(cls, smiles: str, *, start: str | None = None, value: float | None = None) -> Self:
        """Measure a molecule."""
        mol = parse_smiles(smiles)
        alike = None if start is None else float(similarities(mol, [parse_smiles(start)])[0])
        return cls(smiles=smiles, properties=measure(mol), similarity=alike, value=value)

    def caption(self) -> str:
        """Say the figures in one line."""
        figures = {} if self.value is None else {"value": self.value}
        figures |= self.properties
        if self.similarity is not None:
            figures["similarity"] = self.similarity
        return "  ".join(f"{name} {figure:.2f}" for name, figure in figures.items())


@dataclass(frozen=True, kw_only=True)
class ProposalPrediction(Prediction):
    """Molecules in place of a given one, the best first."""

    start: Candidate | None
    """The given molecule; None where a search started from nothing."""
    proposals: tuple[Candidate, ...]

    @classmethod
    def near(cls, start: str, written: Iterable[str]) -> Self:
        """Measure what the network wrote near a molecule; copies of each other and of the molecule itself fall out."""
        fresh = [smiles for smiles in dict.fromkeys(written) if smiles != start]
        proposals = [Candidate.of(smiles, start=start) for smiles in fresh]
        best_first = sorted(proposals, key=lambda proposal: -proposal.properties["qed"])
        return cls(input=start, start=Candidate.of(start, start=start), proposals=tuple(best_first))

    @property
    def best(self) -> Candidate | None:
        """The best proposal, or the start where there is none."""
        return self.proposals[0] if self.proposals else self.start

    def title(self) -> str:
        """Say how many molecules are proposed, and the best one's figures."""
        if not self.proposals:
            return "no other molecule is proposed"
        count = f"{len(self.proposals)} molecule{'s' if len(self.proposals) > 1 else ''}"
        return f"{count} proposed, the best with {self.proposals[0].caption()}"

    def certainty(self) -> str:
        """Say what the figures are worth; the model has no rule by which it would not decide."""
        return "Figures are calculated from the drawing of a molecule; none of the molecules has been made or tested."

    def bars(self) -> dict[str, float]:
        """Return the best molecule's drug-likeness."""
        return {"qed": self.best.properties["qed"] if self.best else 0.0}

    def picture(self) -> Image:
        """Draw the start and the best proposals, each with its figures."""
        from .drawing import draw_grid

        shown = [*([self.start] if self.start else []), *self.proposals[:DRAWN]]
        return draw_grid([candidate.smiles for candidate in shown], [candidate.caption() for candidate in shown])

    def formats(self) -> dict[str, Callable[[Path, Any], Any]]:
        """Add CSV, a molecule a line."""
        return {".csv": lambda path, source: self._write_csv(path), **super().formats()}

    def table(self) -> list[list[Any]]:
        """Return the proposals as rows: SMILES, the oracle's value, similarity to the start, properties."""
        return [
            [candidate.smiles, candidate.value, candidate.similarity, *candidate.properties.values()]
            for candidate in self.proposals
        ]

    def _write_csv(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.table()])


COLUMNS = ["smiles", "value", "similarity", *PROPERTIES]
"""Of `ProposalPrediction.table`."""


@dataclass(frozen=True, kw_only=True)
class SearchResult(ProposalPrediction):
    """What a search has found: the best molecules that the oracle judged and that are near enough to the start."""

    oracle: str
    least_similarity: float | None
    """What the search was held to; None where it started from nothing."""
    budget: int
    calls: int
    """Molecules that the oracle was asked about, those included on which it failed."""
    failures: int
    """Calls in which the oracle raised an error or returned no number."""
    values: tuple[float, ...] = field(repr=False)
    """What it said, call by call; NaN for a failure."""
    path: tuple[Candidate, ...]
    """From the start, or the first molecule drawn, parent by parent to the best one."""

    @property
    def top10_auc(self) -> float:
        """Area under the mean of the ten best values so far over the calls, as a share of the budget."""
        from .search import top_auc

        return top_auc(self.values, budget=self.budget)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the area, but not every single value."""
        return {**super().to_dict(), "top10_auc": self.top10_auc} | {"values": len(self.values)}

    def path_picture(self) -> Image:
        """Draw the way from the start to the best molecule, what each step changed in colour."""
        from .drawing import draw_path

        return draw_path([step.smiles for step in self.path], [step.caption() for step in self.path])
