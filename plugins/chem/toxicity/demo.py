"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

from typing import Any

from medhub.pictures import figures, percentage

from .results import ToxicityPrediction

EXAMPLES = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "bisphenol A": "CC(C)(c1ccc(O)cc1)c1ccc(O)cc1",
    "estradiol": "C[C@]12CC[C@H]3[C@@H](CCc4cc(O)ccc43)[C@@H]1CC[C@@H]2O",
    "flutamide": "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1",
    "benzo[a]pyrene": "c1ccc2c(c1)cc1ccc3cccc4ccc2c1c34",
}
"""A painkiller, a plastic's building block, a hormone, an anti-androgen that harms the liver, a carcinogen of smoke."""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [gradio.Textbox(label="SMILES of one molecule", placeholder="CC(=O)Oc1ccccc1C(=O)O", lines=2)]


def raw(smiles: str) -> str:
    """Turn the components' values into what the processor reads."""
    return smiles


def examples() -> dict[str, list[str]]:
    """Return well-known molecules."""
    return {name: [smiles] for name, smiles in EXAMPLES.items()}


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the drawing of the atoms."""
    import gradio

    return [
        gradio.HTML(),
        gradio.Textbox(label="Read as", info="the largest organic part, uncharged, as SMILES", interactive=False),
    ]


def draw(result: ToxicityPrediction) -> list[Any]:
    """Return the values of the output components."""
    decisions = result.decisions or {}
    notes = {name: f"± {percentage(spread)} {decisions.get(name, '')}" for name, spread in result.spread.items()}
    caption = "Probability of each toxicity, ± how far the model's members differ, and the decision"
    return [figures(caption, result.probabilities, notes=notes), result.input]
