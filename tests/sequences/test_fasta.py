"""FASTA: every way in which files are written is read, and what is wrong is refused with record and line."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medhub.errors import InputError
from medhub.sequences.alphabets import DNA, PROTEIN
from medhub.sequences.fasta import Record, as_records, is_file, iterate_fasta, pasted, read_fasta, write_fasta

TEXT = ">p1 first protein\nMKVL\nEEAR\n\n>p2\nwqqp*\n"
RECORDS = [
    Record(name="p1", sequence="MKVLEEAR", description="first protein", line=1),
    Record(name="p2", sequence="WQQP", line=5),
]


@pytest.mark.parametrize("change", [str, lambda t: t.replace("\n", "\r\n"), lambda t: t.replace("\n", "\r"),
                                    lambda t: f"\ufeff{t}", lambda t: t.replace("MKVL", "MK VL\t")])  # fmt: skip
@pytest.mark.parametrize("kind", ["text", ".fasta", ".faa.gz", ".fa.bgz"])
def test_all_forms_are_read_alike(tmp_path, change, kind):
    text = change(TEXT)
    source = text
    if kind != "text":
        source = tmp_path / f"proteins{kind}"
        source.write_bytes(text.encode() if kind == ".fasta" else _bgzip(text.encode()))
    assert read_fasta(source, alphabet=PROTEIN) == RECORDS
    if kind != "text":
        assert read_fasta(str(source), alphabet=PROTEIN) == RECORDS


def test_real_bgzip_is_read(tmp_path):
    bgzf = pytest.importorskip("Bio.bgzf")
    path = tmp_path / "many.fasta.bgz"
    sequence = "ACGTTGCA" * 20_000  # more than one block of bgzip
    with bgzf.BgzfWriter(str(path)) as file:
        file.write(f">long\n{sequence}\n".encode())
    assert [record.sequence for record in read_fasta(path, alphabet=DNA)] == [sequence]


def test_a_bare_sequence_is_one_record():
    assert read_fasta("acg\nuuN", alphabet=DNA) == [Record(name="sequence", sequence="ACGUUN", line=1)]


def test_labels_are_read_as_they_stand():
    assert [record.sequence for record in read_fasta(">a\nhH-.*\n", alphabet=None)] == ["hH-.*"]


def test_gaps_are_kept_where_allowed():
    assert read_fasta(">a\nac-g.t\n", alphabet=DNA, gaps=True)[0].sequence == "AC-G.T"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no sequence"),
        (" \n\n", "holds no sequence"),
        (">a\nMK\n>b\n>c\nMK", "line 3: record 'b' is empty"),
        (">a\n*\n", "record 'a' is empty"),
        ("MK\n>a\nMK", "line 1: text before the first '>': 'MK'"),
        (">a\nMK\n>a x\nML", "line 3: a second record 'a'"),
        (">\nMK", "line 1: a record without a name"),
        (">a\nMK\n>b\nM-K", "record 'b' .line 3.: '-' at position 2 is a gap"),
        (">a\nM*K", r"record 'a' .line 1.: '\*' at position 2 is a stop"),
        (">a\n" + "ACGT" * 20, "record 'a' .line 1.: it looks like dna"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text, said):
    with pytest.raises(InputError, match=said):
        read_fasta(text, alphabet=PROTEIN)


def test_files_that_cannot_be_read_are_named(tmp_path):
    broken = tmp_path / "cut.fasta.gz"
    broken.write_bytes(gzip.compress(TEXT.encode())[:-12])
    binary = tmp_path / "binary.fa"
    binary.write_bytes(b">a\n\xff\xfe\xff")
    for path in (broken, binary, tmp_path / "absent.fasta", tmp_path):
        with pytest.raises(InputError, match=f"{path.name} cannot be read"):
            read_fasta(Path(path), alphabet=PROTEIN)
    with pytest.raises(InputError, match=r"absent\.fasta cannot be read: No such file"):
        read_fasta("absent.fasta", alphabet=PROTEIN)


def test_what_is_a_path_is_told_by_how_it_is_written():
    assert is_file("genes.fna.gz")
    assert is_file("folder/genes")
    assert is_file(Path("genes"))
    assert not is_file("ACGT")
    assert not is_file(">a/b.fasta\nACGT")


def test_records_come_one_at_a_time():
    records = iterate_fasta(">a\nMK\n>b\nM1\n", alphabet=PROTEIN)
    assert next(records).name == "a"
    with pytest.raises(InputError, match="record 'b'"):
        next(records)


def test_raw_inputs_of_every_kind_become_records():
    bio = pytest.importorskip("Bio.SeqRecord")
    seq = pytest.importorskip("Bio.Seq")
    wanted = Record(name="p", sequence="MKV")
    assert as_records(wanted, alphabet=PROTEIN) == [wanted]
    assert as_records(bio.SeqRecord(seq.Seq("mkv"), id="p"), alphabet=PROTEIN) == [wanted]
    for raw in (None, 3, "", object(), Record(name="p", sequence=""), Record(name="p", sequence="M1")):
        with pytest.raises(InputError):
            as_records(raw, alphabet=PROTEIN)


@given(
    st.dictionaries(st.text("abcXYZ019_|", min_size=1, max_size=8), st.text(PROTEIN.letters, min_size=1, max_size=150),
                    min_size=1, max_size=4)
)  # fmt: skip
def test_what_is_written_is_read_back_also_by_biopython(sequences):
    seqio = pytest.importorskip("Bio.SeqIO")
    text = write_fasta([Record(name=name, sequence=sequence) for name, sequence in sequences.items()])
    assert {record.name: record.sequence for record in read_fasta(text, alphabet=None)} == sequences
    assert {record.id: str(record.seq) for record in seqio.parse(io.StringIO(text), "fasta")} == sequences
    assert max(map(len, text.splitlines())) <= 60


def _bgzip(data: bytes) -> bytes:
    """Compress as bgzip does: block by block, each a gzip file of its own."""
    return b"".join(gzip.compress(data[start : start + 20]) for start in range(0, len(data), 20))


def test_what_is_pasted_is_fasta_and_never_a_path():
    assert pasted("ACGT", cure="paste one") == ">sequence\nACGT"
    assert pasted(">a\nACGT", cure="paste one") == ">a\nACGT"
    assert pasted("/etc/passwd", cure="paste one").startswith(">")
    for nothing in (None, " \n"):
        with pytest.raises(InputError, match="no sequence; paste one"):
            pasted(nothing, cure="paste one")
