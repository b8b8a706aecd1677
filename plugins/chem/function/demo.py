"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medhub.pictures import figures
from medhub.results import MultiLabelPrediction
from medhub.sequences.fasta import pasted

EXAMPLES = {
    "magainin 2, of a frog's skin": "GIGKFLHSAKKFGKAFVGEIMNS",
    "glucagon, a hormone": "HSQGTFTSDYSKYLDSRRAQDFVQWLMNT",
    "DfrB1, resists trimethoprim": "MERSSNEVSNPVAGNFVFPSNATFGMGDRVRKKSGAAWQGQIVGWYCTNLTPEGYAVESEAHPGSVQIYPVAALERIN",
}
"""A peptide of a frog's skin that kills bacteria, a hormone, and an enzyme that makes bacteria resist trimethoprim."""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [
        gradio.Textbox(
            label="One gene or protein",
            info="its letters, or FASTA; which of the two, 'About the model' says",
            placeholder=">name\nGIGKFLHSAKK",
            lines=5,
        ),
        gradio.File(label="or a FASTA file with one sequence", type="filepath"),
    ]


def raw(text: str | None, file: str | None) -> str | Path:
    """Turn the components' values into what the processor reads."""
    return Path(file) if file else pasted(text, cure="paste one, or upload a FASTA file")


def examples() -> dict[str, list[Any]]:
    """Return an antimicrobial peptide, one that is none, and a protein that makes bacteria resistant."""
    return {
        name: [f">{name.partition(',')[0].replace(' ', '_')}\n{sequence}", None] for name, sequence in EXAMPLES.items()
    }


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the logo."""
    import gradio

    return [gradio.HTML()]


def draw(result: MultiLabelPrediction) -> list[Any]:
    """Return the values of the output components."""
    return [figures("Probability of each function", result.probabilities)]
