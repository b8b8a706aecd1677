"""OMOP's common data model (5.3 and 5.4): a folder of its tables as CSV, or TSV as OHDSI's vocabularies come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..events import BIRTH, DEATH, VISIT, VISIT_END
from ..findings import Findings
from ..people import ETHNICITY, RACE, SEX
from .concepts import Concepts, read_numbers, read_table
from .delimited import need
from .stream import Stream, Subjects, parse_times, placed

SEXES = {"8507": "M", "8532": "F"}
"""OMOP's concepts of gender."""


@dataclass(frozen=True, kw_only=True)
class Clinical:
    """A table whose rows are events: columns are named `<stem>_concept_id` and `<time>_date`, `<time>_datetime`."""

    stem: str
    time: str
    values: bool = False
    """Whether it has value_as_number and a unit."""


CLINICAL = {
    "condition_occurrence": Clinical(stem="condition", time="condition_start"),
    "drug_exposure": Clinical(stem="drug", time="drug_exposure_start"),
    "procedure_occurrence": Clinical(stem="procedure", time="procedure"),
    "measurement": Clinical(stem="measurement", time="measurement", values=True),
    "observation": Clinical(stem="observation", time="observation", values=True),
}
TABLES = ("person", "concept", "visit_occurrence", *CLINICAL, "death")


def find_tables(folder: Path) -> dict[str, Path]:
    """Return the tables of OMOP in a folder by their names in lower case; empty where there is no PERSON."""
    found = {}
    for path in sorted(folder.iterdir()):
        name = path.name.lower().removesuffix(".gz")
        if name.endswith((".csv", ".tsv")) and name[:-4] in TABLES:
            found[name[:-4]] = path
    return found if "person" in found else {}


def stream_omop(tables: Mapping[str, Path], *, title: str) -> Stream:
    """Return the events of OMOP tables by their names in lower case; only `person` must be there.

    A code is "VOCABULARY/concept_code" where CONCEPT has the concept, else "OMOP/concept_id"; an event without a
    concept (0) is "SOURCE/source_value". Visits give VISIT/ and VISIT_END.
    """
    subjects, findings = Subjects(), Findings()
    batches = _all(tables, subjects, findings)
    return Stream(title=title, batches=batches, subjects=subjects, findings=findings)


def _all(tables: Mapping[str, Path], subjects: Subjects, findings: Findings) -> Iterator[pa.Table]:
    """Yield every table's events: a visit's start before what happens in it, its end behind it."""
    concepts = Concepts(tables.get("concept"))
    for row, block in read_table(tables["person"], ("person_id", "gender_concept_id", "year_of_birth")):
        yield from _people(block, row, tables["person"].name, concepts, subjects)
    if path := tables.get("visit_occurrence"):
        for row, block in read_table(path, ("person_id", "visit_concept_id")):
            codes = pc.binary_join_element_wise(VISIT, concepts.codes(block, "visit"), "")
            yield _events(block, row, path.name, subjects, codes=codes, time="visit_start")
    for name, clinical in CLINICAL.items():
        if path := tables.get(name):
            for row, block in read_table(path, ("person_id", f"{clinical.stem}_concept_id")):
                yield _clinical(block, row, path.name, clinical, concepts, subjects)
    if path := tables.get("visit_occurrence"):
        for row, block in read_table(path, ("person_id",)):
            codes = pa.repeat(VISIT_END, len(block))
            ends = _events(block, row, path.name, subjects, codes=codes, time="visit_end")
            yield ends.filter(ends["time"].is_valid())
    if path := tables.get("death"):
        for row, block in read_table(path, ("person_id",)):
            deaths = _events(block, row, path.name, subjects, codes=pa.repeat(DEATH, len(block)), time="death")
            findings.add("death without a date", deaths["time"].null_count, place=f"{path.name}, row {row} or later")
            yield deaths.filter(deaths["time"].is_valid())


def _people(block: pa.Table, row: int, file: str, concepts: Concepts, subjects: Subjects) -> Iterator[pa.Table]:
    """Yield births, with the first of July or of the month where only the year or the month is known, and statics."""
    person = subjects.number(block["person_id"].combine_chunks())
    texts = []
    for values in block.select([n for n in _BIRTH if n in block.column_names]).to_pylist():
        texts.append(_birth(values))
    times = parse_times(pa.array(texts, pa.string()), column="birth", file=file, rows=range(row, row + len(block)))
    births = placed(
        {"subject_id": person, "time": times, "code": pa.repeat(BIRTH, len(block))}, file=file, first_row=row
    )
    yield births.filter(births["time"].is_valid())
    sexes = [SEXES.get(id) for id in block["gender_concept_id"].to_pylist()]
    said = {SEX: pa.array(sexes, pa.string())}
    for prefix, name in ((RACE, "race"), (ETHNICITY, "ethnicity")):
        if f"{name}_concept_id" in block.column_names:
            found = concepts.names(block[f"{name}_concept_id"])
            if f"{name}_source_value" in block.column_names:
                source = block[f"{name}_source_value"]
                found = pc.coalesce(found, pc.if_else(pc.equal(source, ""), None, source))
            said[prefix] = found.combine_chunks()
    for prefix, words in said.items():
        codes = pc.binary_join_element_wise(prefix, words.fill_null(""), "")
        static = placed({"subject_id": person, "code": codes}, file=file, first_row=row)
        yield static.filter(words.is_valid())


_BIRTH = ("birth_datetime", "year_of_birth", "month_of_birth", "day_of_birth")


def _birth(values: Mapping[str, str]) -> str:
    """Return a birth as ISO 8601, "" where unknown: the year is the least that a PERSON must say."""
    if values.get("birth_datetime"):
        return values["birth_datetime"]
    if not (year := values["year_of_birth"]):
        return ""
    month, day = values.get("month_of_birth") or "", values.get("day_of_birth") or "1"
    return f"{year}-{month.zfill(2)}-{day.zfill(2)}" if month else f"{year}-07-01"


def _clinical(
    block: pa.Table, row: int, file: str, clinical: Clinical, concepts: Concepts, subjects: Subjects
) -> pa.Table:
    """Return the events of a clinical table's block."""
    more: dict[str, Any] = {}
    if clinical.values and "value_as_number" in block.column_names:
        more["numeric_value"] = read_numbers(block["value_as_number"], file, row, kind=pa.float32())
    if clinical.values and "unit_concept_id" in block.column_names:
        units = concepts.plain(block["unit_concept_id"])
        if "unit_source_value" in block.column_names:
            units = pc.coalesce(units, block["unit_source_value"])
        more["unit"] = pc.if_else(pc.equal(units, ""), None, units)
    codes = concepts.codes(block, clinical.stem)
    return _events(block, row, file, subjects, codes=codes, time=clinical.time, **more)


def _events(
    block: pa.Table, row: int, file: str, subjects: Subjects, *, codes: Any, time: str, **more: Any
) -> pa.Table:
    """Return a block's rows as events at `<time>_datetime`, or at `<time>_date` where that is not given."""
    need(block.column_names, [f"{time}_date"], file=file)
    texts = block[f"{time}_date"]
    if f"{time}_datetime" in block.column_names:
        precise = block[f"{time}_datetime"]
        texts = pc.if_else(pc.equal(precise, ""), texts, precise)
    rows = range(row, row + len(block))
    times = parse_times(texts, column=time, file=file, rows=rows)
    person = subjects.number(block["person_id"].combine_chunks())
    return placed({"subject_id": person, "time": times, "code": codes, **more}, file=file, first_row=row)
