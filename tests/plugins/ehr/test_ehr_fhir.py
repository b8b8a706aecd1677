"""FHIR: bundles, NDJSON and folders say the same, and what they do not say is counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from medhub.errors import InputError
from medhub.plugins.ehr.events import EventTable
from medhub.plugins.ehr.readers import read_events

NOW = np.datetime64("2026-01-01", "us")


def events(table: EventTable) -> list[tuple]:
    """Return (patient's id, time, code, value, unit) of every event."""
    return [
        (
            table.name(record),
            None if np.isnat(time) else str(time)[:16],
            code,
            None if np.isnan(value) else float(value),
            unit,
        )
        for record in table
        for time, code, value, unit in zip(record.times, record.codes, record.values, record.units, strict=True)
    ]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def quantity(value, unit="mg/dL"):
    return {"value": value, "unit": unit, "code": unit}


def loinc(code):
    return {"coding": [{"system": "urn:own", "code": "x"}, {"system": "http://loinc.org", "code": code}]}


PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "gender": "female",
    "birthDate": "1950-06",
    "deceasedBoolean": True,
    "extension": [
        {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [
                {"url": "ombCategory", "valueCoding": {"display": "Asian"}},
                {"url": "text", "valueString": "x"},
            ],
        }
    ],
}
ME = {"reference": "Patient/p1"}
RESOURCES = [
    PATIENT,
    {
        "resourceType": "Encounter",
        "subject": ME,
        "class": {"code": "AMB"},
        "period": {"start": "2020-01-01T08:00:00+01:00", "end": "2020-01-01T09:00:00+01:00"},
    },
    {
        "resourceType": "Observation",
        "subject": ME,
        "code": loinc("2345-7"),
        "effectiveDateTime": "2020-01-01T07:30:00Z",
        "valueQuantity": quantity(95),
    },
    {
        "resourceType": "Observation",
        "subject": ME,
        "code": loinc("85354-9"),
        "effectiveDateTime": "2020-01-02",
        "component": [
            {"code": loinc("8480-6"), "valueQuantity": quantity(130, "mm[Hg]")},
            {"code": loinc("8462-4"), "valueQuantity": quantity(80, "mm[Hg]")},
        ],
    },
    {
        "resourceType": "Observation",
        "subject": ME,
        "code": loinc("72166-2"),
        "effectiveDateTime": "2020-01-03",
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "266919005"}]},
    },
    {
        "resourceType": "Observation",
        "subject": ME,
        "code": loinc("2345-7"),
        "effectiveDateTime": "2020",
        "valueQuantity": {"value": "high"},
    },
    {
        "resourceType": "Observation",
        "status": "entered-in-error",
        "subject": ME,
        "code": loinc("1"),
        "effectiveDateTime": "2020-01-01",
    },
    {"resourceType": "Observation", "subject": ME, "code": {"text": "only words"}, "effectiveDateTime": "2020-01-01"},
    {
        "resourceType": "Condition",
        "subject": ME,
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]},
        "onsetDateTime": "2010-01-01",
        "recordedDate": "2020-01-04",
    },
    {
        "resourceType": "MedicationRequest",
        "subject": ME,
        "medicationReference": {"reference": "#m"},
        "authoredOn": "2020-01-05",
        "contained": [
            {
                "resourceType": "Medication",
                "id": "m",
                "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]},
            }
        ],
    },
    {
        "resourceType": "Immunization",
        "patient": ME,
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}]},
        "occurrenceDateTime": "2020-13-01",
    },
    {
        "resourceType": "AllergyIntolerance",
        "patient": ME,
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "91935009"}]},
        "recordedDate": "2020-01-06",
    },
    {
        "resourceType": "Procedure",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
        "performedDateTime": "2020-01-06",
    },
    {"resourceType": "Claim", "patient": ME},
]
FHIR_EVENTS = [
    ("p1", None, "SEX/F", None, None),
    ("p1", None, "RACE/Asian", None, None),
    ("p1", "1950-06-16T00:00", "MEDS_BIRTH", None, None),
    ("p1", "2020-01-01T07:00", "VISIT/AMB", None, None),
    ("p1", "2020-01-01T07:30", "LOINC/2345-7", 95.0, "mg/dL"),
    ("p1", "2020-01-01T08:00", "VISIT_END", None, None),
    ("p1", "2020-01-02T00:00", "LOINC/8480-6", 130.0, "mm[Hg]"),
    ("p1", "2020-01-02T00:00", "LOINC/8462-4", 80.0, "mm[Hg]"),
    ("p1", "2020-01-03T00:00", "LOINC/72166-2//SNOMED/266919005", None, None),
    ("p1", "2020-01-04T00:00", "ICD10CM/E11.9", None, None),
    ("p1", "2020-01-05T00:00", "RxNorm/860975", None, None),
    ("p1", "2020-01-06T00:00", "ALLERGY/SNOMED/91935009", None, None),
    ("p1", "2020-12-31T00:00", "LOINC/2345-7", None, None),
]
FHIR_COUNTS = {
    "birthDate: only the year or the month is known": 1,
    "Patient: died, but no date is given": 1,
    "Observation: value that is no number, taken as missing": 1,
    "effectiveDateTime: only the year or the month is known": 1,
    "Observation: entered in error, or did not happen": 1,
    "Observation: without a code of a code system": 1,
    "occurrenceDateTime: a date that is none": 1,
    "Immunization: without a time": 1,
    "Procedure: names no patient": 1,
    "Claim: a resource of a kind that is not read": 1,
}


