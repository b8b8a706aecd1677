"""What each kind of FHIR R4 resource says happened to whom and when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..events import BIRTH, DEATH, VISIT, VISIT_END, Time
from ..findings import Findings
from ..people import ETHNICITY, RACE, SEX
from .elements import child, items, last_part, read_code, read_date, text
from .stream import Event

SEXES = {"female": "F", "male": "M"}
RACES = {"us-core-race": RACE, "us-core-ethnicity": ETHNICITY}
"""Extensions of a Patient, by the end of their address."""
VOID = ("entered-in-error", "cancelled", "not-done", "refuted")
"""Statuses of what did not happen."""

Resource = Mapping[str, Any]
Entries = Iterator[tuple[int, str | None, Resource]]
"""Number in the file, full address, resource."""


class Resources:
    """Turns resources into events, and notes in `findings` which it could not."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._kinds: dict[str, Callable[[Resource, str, int], Iterator[Event]]] = {
            "Patient": self._patient, "Observation": self._observation, "Encounter": self._encounter,
            "Condition": self._coded(("recordedDate", "onsetDateTime", "onsetPeriod")),
            "Procedure": self._coded(("performedDateTime", "performedPeriod")),
            "MedicationRequest": self._coded(("authoredOn",)),
            "MedicationStatement": self._coded(("effectiveDateTime", "effectivePeriod", "dateAsserted")),
            "MedicationAdministration": self._coded(("effectiveDateTime", "effectivePeriod")),
            "Immunization": self._coded(("occurrenceDateTime",)),
            "AllergyIntolerance": self._coded(("recordedDate", "onsetDateTime"), prefix="ALLERGY/"),
        }  # fmt: skip
        self._medications: dict[str, Any] = {}
        self._patients: dict[str, str] = {}
        self._place = ""

    def events(self, entries: Entries, *, file: str, stream: bool = False) -> Iterator[Event]:
        """Yield the events of a file's resources; a patient's address in a Bundle stands for their id.

        A Bundle's entries may refer to what stands behind them, so all are read first; NDJSON is a `stream`. A
        condition counts from when it was recorded, if that is said, as before nobody knew of it.
        """
        waiting = []
        for row, address, resource in entries:
            kind, own = resource["resourceType"], text(resource, "id")
            if kind == "Patient" and address:
                self._patients[last_part(address)] = own or last_part(address)
            if kind == "Medication":
                self._medications |= dict.fromkeys([own, last_part(address or own)], resource.get("code"))
            elif stream:
                yield from self._one(resource, file, row)
            else:
                waiting.append((resource, row))
        for resource, row in waiting:
            yield from self._one(resource, file, row)

    def _one(self, resource: Resource, file: str, row: int) -> Iterator[Event]:
        kind = resource["resourceType"]
        self._place = f"{file}, resource {row}" if file else f"resource {row}"
        if kind not in self._kinds:
            self._findings.add(f"{kind}: a resource of a kind that is not read", place=self._place)
        elif _void(resource):
            self._findings.add(f"{kind}: entered in error, or did not happen", place=self._place)
        else:
            yield from self._kinds[kind](resource, file, row)

    def _event(
        self, resource: Resource, file: str, row: int, code: str, time: Time | None, **more: Any
    ) -> Iterator[Event]:
        """Yield one event of the resource's patient; note where it names none."""
        if resource["resourceType"] == "Patient":
            subject = text(resource, "id")
        else:
            reference = child(resource, "subject") or child(resource, "patient")
            name = last_part(text(reference, "reference"))
            subject = self._patients.get(name, name)
        if not subject:
            self._findings.add(f"{resource['resourceType']}: names no patient", place=self._place)
            return
        yield Event(subject=subject, time=time, code=code, file=file, row=row, **more)

    def _patient(self, patient: Resource, file: str, row: int) -> Iterator[Event]:
        if sex := SEXES.get(text(patient, "gender")):
            yield from self._event(patient, file, row, SEX + sex, None)
        for extension in items(patient, "extension"):
            prefix = RACES.get(last_part(text(extension, "url")))
            for part in items(extension, "extension") if prefix else []:
                display = text(child(part, "valueCoding"), "display")
                if text(part, "url") == "ombCategory" and display:
                    yield from self._event(patient, file, row, f"{prefix}{display}", None)
        # the middle of a year or month: so the age is wrong by half of it at most
        for name, code, share in (("birthDate", BIRTH, 0.5), ("deceasedDateTime", DEATH, 1.0)):
            if (time := self._time(patient, (name,), share=share)) is not None:
                yield from self._event(patient, file, row, code, time)
        if patient.get("deceasedBoolean") is True:
            self._findings.add("Patient: died, but no date is given", place=self._place)

    def _observation(self, observation: Resource, file: str, row: int) -> Iterator[Event]:
        time = self._time(observation, ("effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued"))
        parts = [observation, *items(observation, "component")]
        if not _has_value(observation) and len(parts) > 1:
            parts = parts[1:]  # the code of a panel says nothing that its components do not
        for part in parts:
            code = read_code(part.get("code"))
            if code is None or time is None:
                self._without("Observation", code)
                continue
            value, unit, text, answer = self._value(part)
            code = f"{code}//{answer}" if answer else code
            yield from self._event(observation, file, row, code, time, value=value, unit=unit, text=text)

    def _value(self, part: Resource) -> tuple[float | None, str | None, str | None, str | None]:
        """Return an Observation's number, unit, text and coded answer, None for each that it lacks."""
        if quantity := child(part, "valueQuantity"):
            value = quantity.get("value")
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value), text(quantity, "code") or text(quantity, "unit") or None, None, None
            self._findings.add("Observation: value that is no number, taken as missing", place=self._place)
        for name in ("valueInteger", "valueBoolean"):
            if isinstance(part.get(name), int):
                return float(part[name]), None, None, None
        return None, None, text(part, "valueString") or None, read_code(part.get("valueCodeableConcept"))

    def _encounter(self, encounter: Resource, file: str, row: int) -> Iterator[Event]:
        period, kind = child(encounter, "period"), text(child(encounter, "class"), "code") or "unknown"
        if (start := self._time(period, ("start",))) is None:
            self._without("Encounter", kind)
            return
        yield from self._event(encounter, file, row, VISIT + kind, start)
        if (end := self._time(period, ("end",))) is not None:
            yield from self._event(encounter, file, row, VISIT_END, end)

    def _coded(self, times: tuple[str, ...], *, prefix: str = "") -> Callable[[Resource, str, int], Iterator[Event]]:
        """Return the reader of resources that are one code at one time."""

        def read(resource: Resource, file: str, row: int) -> Iterator[Event]:
            concept = resource.get("code") or resource.get("medicationCodeableConcept") or resource.get("vaccineCode")
            if reference := text(child(resource, "medicationReference"), "reference"):
                concept = concept or self._medication(resource, reference)
            code, time = read_code(concept), self._time(resource, times)
            if code is None or time is None:
                self._without(resource["resourceType"], code)
            else:
                yield from self._event(resource, file, row, prefix + code, time)

        return read

    def _medication(self, resource: Resource, reference: str) -> Any:
        """Return the code of a Medication that is contained in the resource, or stands in the same source."""
        for one in items(resource, "contained"):
            if reference == f"#{one.get('id')}":
                return one.get("code")
        return self._medications.get(last_part(reference))

    def _without(self, kind: str, code: str | None) -> None:
        missing = "a code of a code system" if code is None else "a time"
        self._findings.add(f"{kind}: without {missing}", place=self._place)

    def _time(self, resource: Resource, names: tuple[str, ...], *, share: float = 1.0) -> Time | None:
        """Return the first of the times that a resource has, None where it has none.

        Of a date that is a year or a month only, `share` says how much of it has passed: by default all, so that
        nothing seems known before it was.
        """
        for name in names:
            date = text(resource, name) or text(child(resource, name), "start")
            if not date:
                continue
            found = read_date(date, share)
            if found is None:
                self._findings.add(f"{name}: a date that is none", place=self._place)
                continue
            if len(date) < len("2024-01-01"):
                self._findings.add(f"{name}: only the year or the month is known", place=self._place)
            return found
        return None


def _void(resource: Resource) -> bool:
    verified = items(child(resource, "verificationStatus"), "coding")
    return text(resource, "status") in VOID or any(text(coding, "code") in VOID for coding in verified)


def _has_value(resource: Resource) -> bool:
    return any(name.startswith("value") for name in resource)
