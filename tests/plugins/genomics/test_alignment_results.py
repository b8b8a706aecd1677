"""What an alignment returns, and that other programs read back what is written."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import medhub
from medhub.errors import InputError
from medhub.plugins.genomics.alignment import demo
from medhub.plugins.genomics.alignment.config import SequenceAlignmentConfig
from medhub.plugins.genomics.alignment.data import synthetic
from medhub.plugins.genomics.alignment.model import SequenceAlignmentModel
from medhub.plugins.genomics.alignment.pairing import Pairing
from medhub.plugins.genomics.alignment.processing import SequenceAlignmentProcessor
from medhub.plugins.genomics.alignment.reading import SequencePair
from medhub.plugins.genomics.alignment.results import AlignmentPrediction
from medhub.plugins.genomics.alignment.writing import text
from medhub.predictor import Predictor
from medhub.sequences.fasta import Record

PAIR = SequencePair(first=Record(name="one", sequence="MKVLEERRK"), second=Record(name="other", sequence="AMRVLERKWW"))
COLUMNS = {0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 6: 6, 8: 7}


def answer(*, local: bool = False, pair: SequencePair = PAIR, columns: dict[int, int] = COLUMNS) -> AlignmentPrediction:
    """Return the result of an alignment whose columns are known, the confidence rising along it."""
    partners = np.array([columns.get(place, -1) for place in range(len(pair.first.sequence))])
    confidence = np.where(partners >= 0, np.linspace(0.05, 1, len(partners)), 0)
    pairing = Pairing(partners=partners, posteriors=confidence, confidence=confidence, score=12.3)
    return AlignmentPrediction.from_pairing(pair, pairing, local=local, alphabet="protein")


def predictor(mode: str = "global") -> Predictor:
    config = SequenceAlignmentConfig.tiny(mode=mode, id2label={0: "aligned"}, label2id={"aligned": 0})
    torch.manual_seed(0)
    processor = SequenceAlignmentProcessor.fit(synthetic(2).rows, config)
    return Predictor(medhub.get("genomics/alignment"), SequenceAlignmentModel(config), processor, device="cpu")


def test_a_global_alignment_has_all_residues_and_a_local_one_its_region() -> None:
    whole, part = answer(), answer(local=True)
    assert (whole.first.text, whole.second.text) == ("-MKVLEERRK--", "AMRVLE-R-KWW")
    assert (part.first.text, part.second.text) == ("MKVLEERRK", "MRVLE-R-K")
    assert (part.first.start, part.second.start, part.second.end) == (0, 1, 8)
    assert whole.cigar == "1D5M1I1M1I1M2D"
    assert part.cigar == "5M1I1M1I1M"
    assert whole.identity == part.identity == pytest.approx(6 / 7)
    assert [value is None for value in part.confidence] == [letter == "-" for letter in part.second.text]
    assert part.confidence[-1] == pytest.approx(1.0)


def test_a_result_turns_into_json() -> None:
    record = json.loads(answer().to_json())
    assert record["first"]["text"] == "-MKVLEERRK--"
    assert record["cigar"] == "1D5M1I1M1I1M2D"
    assert record["confidence"][0] is None
    assert record["identity"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(("ending", "kind"), [(".sto", "stockholm"), (".aln", "clustal"), (".fasta", "fasta")])
def test_biopython_reads_the_same_alignment_back(tmp_path: Path, local: bool, ending: str, kind: str) -> None:
    from Bio import AlignIO

    long = SequencePair(
        first=Record(name="a_name_of_more_than_thirty_letters_in_all", sequence="MKVLEERRK" * 20),
        second=Record(name="b", sequence="AMRVLERKWW" * 20),
    )
    for result in (answer(local=local), answer(local=local, pair=long, columns={n: n + 3 for n in range(10, 150)})):
        path = result.save(tmp_path / f"pair{ending}")
        records = [*AlignIO.read(path, kind)]
        assert [record.id for record in records] == [result.first.name, result.second.name]
        assert [str(record.seq) for record in records] == [result.first.text, result.second.text]


def test_stockholm_bears_the_confidence(tmp_path: Path) -> None:
    from Bio import AlignIO

    alignment = AlignIO.read(answer(local=True).save(tmp_path / "pair.sto"), "stockholm")
    # biopython files HMMER's PP_cons under the annotations of columns where it knows the mark
    line = next(line for line in (tmp_path / "pair.sto").read_text().splitlines() if "PP_cons" in line)
    assert line.split()[-1] == "12345.8.*"
    assert alignment.get_alignment_length() == 9


def test_biopython_reads_the_cigar_of_a_paf_line_as_the_same_columns(tmp_path: Path) -> None:
    from Bio import Align

    result = answer()
    fields = result.save(tmp_path / "pair.paf").read_text().rstrip("\n").split("\t")
    assert fields[:12] == ["one", "9", "0", "9", "+", "other", "10", "1", "8", "6", "9", "255"]
    assert fields[12] == "AS:i:12"
    cigar = fields[-1].removeprefix("cg:Z:")
    assert cigar == "5M1I1M1I1M"
    start, end = int(fields[7]), int(fields[8])
    sam = "\n".join([
        "@HD\tVN:1.6", "@SQ\tSN:other\tLN:10",
        "\t".join(["one", "0", "other", str(start + 1), "255", cigar, "*", "0", "0", PAIR.first.sequence, "*"]), "",
    ])  # fmt: skip
    (alignment,) = Align.parse(StringIO(sam), "sam")
    found = {int(i): int(j) for j, i in zip(*alignment.indices, strict=True) if min(i, j) >= 0}
    assert found == COLUMNS
    assert max(found.values()) < end


def test_text_for_people_shows_numbers_marks_and_confidence() -> None:
    assert text(answer(local=True)).splitlines()[2:] == [
        "one        1 MKVLEERRK 9",
        "             |:||| | |",
        "other      2 MRVLE-R-K 8",
        "confidence   01245 7 9",
    ]
    long = SequencePair(first=Record(name="a", sequence="MKVLEERRKD" * 7), second=Record(name="b", sequence="M" * 70))
    lines = text(answer(pair=long, columns={n: n for n in range(70)})).splitlines()
    assert lines[2].endswith(" 60")
    assert lines[7].split()[:2] == ["a", "61"]
    assert lines[7].endswith(" 70")


def test_names_that_are_alike_are_told_apart(tmp_path: Path) -> None:
    twins = SequencePair(first=Record(name="x", sequence="MK"), second=Record(name="x", sequence="MK"))
    written = answer(pair=twins, columns={0: 0, 1: 1}).save(tmp_path / "x.fasta").read_text()
    assert written == ">x_1\nMK\n>x_2\nMK\n"


def test_a_local_alignment_of_nothing_is_said_to_be_none(tmp_path: Path) -> None:
    nothing = answer(local=True, columns={})
    assert "nothing of them belongs together" in nothing.title()
    assert nothing.bars() == {"aligned": 0.0}
    assert nothing.cigar == ""
    with pytest.raises(InputError, match="no alignment to write"):
        nothing.save(tmp_path / "none.sto")
    assert nothing.save(tmp_path / "none.png").is_file()


def test_pictures_are_drawn(tmp_path: Path) -> None:
    long = SequencePair(
        first=Record(name="a", sequence="MKVLEERRKD" * 300), second=Record(name="b", sequence="MK" * 1500)
    )
    picture = answer(pair=long, columns={n: n for n in range(3000)}).picture()
    assert picture.height < 4000, "very long alignments are cut"
    small = answer().picture()
    colours = {colour for _, colour in small.convert("RGB").getcolors(100_000)}
    assert {(0x74, 0xA3, 0xCC), (0xE6, 0xED, 0xF5)} <= colours


@pytest.mark.parametrize("mode", ["global", "local"])
def test_prediction_from_raw_sequences(tmp_path: Path, mode: str) -> None:
    result = predictor(mode).predict(demo.HAEMOGLOBINS, explain=True)
    assert result.input == "haemoglobin_alpha and myoglobin"
    assert 0.2 < result.identity < 0.35
    assert result.score > 30
    assert result.explanation is not None
    assert result.explanation.values.shape == (142, 154)
    assert result.explanation.values.max() <= 1 + 1e-5
    for kind in (".txt", ".sto", ".aln", ".paf", ".fasta", ".json", ".png"):
        assert result.save(tmp_path / f"result{kind}").stat().st_size > 0
    with Image.open(tmp_path / "result.png") as picture:
        assert picture.height > 400


def test_a_file_of_many_records_gives_a_result_a_pair() -> None:
    four = demo.HAEMOGLOBINS + ">a\nMKVLEERRK\n>b\nMRVLERK\n"
    results = predictor().predict(four)
    assert [result.input for result in results] == ["haemoglobin_alpha and myoglobin", "a and b"]
    (alone,) = predictor().predict([{"first": "MKVLEERRK", "second": "MRVLERK"}])
    assert alone.first.text == results[1].first.text
    np.testing.assert_allclose(
        [v for v in alone.confidence if v is not None], [v for v in results[1].confidence if v is not None], atol=1e-5
    )


def test_demo_takes_text_or_a_file_and_no_path() -> None:
    assert demo.raw(">a\nMK\n>b\nMK\n", None).startswith(">a")
    assert demo.raw("", "/tmp/x.fasta") == Path("/tmp/x.fasta")
    for text_of_visitor in ("", None, "/etc/passwd", "MKV"):
        with pytest.raises(InputError, match="two sequences as FASTA"):
            demo.raw(text_of_visitor, None)
    result = predictor().predict([*demo.examples().values()][1][0])
    picture, summary, shown = demo.draw(result)
    assert picture.width > 100
    assert summary[3][1] == result.cigar
    assert result.first.name in shown
