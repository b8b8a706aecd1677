"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

from typing import Any

from medhub.pictures import figures
from medhub.results import ClassPrediction

from .data import LABELS, synthetic


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [gradio.Textbox(label="Intervals between beats, in milliseconds", placeholder="812 790 805 ...", lines=4)]


def raw(intervals: str) -> str:
    """Turn the components' values into what the processor reads."""
    return intervals


def examples() -> dict[str, list[str]]:
    """Return one recording of each rhythm, by what a visitor is told of it; both are made up."""
    rows = synthetic(size=4).rows
    firsts = {label: rows["labels"].index(number) for number, label in enumerate(LABELS)}
    return {
        f"{label}, made up": [" ".join(f"{interval:.0f}" for interval in rows[first]["input"])]
        for label, first in firsts.items()
    }


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the picture of the explanation."""
    import gradio

    return [gradio.HTML()]


def draw(result: ClassPrediction) -> list[Any]:
    """Return the values of the output components."""
    return [figures("Probability of each rhythm", result.probabilities)]
