"""What goes into the demo page and what comes out; the page itself is the same for every task."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from medhub.errors import InputError
from medhub.pictures import figures

from ..guide import GUIDE
from .results import RiskPrediction

HOURS = 48
# fmt: off
STEADY = {
    "HR": 82, "SysABP": 124, "DiasABP": 62, "MAP": 83, "RespRate": 16, "Temp": 37.0, "GCS": 15, "Urine": 110,
    "Creatinine": 0.9, "BUN": 15, "Lactate": 1.2, "WBC": 9.5, "Platelets": 230, "Na": 139, "K": 4.1, "HCO3": 25,
    "pH": 7.41,
}
WORSENING = {
    "HR": 30, "SysABP": -38, "DiasABP": -14, "MAP": -22, "RespRate": 10, "Temp": 1.4, "GCS": -9, "Urine": -90,
    "Creatinine": 2.1, "BUN": 45, "Lactate": 5.5, "WBC": 12, "Platelets": -130, "Na": 4, "K": 0.9, "HCO3": -9,
    "pH": -0.2,
}
LOINC = {"Creatinine": "LOINC/2160-0", "SysABP": "LOINC/8480-6"}
LABS = ("Creatinine", "BUN", "Lactate", "WBC", "Platelets", "Na", "K", "HCO3", "pH")
# fmt: on
"""Two invented patients in intensive care: what is measured of the one, and by how much the other ends beside it.

Some values also stand under their LOINC code, so that a model which knows no other has something to read.
"""


def inputs() -> list[Any]:
    """Return the components that a visitor fills in."""
    import gradio

    gradio.Markdown(GUIDE)
    return [
        gradio.File(label="Events of one patient", type="filepath"),
        gradio.Textbox(
            label="Index time",
            info="what came later is not looked at; empty: after the last event",
            placeholder="2024-05-31T14:30:00",
        ),
    ]


def raw(file: str | None, index: str | None) -> dict[str, Any]:
    """Turn the components' values into what the processor reads."""
    if not file:
        raise InputError("there is no record; upload a file of one patient's events")
    return {"events": Path(file), "index": (index or "").strip() or None}


def examples() -> dict[str, list[Any]]:
    """Return two invented patients in intensive care, as files in a temporary folder, one of them at two times."""
    folder = Path(tempfile.mkdtemp(prefix="medhub-examples-"))
    steady, worsening = folder / "steady.csv", folder / "worsening.csv"
    steady.write_text(_made_up(age=54, worse=0.0), encoding="utf-8")
    worsening.write_text(_made_up(age=79, worse=1.0), encoding="utf-8")
    return {
        "a steady patient, invented": [str(steady), ""],
        "a worsening patient, invented": [str(worsening), ""],
        "the same after eight hours": [str(worsening), "2020-01-01T16:00:00"],
    }


def outputs() -> list[Any]:
    """Return the components that show a result; the page adds the timeline."""
    import gradio

    return [
        gradio.HTML(),
        gradio.Markdown(),
    ]


def draw(result: RiskPrediction) -> list[Any]:
    """Return the values of the output components."""
    changed = "".join(f"\n- {count:,} × {reason}" for reason, count in result.changed.items())
    said = (
        f"Told for {result.index}, from {result.events:,} events of the {result.hours:g} hours before; "
        f"{result.unknown_events:,} of them have codes that the model does not know."
    )
    return [figures("Risk", result.probabilities), said + (f"\n\nWhile reading:{changed}" if changed else "")]


def _made_up(*, age: int, worse: float) -> str:
    """Return a CSV of a patient whose values drift from STEADY on: vital signs hourly, labs every eight hours."""
    random = np.random.default_rng(age)
    admitted = np.datetime64("2020-01-01T08:00")
    born = admitted - np.timedelta64(round(age * 365.25), "D")
    lines = ["subject_id,time,code,value,unit", "1,,SEX/F,,", "1,,ICU/medical,,", f"1,{born},MEDS_BIRTH,,"]
    lines.append(f"1,{admitted},VISIT/ICU,,")
    for hour in range(HOURS):
        for name, value in STEADY.items():
            if name in LABS and hour % 8:
                continue
            found = value + worse * WORSENING[name] * hour / HOURS + 0.02 * value * random.normal()
            codes = [f"PHYSIONET/{name}", *([LOINC[name]] if name in LOINC else [])]
            lines += [f"1,{admitted + np.timedelta64(hour, 'h')},{code},{found:.2f}," for code in codes]
    return "\n".join(lines) + "\n"
