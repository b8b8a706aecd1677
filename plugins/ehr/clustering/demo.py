"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from medhub.errors import InputError
from medhub.pictures import figures

from ..guide import GUIDE
from .results import GroupPrediction

# fmt: off
NAMES = ("temperature", "heart rate", "respiratory rate", "mean blood pressure", "white blood cells", "creatinine",
         "bilirubin", "albumin", "PaO2 to FiO2", "sodium", "coma score", "comorbidities", "diabetes", "dementia")
PATIENTS = {
    "septic":     (39.4, 128, 32, 58, 21.5, 2.9, 1.1, 2.3, 160, 134, 26, 1, 0, 0),
    "stable":     (36.6,  78, 20, 92,  8.1, 1.0, 0.6, 3.6, 330, 139,  0, 2, 0, 0),
    "diabetic":   (36.8,  86, 22, 96,  9.0, 1.6, 0.5, 3.2, 290, 138,  0, 4, 1, 0),
}
LABS = {"creatinine": ("LOINC/2160-0", "mg/dL"), "albumin": ("LOINC/1751-7", "g/dL")}
# fmt: on
"""Three invented patients of the kind that SUPPORT2 describes.

Two values also stand under their LOINC code, so that a model which knows no other has something to read.
"""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    gradio.Markdown(GUIDE)
    return [gradio.File(label="Events of one patient", type="filepath")]


def raw(file: str | None) -> Path:
    """Turn the uploaded file into what the processor reads."""
    if not file:
        raise InputError("there is no record; upload a file of one patient's events")
    return Path(file)


def examples() -> dict[str, list[Any]]:
    """Return invented patients, as files in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    rows = {}
    for name, values in PATIENTS.items():
        path = folder / f"{name}.csv"
        path.write_text(_made_up(name, dict(zip(NAMES, values, strict=True))), encoding="utf-8")
        rows[f"a {name} patient, invented"] = [str(path)]
    return rows


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds what put the patient into the group."""
    import gradio

    return [
        gradio.HTML(),
        gradio.Image(
            label="The groups, and the patient",
            interactive=False,
            format="png",
            buttons=["download", "fullscreen"],
            alt_text="Map of the groups with the patient as a cross, and in what the groups differ",
        ),
        gradio.Markdown(),
    ]


def draw(result: GroupPrediction) -> list[Any]:
    """Return the values of the output components."""
    changed = "".join(f"\n- {count:,} × {reason}" for reason, count in result.changed.items())
    return [
        figures("Probability of each group", result.probabilities),
        result.picture(),
        f"While reading:{changed}" if changed else "",
    ]


def _made_up(name: str, values: dict[str, float]) -> str:
    """Return the events of an invented patient as CSV."""
    time = "2020-01-01T08:00:00"
    lines = ["subject_id,time,code,value,unit", f"{name},,SEX/F,,", f"{name},1955-03-01T00:00:00,MEDS_BIRTH,,"]
    lines += [f"{name},{time},SUPPORT/{code},{value}," for code, value in values.items()]
    lines += [f"{name},{time},{code},{values[key]},{unit}" for key, (code, unit) in LABS.items()]
    return "\n".join(lines) + "\n"
