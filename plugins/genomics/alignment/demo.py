"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medhub.errors import InputError
from medhub.pictures import percentage

from .data import synthetic
from .results import AlignmentPrediction

# fmt: off
HAEMOGLOBINS = (
    ">haemoglobin_alpha\n"
    "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHGKKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNF"
    "KLLSHCLLVTLAAHLPAEFTPAVHASLDKFLASVSTVLTSKYR\n"
    ">myoglobin\n"
    "MGLSDGEWQLVLNVWGKVEADIPGHGQEVLIRLFKGHPETLEKFDKFKHLKSEDEMKASEDLKKHGATVLTALGGILKKKGHHEAEIKPLAQSHATKHK"
    "IPVKYLEFISECIIQVLQSKHPGDFGADAQGAMNKALELFRKDMASNYKELGFQG\n"
)
# fmt: on
"""Two human proteins of one fold, a quarter of whose residues are the same."""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [
        gradio.Textbox(
            label="Two sequences as FASTA",
            info="proteins, or DNA, as the model says",
            placeholder=">one\nMKVLEE\n>other\nMRVLE",
            lines=6,
        ),
        gradio.File(label="or a FASTA file of two sequences", type="filepath"),
    ]


def raw(text: str | None, file: str | None) -> str | Path:
    """Turn the components' values into what the processor reads."""
    if file:
        return Path(file)
    # a visitor's text must never be taken for the path of a file on the server
    if text is None or not text.lstrip().startswith(">"):
        raise InputError("two sequences as FASTA are needed: each a line '>name' and lines of letters")
    return text


def examples() -> dict[str, list[Any]]:
    """Return a pair of well-known proteins, and a made-up one."""
    made_up = synthetic(size=2).rows[1]["input"]
    return {
        "haemoglobin and myoglobin": [HAEMOGLOBINS, None],
        "an ancestor and its descendant, made up": [
            ">ancestor\n" + made_up["first"] + "\n>descendant\n" + made_up["second"] + "\n",
            None,
        ],
    }


def outputs() -> list[Any]:
    """Return the components that show a result: the picture, what it comes to, and the text."""
    import gradio

    return [
        gradio.Image(
            label="Alignment: the darker a column, the surer",
            interactive=False,
            format="png",
            buttons=["download", "fullscreen"],
            alt_text="The two sequences in rows; their text stands beneath",
        ),
        gradio.Dataframe(headers=["measure", "value"], label="Summary", interactive=False),
        gradio.Code(label="As text", lines=8, interactive=False),
    ]


def draw(result: AlignmentPrediction) -> list[Any]:
    """Return the values of the output components."""
    from .writing import text

    summary = [
        ["Identical residues", percentage(result.identity)],
        ["Mean confidence", percentage(result.mean_confidence)],
        ["Score in bits", f"{result.score:.1f}"],
        ["CIGAR", result.cigar],
    ]
    return [result.picture(), summary, text(result)]
