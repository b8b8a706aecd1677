"""Alignments as text: for people, and in the formats of the field."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from medhub.sequences.fasta import Record, write_fasta

from .pairing import GAP
from .substitution import SUBSTITUTIONS

if TYPE_CHECKING:
    from .results import AlignmentPrediction

WIDTH = 60
"""Columns a line."""


def cigar(result: AlignmentPrediction) -> str:
    """Return the alignment as runs: M two residues, I a residue of the first sequence only, D of the second only."""
    steps = ["D" if one == GAP else "I" if other == GAP else "M" for one, other in _columns(result)]
    return "".join(f"{len([*run])}{step}" for step, run in groupby(steps))


def text(result: AlignmentPrediction) -> str:
    """Return the alignment for people, 60 columns a line.

    Between the sequences stands | for the same residue, : for a likely substitution, . for another; beneath them the
    confidence, 9 for at least 90 %.
    """
    first, second = result.first, result.second
    marks, digits = _marks(result), _digits(result)
    width = max(len(first.name), len(second.name), len("confidence"))
    number = len(str(max(first.end, second.end)))
    lines = [f"# {result.title()}", ""]
    at = [first.start, second.start]
    for start in range(0, len(first.text), WIDTH):
        part = slice(start, start + WIDTH)
        rows = []
        for side, aligned in enumerate((first, second)):
            shown = aligned.text[part]
            begin = at[side] + 1
            at[side] += len(shown) - shown.count(GAP)
            rows.append(f"{aligned.name:<{width}} {begin:>{number}} {shown} {at[side]}")
        indent = " " * (width + number + 2)
        confidence = f"{'confidence':<{width + number + 2}}{digits[part]}"
        lines += [rows[0], f"{indent}{marks[part]}".rstrip(), rows[1], confidence.rstrip(), ""]
    return "\n".join(lines)


def stockholm(result: AlignmentPrediction) -> str:
    """Return the alignment in Stockholm format, with the confidence as HMMER writes posterior probabilities."""
    names = _names(result)
    mark = "#=GC PP_cons"
    width = max(map(len, (*names, mark)))
    confidence = "".join("." if value is None else _digit(value, "*") for value in result.confidence)
    rows = [*zip(names, (result.first.text, result.second.text), strict=True), (mark, confidence)]
    return "\n".join(["# STOCKHOLM 1.0", *(f"{name:<{width}} {row}" for name, row in rows), "//", ""])


def clustal(result: AlignmentPrediction) -> str:
    """Return the alignment in CLUSTAL format; * marks columns of one residue."""
    names = _names(result)
    width = max(map(len, names)) + 2
    stars = "".join("*" if one == other else " " for one, other in _columns(result))
    lines = ["CLUSTAL W (1.83) multiple sequence alignment", "", ""]
    for start in range(0, len(result.first.text), WIDTH):
        for name, row in zip((*names, ""), (result.first.text, result.second.text, stars), strict=True):
            lines.append(f"{name:<{width}}{row[start : start + WIDTH]}")
        lines.append("")
    return "\n".join(lines)


def fasta(result: AlignmentPrediction) -> str:
    """Return both sequences with their gaps as FASTA."""
    texts = (result.first.text, result.second.text)
    return write_fasta(Record(name=name, sequence=row) for name, row in zip(_names(result), texts, strict=True))


def paf(result: AlignmentPrediction) -> str:
    """Return the alignment as one line of PAF, the first sequence as the query (Li 2016).

    It goes from the first to the last column of two residues. The mapping quality is 255, unknown; `AS` is the score in
    bits, `cf` the mean confidence.
    """
    columns = [*_columns(result)]
    paired = [place for place, pair in enumerate(columns) if GAP not in pair]
    if not paired:
        paired = [0, -1]
    begin, end = paired[0], paired[-1] + 1
    same = sum(one == other for one, other in columns)
    fields = []
    for aligned in (result.first, result.second):
        start = aligned.start + _residues(aligned.text[:begin])
        fields.append((aligned.length, start, start + _residues(aligned.text[begin:end])))
    names = _names(result)
    steps = ["D" if one == GAP else "I" if other == GAP else "M" for one, other in columns[begin:end]]
    runs = "".join(f"{len([*run])}{step}" for step, run in groupby(steps))
    return "\t".join(map(str, (
        names[0], *fields[0], "+", names[1], *fields[1], same, end - begin, 255,
        f"AS:i:{round(result.score)}", f"cf:f:{result.mean_confidence:.4f}", f"cg:Z:{runs}",
    ))) + "\n"  # fmt: skip


def _columns(result: AlignmentPrediction) -> zip[tuple[str, str]]:
    return zip(result.first.text, result.second.text, strict=True)


def _names(result: AlignmentPrediction) -> tuple[str, str]:
    """Return both names, told apart where a file could not hold them twice."""
    first, second = result.first.name, result.second.name
    return (first, second) if first != second else (f"{first}_1", f"{second}_2")


def _residues(text: str) -> int:
    return len(text) - text.count(GAP)


def _marks(result: AlignmentPrediction) -> str:
    substitution = SUBSTITUTIONS[result.alphabet]
    matrix, encode = substitution.matrix(), substitution.alphabet.encode
    marks = []
    for one, other in _columns(result):
        if GAP in (one, other):
            marks.append(" ")
        elif one == other:
            marks.append("|")
        else:
            likely = matrix[encode(one)[0] - 1, encode(other)[0] - 1] > 0
            marks.append(":" if likely else ".")
    return "".join(marks)


def _digits(result: AlignmentPrediction) -> str:
    return "".join(" " if value is None else _digit(value, "9") for value in result.confidence)


def _digit(value: float, highest: str) -> str:
    """Return a probability as one character: its tenths, or `highest` from 95 % on where that is a mark of its own."""
    if highest == "*":  # HMMER rounds, and has a mark for what rounds to 1
        return "*" if value >= 0.95 else str(int(10 * value + 0.5))
    return str(min(9, int(10 * value)))
