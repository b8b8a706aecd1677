"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medhub.sequences.fasta import pasted

from .results import LabelledSequence, SequenceLikelihood

# fmt: off
EXAMPLES = {
    "ubiquitin": "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG",
    "haemoglobin_alpha":
        "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHGKKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNF"
        "KLLSHCLLVTLAAHLPAEFTPAVHASLDKFLASVSTVLTSKYR",
    "insulin":
        "MALWMRLLPLLALLALWGPDPAAAFVNQHLCGSHLVEALYLVCGERGFFYTPKTRREAEDLQVGQVELGGGPGAGSLQPLALEGSLQKRGIVEQCCTSI"
        "CSLYQLENYCN",
}
# fmt: on
"""Human proteins: a small one of strands and a helix, one of helices only, and a hormone's precursor."""
SECONDARY = {"H": "H, helix", "E": "E, strand", "C": "C, coil"}
"""The three states of a protein's backbone, in the order in which models name them."""
MOST_ROWS = 200
"""Runs, or positions, that the table on the page shows; the file has all."""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [
        gradio.Textbox(label="One sequence", info="its letters, or FASTA", placeholder=">name\nMQIFVKTLTGK", lines=4),
        gradio.File(label="or a FASTA file of one sequence", type="filepath"),
    ]


def raw(text: str | None, file: str | None) -> str | Path:
    """Turn the components' values into what the processor reads."""
    return Path(file) if file else pasted(text, cure="paste one, or upload a FASTA file")


def examples() -> dict[str, list[Any]]:
    """Return well-known proteins."""
    return {name.replace("_", " "): [f">{name}\n{sequence}", None] for name, sequence in EXAMPLES.items()}


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the letters that spoke for it."""
    import gradio

    return [
        gradio.Image(
            label="Labels, the bars as high as they are probable",
            interactive=False,
            format="png",
            buttons=["download", "fullscreen"],
            alt_text="The sequence with a bar a position; the table tells its runs",
        ),
        gradio.Dataframe(label="Runs of one label", interactive=False, wrap=True),
    ]


def draw(result: LabelledSequence | SequenceLikelihood) -> list[Any]:
    """Return the values of the output components."""
    if isinstance(result, LabelledSequence):
        header = ["label", "from", "to", "mean probability"]
        table = [
            [
                SECONDARY.get(run.label, run.label) if result.names == (*SECONDARY,) else run.label,
                run.start,
                run.end,
                f"{run.confidence:.2f}",
            ]
            for run in result.segments
        ]
    else:
        header = ["next", "probability"]
        ordered = sorted(result.following.items(), key=lambda item: item[1], reverse=True)
        table = [[name, f"{value:.3f}"] for name, value in ordered]
    return [result.picture(), {"headers": header, "data": table[:MOST_ROWS]}]
