"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import io
from typing import Any

from medhub.errors import InputError
from medhub.pictures import figures

from ..guide import GUIDE
from .results import Recommendation

HEADER = "subject_id,time,code,value,unit"
PLACEHOLDER = f"{HEADER}\n1,2024-05-31T08:00,VISIT/inpatient,,"
KIDNEY = """
1,,SEX/F,,
1,1951-06-01,MEDS_BIRTH,,
1,2021-03-02T08:00,VISIT/inpatient,,
1,2021-03-02T09:00,LOINC/2345-7,212,mg/dL
1,2021-03-02T10:00,ICD9CM/250.02,,
1,2021-03-02T10:00,ICD9CM/401,,
1,2021-03-02T12:00,DRUG/metformin,,
1,2021-03-02T12:00,DRUG/glipizide,,
1,2022-01-17T08:00,VISIT/inpatient,,
1,2022-01-17T09:00,LOINC/2345-7,298,mg/dL
1,2022-01-17T09:00,LOINC/2160-0,1.9,mg/dL
1,2022-01-17T10:00,ICD9CM/250.42,,
1,2022-01-17T10:00,ICD9CM/584,,
"""
HEART = """
1,,SEX/M,,
1,1944-02-11,MEDS_BIRTH,,
1,2020-11-20T08:00,VISIT/inpatient,,
1,2020-11-20T09:00,LOINC/2345-7,164,mg/dL
1,2020-11-20T10:00,ICD9CM/428,,
1,2020-11-20T10:00,ICD9CM/250.02,,
1,2020-11-20T12:00,DRUG/insulin,,
1,2020-11-20T12:00,DRUG/pioglitazone,,
1,2020-12-08T08:00,VISIT/inpatient,,
1,2020-12-08T09:00,LOINC/8480-6,148,mm[Hg]
1,2020-12-08T10:00,ICD9CM/428,,
1,2020-12-08T12:00,DRUG/insulin,,
1,2021-05-03T08:00,VISIT/inpatient,,
1,2021-05-03T10:00,ICD9CM/427,,
"""
EXAMPLES = {"a kidney that fails, invented": KIDNEY, "a heart that failed, invented": HEART}
"""Two invented patients: one whose kidneys fail under her tablets, one whose heart failed under his."""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    gradio.Markdown(GUIDE)
    return [
        gradio.File(label="Events of one patient", type="filepath"),
        gradio.Textbox(label="or the events as CSV", placeholder=PLACEHOLDER, lines=8),
    ]


def raw(file: str | None, text: str | None) -> Any:
    """Turn the components' values into what the processor reads."""
    if file:
        return file
    if text is None or not text.strip():
        raise InputError("there is no record; upload a file with one patient's events, or paste them as CSV")
    import pandas as pd

    try:
        # a table, not its text: that must never be taken for the path of a file on the server
        return pd.read_csv(io.StringIO(text.strip()), dtype={"code": str, "unit": str, "time": str})
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"the events are no CSV: {error}; begin with the line {HEADER}") from error


def examples() -> dict[str, list[Any]]:
    """Return invented patients."""
    return {name: [None, HEADER + rows] for name, rows in EXAMPLES.items()}


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds what spoke for the most probable drug."""
    import gradio

    return [
        gradio.Markdown(),
        gradio.HTML(),
    ]


def draw(result: Recommendation) -> list[Any]:
    """Return the values of the output components."""
    lines = [f"**Recommended: {', '.join(result.recommended) or 'none of the drugs'}**"]
    lines += [f"- ⚠ {pair} interact" for pair in result.interactions]
    lines += [f"- ⚠ {pair} interact, where the last visit's drug goes on" for pair in result.with_last]
    if result.unknown_events:
        lines.append(f"- {result.unknown_events} of {result.events} events have codes that the model does not know.")
    lines += [f"- {count} events: {reason}." for reason, count in result.changed.items()]
    return ["\n".join(lines), figures("Probability of each drug", result.probabilities)]
