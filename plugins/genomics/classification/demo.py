"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from medhub.errors import InputError
from medhub.results import ClassPrediction
from medhub.sequences.fasta import pasted

from .results import VariantPrediction

HBB = "CAGGAGCCAGGGCTGGGCATAAAAGTCAGGGCAGAGCCATCTATTGCTTACATTTGCTTCTGACACAACT"
"""The core promoter of human beta-globin: 49 letters before the start of transcription, and 21 from it on."""
TERMINATOR = "CAGACATGATAAGATACATTGATGAGTTTGGACAAACCACAACTAGAATGCAGTGAAAAAAATGCTTTAT"
"""Where the genes of simian virus 40 end: no promoter."""
HBB_VARIANT = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nHBB\t22\trs33931746\tA\tG\n"
"""The letter 28 before the start, in the TATA box: a known cause of beta-thalassaemia."""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    return [
        gradio.Textbox(label="One sequence", info="letters, or FASTA", placeholder=">name\nACGT", lines=4),
        gradio.File(label="or a VCF", type="filepath"),
        gradio.File(label="and the FASTA file of its reference", type="filepath"),
        gradio.Number(label="Which of the VCF's variants", info="counted from 1", value=1, precision=0, minimum=1),
    ]


def raw(text: str | None, vcf: str | None, reference: str | None, number: float | None) -> str | dict[str, Any]:
    """Turn the components' values into what the processor reads."""
    if vcf:
        if not reference:  # the header's path would be one on the server
            raise InputError("the VCF needs its reference; upload the FASTA file that its positions are counted in")
        return {"vcf": Path(vcf), "reference": Path(reference), "number": int(number or 1)}
    return pasted(text, cure="paste one, or upload a VCF and its reference")


def examples() -> list[list[Any]]:
    """Return a promoter, a stretch that is none, and a variant in the promoter, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    reference, vcf = folder / "HBB.fasta", folder / "HBB.vcf"
    reference.write_text(f">HBB core promoter\n{HBB}\n", encoding="utf-8")
    vcf.write_text(HBB_VARIANT, encoding="utf-8")
    return [
        [f">beta_globin\n{HBB}", None, None, 1],
        [f">SV40\n{TERMINATOR}", None, None, 1],
        ["", str(vcf), str(reference), 1],
    ]


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the logo."""
    import gradio

    return [
        gradio.Label(label="Probability of each class (of a variant: with it)", show_heading=False),
        gradio.Dataframe(
            label="Probabilities without and with the variant", headers=["class", "without", "with"], interactive=False
        ),
    ]


def draw(result: ClassPrediction | VariantPrediction) -> list[Any]:
    """Return the values of the output components."""
    table = []
    if isinstance(result, VariantPrediction):
        table = [
            [name, f"{before:.3f}", f"{result.alternative_probabilities[name]:.3f}"]
            for name, before in result.reference_probabilities.items()
        ]
    return [result.bars(), table]
