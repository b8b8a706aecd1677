"""Units of clinical values: one spelling for each, and conversions between those that measure the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medhub.errors import InputError, suggest


@dataclass(frozen=True)
class Unit:
    """A unit by its UCUM spelling: `value * scale + offset` is the value in the dimension's first unit."""

    dimension: str
    scale: float
    offset: float = 0.0
    spellings: tuple[str, ...] = ()
    """Other ways in which it is written."""


UNITS: dict[str, Unit] = {
    "Cel": Unit("temperature", 1.0, 0.0, ("°C", "C", "degC", "deg C", "degree Celsius", "celsius")),
    "[degF]": Unit("temperature", 5 / 9, -160 / 9, ("°F", "F", "degF", "deg F", "degree Fahrenheit", "fahrenheit")),
    "K": Unit("temperature", 1.0, -273.15),
    "kg": Unit("mass", 1.0),
    "g": Unit("mass", 1e-3),
    "[lb_av]": Unit("mass", 0.45359237, 0.0, ("lb", "lbs", "pound", "pounds")),
    "cm": Unit("length", 1.0),
    "m": Unit("length", 100.0),
    "[in_i]": Unit("length", 2.54, 0.0, ("in", "inch", "inches")),
    "g/L": Unit("mass concentration", 1.0, 0.0, ("g/l",)),
    "g/dL": Unit("mass concentration", 10.0, 0.0, ("g/dl", "gm/dl", "gm/dL")),
    "mg/dL": Unit("mass concentration", 1e-2, 0.0, ("mg/dl", "mg%")),
    "mg/L": Unit("mass concentration", 1e-3, 0.0, ("mg/l",)),
    "ug/dL": Unit("mass concentration", 1e-5, 0.0, ("µg/dL", "μg/dL", "mcg/dL")),
    "mmol/L": Unit("amount concentration", 1e-3, 0.0, ("mmol/l",)),
    "umol/L": Unit("amount concentration", 1e-6, 0.0, ("µmol/L", "μmol/L", "umol/l")),
    "mm[Hg]": Unit("pressure", 1.0, 0.0, ("mmHg", "mm Hg")),
    "kPa": Unit("pressure", 7.500616827),
}

MOLAR_MASSES: dict[str, float] = {
    "LOINC/2345-7": 180.156, "LOINC/2339-0": 180.156,  # glucose
    "LOINC/2160-0": 113.12, "LOINC/38483-4": 113.12,  # creatinine
    "LOINC/2093-3": 386.65, "LOINC/2085-9": 386.65, "LOINC/18262-6": 386.65,  # cholesterol: all, HDL, LDL
    "LOINC/13457-7": 386.65,  # LDL cholesterol, calculated
    "LOINC/2571-8": 885.4,  # triglycerides, as triolein
    "LOINC/1975-2": 584.66,  # bilirubin
    "LOINC/17861-6": 40.078, "LOINC/49765-1": 40.078,  # calcium
    "LOINC/3094-0": 28.014, "LOINC/6299-2": 28.014,  # urea nitrogen: the two nitrogens of a urea
}  # fmt: skip
"""Grams a mole by code: without one, mass and amount are not converted into each other."""

_SPELT = {spelling: name for name, unit in UNITS.items() for spelling in (name, *unit.spellings)}


def spell(unit: str | None) -> str | None:
    """Return a unit in its one spelling; one that is not known stays as it is, without spaces around it.

    >>> spell("mg/dl"), spell("beats/min"), spell(" ")
    ('mg/dL', 'beats/min', None)
    """
    unit = (unit or "").strip()
    return _SPELT.get(unit, unit) or None


def conversion(
    unit: str, to: str, *, code: str, molar_masses: Mapping[str, float] = MOLAR_MASSES
) -> tuple[float, float]:
    """Return scale and offset so that `value * scale + offset` turns values of a code from one unit into another.

    Raises InputError where a unit is not known, the two do not measure the same, or one is a mass and the other an
    amount and the code has no molar mass.
    """
    unit, to = spell(unit) or "", spell(to) or ""
    if unit == to:
        return 1.0, 0.0
    for name in (unit, to):
        if name not in UNITS:
            raise InputError(f"{code}: {unit!r} cannot be turned into {to!r}: {name!r} is no known unit"
                             f"{suggest(name, UNITS)} Give the values in one unit")  # fmt: skip
    source, target = UNITS[unit], UNITS[to]
    scale, offset = source.scale / target.scale, (source.offset - target.offset) / target.scale
    if source.dimension == target.dimension:
        return scale, offset
    if {source.dimension, target.dimension} != {"mass concentration", "amount concentration"}:
        raise InputError(
            f"{code}: {unit} is a {source.dimension}, {to} a {target.dimension}; give the values in one unit"
        )
    if code not in molar_masses:
        raise InputError(f"{code}: {unit} cannot be turned into {to} without its molar mass; give them in one unit")
    mass = molar_masses[code]
    return (scale / mass, 0.0) if source.dimension == "mass concentration" else (scale * mass, 0.0)
