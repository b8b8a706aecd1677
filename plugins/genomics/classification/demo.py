"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from medhub.errors import InputError
from medhub.pictures import figures
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
        gradio.Textbox(label="One sequence", info="its letters, or FASTA", placeholder=">name\nACGT", lines=4),
        gradio.File(label="or, for the effect of a variant, a VCF", type="filepath"),
        gradio.File(label="and the FASTA file in which the VCF's positions are counted", type="filepath"),
        gradio.Number(label="Which of the VCF's variants", info="counted from 1", value=1, precision=0, minimum=1),
    ]


def raw(text: str | None, vcf: str | None, reference: str | None, number: float | None) -> str | dict[str, Any]:
    """Turn the components' values into what the processor reads."""
    if vcf:
        if not reference:  # the header's path would be one on the server
            raise InputError("the VCF needs its reference; upload the FASTA file that its positions are counted in")
        return {"vcf": Path(vcf), "reference": Path(reference), "number": int(number or 1)}
    return pasted(text, cure="paste one, or upload a VCF and its reference")


def examples() -> dict[str, list[Any]]:
    """Return a promoter, a stretch that is none, and a variant in the promoter, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    reference, vcf = folder / "HBB.fasta", folder / "HBB.vcf"
    reference.write_text(f">HBB core promoter\n{HBB}\n", encoding="utf-8")
    vcf.write_text(HBB_VARIANT, encoding="utf-8")
    return {
        "promoter of beta-globin": [f">beta_globin\n{HBB}", None, None, 1],
        "terminator of SV40": [f">SV40\n{TERMINATOR}", None, None, 1],
        "variant of beta-thalassaemia": ["", str(vcf), str(reference), 1],
    }


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the logo."""
    import gradio

    return [
        gradio.HTML(),
    ]


def draw(result: ClassPrediction | VariantPrediction) -> list[Any]:
    """Return the values of the output components."""
    if isinstance(result, VariantPrediction):
        without = figures("Probability of each class without the variant", result.reference_probabilities)
        return [without + figures("with the variant", result.alternative_probabilities)]
    return [figures("Probability of each class", result.probabilities)]
