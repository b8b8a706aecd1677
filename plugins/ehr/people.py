"""Who a patient is, as far as subgroups need it: sex, age and ethnicity, read from a record."""

from __future__ import annotations

import numpy as np

from medhub.errors import InputError

from .events import BIRTH, Record, Time

SEX, RACE, ETHNICITY = "SEX/", "RACE/", "ETHNICITY/"
"""What the codes of static events begin with that say these; the sexes are SEX/F and SEX/M."""
BANDS = (18, 40, 55, 65, 75, 85)
"""Ages, in years, at which a band of the subgroup tables begins."""
YEAR = np.timedelta64(31_556_952, "s")
"""The mean year of the calendar, 365.2425 days."""


def age(record: Record, at: Time) -> float | None:
    """Return the age in years at a moment; None where the birth is unknown.

    Raises InputError where the moment is before the day of birth.
    """
    birth = record.first(BIRTH)
    if birth is None:
        return None
    if at.astype("datetime64[D]") < birth.astype("datetime64[D]"):
        raise InputError("the age would be negative: the time is before the day of birth; correct one of the two")
    return max(float((at - birth) / YEAR), 0.0)


def age_band(record: Record, at: Time) -> str:
    """Return the band that the age at a moment falls into: "65-74"; "unknown" without a birth."""
    years = age(record, at)
    if years is None:
        return "unknown"
    place = int(np.searchsorted(BANDS, years, side="right"))
    if place == 0:
        return f"under {BANDS[0]}"
    return f"{BANDS[-1]} and over" if place == len(BANDS) else f"{BANDS[place - 1]}-{BANDS[place] - 1}"


def said(record: Record, what: str) -> str:
    """Return what a record says of SEX, RACE or ETHNICITY, without the prefix; "unknown" where it says nothing."""
    return next((code.removeprefix(what) for code in record.codes if code.startswith(what)), "unknown")
