"""Who judges molecules in a search: a property, a toxicity model, a sum of such, or any function. Calls are counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from medhub.errors import InputError, ModelNotFound, suggest
from medhub.plugins.chem.molecules import parse_smiles
from medhub.predictor import Predictor, from_pretrained
from medhub.results import MultiLabelPrediction

from .properties import PROPERTIES, similarities

Judge = Callable[[Sequence[str]], list[float]]
"""Says of SMILES how good each is, the larger the better; NaN where it cannot tell."""
Wish = str | Mapping[str, float] | Callable[[str], float]
"""What a user may ask for; see `Oracle.of`."""

SIMILARITY = "similarity"
LESS_IS_BETTER = ("sa",)


class Oracle:
    """A judge that answers so many questions, and whose answers are kept.

    A molecule on which it fails is a call too; its value is NaN.
    """

    def __init__(self, judge: Judge, *, name: str, budget: int) -> None:
        self.name, self.budget = name, budget
        self.values: dict[str, float] = {}
        """What it said of each molecule, in the order in which it was asked."""
        self._judge = judge

    @classmethod
    def of(cls, wish: Wish, *, budget: int, start: str | None) -> Oracle:
        """Make an oracle of a name, of several names with weights, or of a function from a SMILES to a number.

        Names are "qed", "plogp", "sa", "similarity" (to the start), and toxicity models as `medhub.from_pretrained`
        knows them. More is always better: of "sa" and of toxicities the sign is turned. Raises InputError for a name
        that is none of these.
        """
        if isinstance(wish, str):
            return cls(_judge(wish, start), name=wish, budget=budget)
        if isinstance(wish, Mapping):
            if not wish:
                raise InputError("the oracle names nothing; give at least one name with its weight, as {'qed': 1.0}")
            name = " + ".join(f"{weight:g} {name}" for name, weight in wish.items())
            return cls(_sum({name: _judge(name, start) for name in wish}, wish), name=name, budget=budget)
        if callable(wish):
            return cls(_each(wish), name=getattr(wish, "__name__", type(wish).__name__), budget=budget)
        raise InputError(
            f"a {type(wish).__name__} is no oracle; give a name, names with weights, or a function of a SMILES"
        )

    @property
    def left(self) -> int:
        """Calls that may still be made."""
        return self.budget - len(self.values)

    @property
    def failures(self) -> int:
        """Calls without a number for an answer."""
        return sum(map(math.isnan, self.values.values()))

    def ask(self, molecules: Sequence[str]) -> dict[str, float]:
        """Return the values of molecules that were not asked about before, as many as the budget allows."""
        new = [smiles for smiles in dict.fromkeys(molecules) if smiles not in self.values][: self.left]
        if not new:
            return {}
        answers = {
            smiles: float(value) if math.isfinite(value) else math.nan
            for smiles, value in zip(new, self._judge(new), strict=True)
        }
        self.values |= answers
        return answers


def _judge(name: str, start: str | None) -> Judge:
    if name in PROPERTIES:
        compute, sign = PROPERTIES[name], -1 if name in LESS_IS_BETTER else 1
        return lambda molecules: [sign * compute(parse_smiles(smiles)) for smiles in molecules]
    if name == SIMILARITY:
        if start is None:
            raise InputError("the oracle 'similarity' compares with the start; give a start, or another oracle")
        return lambda molecules: similarities(parse_smiles(start), [*map(parse_smiles, molecules)]).tolist()
    known = (*PROPERTIES, SIMILARITY)
    try:
        return _harmlessness(from_pretrained(name))
    except ModelNotFound as error:
        raise InputError(
            f"no oracle {name!r}{suggest(name, known)} Known: {', '.join(known)}, and toxicity models by name ({error})"
        ) from error


def _harmlessness(model: Predictor) -> Judge:
    """Return a judge by the mean probability of a model's toxicities, its sign turned."""
    if model.task.id != "chem/toxicity":
        raise InputError(f"{model!r} is no toxicity model; give one of chem/toxicity")

    def judge(molecules: Sequence[str]) -> list[float]:
        return [
            -sum(result.probabilities.values()) / len(result.probabilities)
            if isinstance(result, MultiLabelPrediction)
            else math.nan
            for result in model.predict_each(molecules)
        ]

    return judge


def _sum(judges: Mapping[str, Judge], weights: Mapping[str, float]) -> Judge:
    def judge(molecules: Sequence[str]) -> list[float]:
        columns = {name: judge(molecules) for name, judge in judges.items()}
        return [sum(weights[name] * columns[name][row] for name in columns) for row in range(len(molecules))]

    return judge


def _each(function: Callable[[str], float]) -> Judge:
    """Return a judge that asks a user's function molecule by molecule, and takes any error for "cannot tell"."""

    def judge(molecules: Sequence[str]) -> list[float]:
        values = []
        for smiles in molecules:
            try:
                values.append(float(function(smiles)))
            except Exception:  # a docking program may fail in any way, and the search must go on
                values.append(math.nan)
        return values

    return judge
