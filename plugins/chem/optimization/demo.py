"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

from typing import Any

from .results import COLUMNS, ProposalPrediction

EXAMPLES = {
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "ibuprofen": "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    "celecoxib": "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1",
    "flutamide": "CC(C)C(=O)Nc1ccc([N+](=O)[O-])c(C(F)(F)F)c1",
}


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [
        gradio.Textbox(
            label="SMILES of one molecule", info="from which to start", placeholder="CC(=O)Nc1ccc(O)cc1", lines=2
        )
    ]


def raw(smiles: str) -> str:
    """Turn the components' values into what the processor reads."""
    return smiles


def examples() -> dict[str, list[str]]:
    """Return well-known molecules."""
    return {name: [smiles] for name, smiles in EXAMPLES.items()}


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the way that the explanation goes."""
    import gradio

    return [
        gradio.Image(
            label="The molecule, and what is proposed near it",
            interactive=False,
            format="png",
            buttons=["download", "fullscreen"],
            alt_text="Structures of the molecule and of those proposed",
        ),
        gradio.Dataframe(label="Proposals, the most drug-like (qed) first", headers=COLUMNS, interactive=False),
    ]


def draw(result: ProposalPrediction) -> list[Any]:
    """Return the values of the output components."""
    rows = [
        [cell if isinstance(cell, str) or cell is None else round(cell, 2) for cell in row] for row in result.table()
    ]
    return [result.picture(), rows]
