"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from medhub.errors import InputError

from .results import GroupPrediction

# fmt: off
PATIENTS = {
    "septic":    {"temp": 39.4, "hrt": 128, "resp": 32, "meanbp": 58, "wblc": 21.5, "crea": 2.9, "bili": 1.1,
                  "alb": 2.3, "pafi": 160, "sod": 134, "scoma": 26, "num.co": 1, "diabetes": 0, "dementia": 0},
    "stable":    {"temp": 36.6, "hrt": 78, "resp": 20, "meanbp": 92, "wblc": 8.1, "crea": 1.0, "bili": 0.6,
                  "alb": 3.6, "pafi": 330, "sod": 139, "scoma": 0, "num.co": 2, "diabetes": 0, "dementia": 0},
    "diabetic":  {"temp": 36.8, "hrt": 86, "resp": 22, "meanbp": 96, "wblc": 9.0, "crea": 1.6, "bili": 0.5,
                  "alb": 3.2, "pafi": 290, "sod": 138, "scoma": 0, "num.co": 4, "diabetes": 1, "dementia": 0},
}
LABS = {"crea": ("LOINC/2160-0", "mg/dL"), "alb": ("LOINC/1751-7", "g/dL")}
# fmt: on
"""Three invented patients of the kind that SUPPORT2 describes.

Two values also stand under their LOINC code, so that a model which knows no other has something to read.
"""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    label = "Events of one patient: CSV (subject_id, time, code, value, unit), Parquet or a FHIR Bundle"
    return [gradio.File(label=label, type="filepath")]


def raw(file: str | None) -> Path:
    """Turn the uploaded file into what the processor reads."""
    if not file:
        raise InputError("there is no record; upload a file of one patient's events")
    return Path(file)


def examples() -> list[list[Any]]:
    """Return invented patients, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    rows = []
    for name, values in PATIENTS.items():
        path = folder / f"{name}.csv"
        path.write_text(_made_up(name, values), encoding="utf-8")
        rows.append([str(path)])
    return rows


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds what put the patient into the group."""
    import gradio

    return [
        gradio.Label(label="Groups", show_heading=False),
        gradio.Image(label="The groups, and the patient", interactive=False, format="png"),
        gradio.Markdown(),
    ]


def draw(result: GroupPrediction) -> list[Any]:
    """Return the values of the output components."""
    changed = "".join(f"\n- {count:,} × {reason}" for reason, count in result.changed.items())
    return [result.probabilities, result.picture(), f"While reading:{changed}" if changed else ""]


def _made_up(name: str, values: dict[str, float]) -> str:
    """Return the events of an invented patient as CSV."""
    time = "2020-01-01T08:00:00"
    lines = ["subject_id,time,code,value,unit", f"{name},,SEX/F,,", f"{name},1955-03-01T00:00:00,MEDS_BIRTH,,"]
    lines += [f"{name},{time},SUPPORT/{code},{value}," for code, value in values.items()]
    lines += [f"{name},{time},{code},{values[key]},{unit}" for key, (code, unit) in LABS.items()]
    return "\n".join(lines) + "\n"