def test_fhir_is_read_from_bundles_ndjson_folders_and_memory(tmp_path):
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in RESOURCES],
    }
    write(tmp_path / "bundle.json", json.dumps(bundle))
    write(tmp_path / "all.ndjson.gz", "\n".join(map(json.dumps, RESOURCES)) + "\n\n")
    for kind in dict.fromkeys(resource["resourceType"] for resource in RESOURCES):
        mine = [json.dumps(resource) for resource in RESOURCES if resource["resourceType"] == kind]
        write(tmp_path / "bulk" / f"{kind}.ndjson", "\n".join(mine))
    for source in (bundle, tmp_path / "bundle.json", tmp_path / "all.ndjson.gz", tmp_path / "bulk"):
        found = read_events(source, now=NOW)
        assert sorted(events(found), key=str) == sorted(FHIR_EVENTS, key=str)
        assert {k: v for k, v in found.findings.counts.items() if "sorted" not in k} == FHIR_COUNTS
    assert [event[2] for event in events(read_events(bundle, now=NOW))] == [event[2] for event in FHIR_EVENTS]


def test_addresses_within_a_bundle_are_followed():
    medication = {
        "resourceType": "Medication",
        "code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "A10BA02"}]},
    }
    statement = {
        "resourceType": "MedicationStatement",
        "subject": {"reference": "urn:uuid:aa-1"},
        "medicationReference": {"reference": "urn:uuid:bb-2"},
        "effectivePeriod": {"start": "2020-01-01"},
    }
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": statement},
            {"fullUrl": "urn:uuid:bb-2", "resource": medication},
            {"fullUrl": "urn:uuid:aa-1", "resource": {"resourceType": "Patient", "id": "p9", "gender": "male"}},
        ],
    }
    assert events(read_events(bundle)) == [
        ("p9", None, "SEX/M", None, None),
        ("p9", "2020-01-01T00:00", "ATC/A10BA02", None, None),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "a.json is not JSON"),
        ("a.json", "[]", "a.json is no FHIR: it has no resourceType"),
        ("a.json", '{"resourceType": "Bundle", "entry": [{"resource": {}}]}', "a.json, entry 1: there is no resource"),
        ("a.json", '{"resourceType": "Bundle", "entry": {}}', "entry of the Bundle is no list"),
        ("a.json", '{"resourceType": "Bundle"}', "holds no event that can be used"),
        ("a.ndjson", '{"resourceType": "Patient"}\n{"a"', "a.ndjson, line 2 is not JSON"),
        ("a.ndjson", '{"resourceType": "Claim"}', "1  Claim: a resource of a kind that is not read"),
    ],
)
def test_what_is_wrong_with_fhir_is_said(tmp_path, name, text, said):
    with pytest.raises(InputError, match=said):
        read_events(write(tmp_path / name, text))


def places(value, at=()):
    """Yield the way to everything that stands in a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


@pytest.mark.parametrize("junk", [None, 3, "x", ["x"], {"x": 3}], ids=repr)
def test_whatever_stands_in_the_place_of_something_else_the_rest_is_read(junk):
    for way in [way for way in places(RESOURCES) if len(way) > 1]:
        resources = json.loads(json.dumps(RESOURCES))
        inner = resources
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = junk
        bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}
        if not isinstance(resources[way[0]].get("resourceType"), str):
            with pytest.raises(InputError, match="no resource with a resourceType"):
                read_events(bundle, now=NOW)
        else:
            assert len(events(read_events(bundle, now=NOW))) > 5, way
