"""FHIR R4's elements: dates of any precision, codes of code systems, references."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ..events import Time

SYSTEMS = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD10PCS",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://www.ama-assn.org/go/cpt": "CPT4",
    "http://www.whocc.no/atc": "ATC",
    "http://terminology.hl7.org/CodeSystem/v3-ActCode": "ActCode",
}
"""Short names of code systems, as OMOP has them; of an address that is not here the last part is taken."""
DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?)?)?$")


def read_date(date: str, share: float) -> Time | None:
    """Return a FHIR date or dateTime as UTC, None for what is none."""
    match = DATE.match(date)
    if match is None:
        return None
    year, month, day, clock, zone = match.groups()
    try:
        if clock:
            moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
            return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None) if zone else moment, "us")
        start = datetime(int(year), int(month or 1), int(day or 1))
    except ValueError:  # a thirteenth month
        return None
    if day:
        return np.datetime64(start, "us")
    end = datetime(start.year + (not month or month == "12"), start.month % 12 + 1 if month else 1, 1)
    return np.datetime64(start + timedelta(days=int((end - start).days * share) - (share == 1.0)), "us")


def read_code(concept: Any) -> str | None:
    """Return "VOCABULARY/code" of a CodeableConcept: the first coding of a known system, else the first of any."""
    codings = items(concept, "coding")
    found = [(text(coding, "system"), text(coding, "code")) for coding in codings]
    found = [(system, code) for system, code in found if system and code]
    if not found:
        return None
    system, code = next(((system, code) for system, code in found if system in SYSTEMS), found[0])
    return f"{SYSTEMS.get(system) or last_part(system)}/{code}"


def last_part(address: str) -> str:
    """Return the last part of an address or a reference: of "Patient/12" and of "urn:uuid:12" it is "12"."""
    return re.split(r"[/:]", address.rstrip("/"))[-1]


def items(element: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the objects of an element's list, none where there is no list."""
    value = element.get(name) if isinstance(element, Mapping) else None
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def child(element: Any, name: str) -> Mapping[str, Any]:
    """Return an object within an element, an empty one where there is none."""
    value = element.get(name) if isinstance(element, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text(element: Any, name: str) -> str:
    """Return a string within an element, "" where there is none."""
    value = element.get(name) if isinstance(element, Mapping) else None
    return value if isinstance(value, str) else ""
