"""Variants: read from VCFs, normalised, checked against the reference, and scored."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import medhub
from medhub.errors import InputError
from medhub.plugins.genomics.classification.config import SequenceClassificationConfig
from medhub.plugins.genomics.classification.model import SequenceClassificationModel
from medhub.plugins.genomics.classification.processing import SequenceClassificationProcessor
from medhub.plugins.genomics.classification.results import VariantPrediction
from medhub.plugins.genomics.classification.variants import Variant, normalise, read_variants
from medhub.predictor import Predictor

#              1         11        21        31
REFERENCE = "GGGCACACACAGGGTTTTTTACGATCGATCGCTAGCTAGG"
HEADER = "##fileformat=VCFv4.2\n##reference=ref.fasta\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a reference of two chromosomes, one of them soft-masked."""
    (tmp_path / "ref.fasta").write_text(f">chr1 first\n{REFERENCE[:20]}\n{REFERENCE[20:]}\n>chr2\nacgtacgt\n")
    return tmp_path


def write_vcf(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "a.vcf"
    path.write_text(header + "".join("\t".join(line.split()) + "\t.\t.\t.\n" for line in lines))
    return path


def alleles(entry: Variant | InputError) -> tuple[str, int, str, str]:
    assert isinstance(entry, Variant), entry
    return entry.chromosome, entry.position, entry.reference, entry.alternative


# -- normalisation --


# the same deletion of one CA out of GGGCACACACAGGG, written in all the ways of Tan et al. 2015, figure 1
@pytest.mark.parametrize(
    ("position", "reference", "alternative"),
    [(6, "CAC", "C"), (3, "GCACA", "GCA"), (2, "GGCA", "GG"), (9, "ACA", "A"), (3, "GCA", "G"), (8, "CAC", "C")],
)
def test_a_deletion_in_a_repeat_has_one_form_however_it_is_written(position, reference, alternative):
    assert REFERENCE[position - 1 :].startswith(reference)
    assert normalise(position, reference, alternative, sequence=REFERENCE) == (3, "GCA", "G")


def test_changes_of_one_letter_are_trimmed_on_both_sides():
    assert normalise(21, "ACGA", "ACTA", sequence=REFERENCE) == (23, "G", "T")


def test_an_insertion_at_the_very_start_keeps_the_letter_behind_it():
    assert normalise(1, "G", "AG", sequence=REFERENCE) == (1, "G", "AG")
    assert normalise(1, "GG", "G", sequence=REFERENCE) == (1, "GG", "G")


@given(st.text("AC", min_size=6, max_size=20), st.data())
def test_normalising_changes_the_chromosome_as_the_variant_did(sequence, data):
    start = data.draw(st.integers(0, len(sequence) - 1))
    end = data.draw(st.integers(start + 1, len(sequence)))
    alternative = data.draw(st.text("AC", min_size=1, max_size=5).filter(lambda text: text != sequence[start:end]))
    position, reference, changed = normalise(start + 1, sequence[start:end], alternative, sequence=sequence)
    assert sequence[position - 1 : position - 1 + len(reference)] == reference
    before = sequence[:start] + alternative + sequence[end:]
    assert sequence[: position - 1] + changed + sequence[position - 1 + len(reference) :] == before
    assert normalise(position, reference, changed, sequence=sequence) == (position, reference, changed)
    assert reference[-1] != changed[-1] or min(len(reference), len(changed)) == 1


# -- reading --


def test_variants_come_in_the_order_of_the_file_each_with_its_surroundings(folder):
    vcf = write_vcf(folder, "chr2 3 rs1 G T", "chr1 23 . G C,GTT", "chr1 16 . TT T")
    entries = read_variants(vcf, window=11)
    assert [alleles(entry) for entry in entries] == [
        ("chr2", 3, "G", "T"), ("chr1", 23, "G", "C"), ("chr1", 23, "G", "GTT"), ("chr1", 14, "GT", "G"),
    ]  # fmt: skip
    assert str(entries[0]) == "chr2:3 G>T (rs1)"
    single, insertion, deletion = entries[1:]
    assert single.before == REFERENCE[17:28]
    assert single.after == REFERENCE[17:22] + "C" + REFERENCE[23:28]
    assert single.before[single.offset] == "G"
    assert insertion.after == REFERENCE[17:22] + "GTT" + REFERENCE[23:26]
    assert deletion.after == REFERENCE[8:14] + REFERENCE[15:20]  # a letter comes in from the right
    assert entries[0].before == "ACGTACGT"  # a chromosome that is shorter than the window


@pytest.mark.parametrize("position", [1, 2, 39, 40])
def test_at_the_ends_of_a_chromosome_the_window_stays_whole(folder, position):
    letter = REFERENCE[position - 1]
    other = "A" if letter != "A" else "C"
    (entry,) = read_variants(write_vcf(folder, f"chr1 {position} . {letter} {other}"), window=12)
    assert len(entry.before) == len(entry.after) == 12
    assert entry.before[entry.offset] == letter
    assert entry.after[entry.offset] == other


def test_gzipped_files_and_windows_line_ends_are_read(folder):
    plain = read_variants(write_vcf(folder, "chr1 23 . G C"), window=10)
    packed = folder / "b.vcf.gz"
    packed.write_bytes(gzip.compress((folder / "a.vcf").read_bytes().replace(b"\n", b"\r\n")))
    reference = folder / "other.fa.gz"
    reference.write_bytes(gzip.compress((folder / "ref.fasta").read_bytes()))
    assert read_variants(packed, reference, window=10) == plain


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chr1 23 . A C", r"a\.vcf, line 4: REF is A at chr1:23, but the reference has G"),
        ("chr1 90 . A C", "chr1:90, but the reference ends at 40"),
        ("chr3 1 . A C", "no chromosome 'chr3'; did you mean 'chr"),
        ("chr1 23 . G <DEL>", "symbolic allele or a breakend"),
        ("chr1 23 . G G[chr2:3[", "symbolic allele or a breakend"),
        ("chr1 23 . G *", "deletion on another line"),
        ("chr1 23 . G .", "no change"),
        ("chr1 23 . G R", "other than A, C, G, T and N in R"),
        ("chr1 23 . G G", "REF and ALT are the same"),
    ],
)
def test_what_cannot_be_scored_stands_in_its_place_with_the_reason(folder, line, said):
    first, second = read_variants(write_vcf(folder, line, "chr1 23 . G C"), window=10)
    assert isinstance(first, InputError)
    assert alleles(second) == ("chr1", 23, "G", "C")
    with pytest.raises(InputError, match=said):
        raise first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no VCF"),
        (">chr1\nACGT\n", "is no VCF"),
        (HEADER, "holds no variant"),
        (HEADER + "chr1\t23\t.\tG\n", "line 4 has 4 columns"),
        (HEADER + "chr1\tx\t.\tG\tC\n", "line 4: the position is 'x'"),
        (HEADER.replace("##reference=ref.fasta\n", "") + "chr1\t23\t.\tG\tC\n", "names no reference"),
        (HEADER.replace("ref.fasta", "file:///no/such.fa") + "chr1\t23\t.\tG\tC\n", "which is no file here"),
    ],
)
def test_files_that_are_no_vcf_or_name_no_reference_are_refused(folder, text, said):
    (folder / "bad.vcf").write_text(text)
    with pytest.raises(InputError, match=said):
        read_variants(folder / "bad.vcf", window=10)


def test_absent_and_broken_files_are_refused_by_name(folder):
    with pytest.raises(InputError, match=r"absent\.vcf cannot be read"):
        read_variants(folder / "absent.vcf", window=10)
    broken = folder / "broken.vcf.gz"
    broken.write_bytes(gzip.compress(HEADER.encode() * 99)[:60])
    with pytest.raises(InputError, match=r"broken\.vcf\.gz cannot be read"):
        read_variants(broken, window=10)


# -- prediction --


def predictor(*, window: int = 16, alphabet: str = "dna", **changes) -> Predictor:
    """An untrained model that reads so many letters around a variant."""
    config = SequenceClassificationConfig.tiny(
        alphabet=alphabet, id2label={0: "other", 1: "promoter"}, label2id={"other": 0, "promoter": 1}, **changes
    )
    torch.manual_seed(0)
    model = SequenceClassificationModel(config)
    processor = SequenceClassificationProcessor(alphabet=alphabet, window=config.window, variant_window=window)
    return Predictor(medhub.get("genomics/classification"), model, processor, device="cpu")


def test_a_score_is_the_change_of_the_log_odds_between_the_two_sequences(folder):
    model = predictor()
    vcf = write_vcf(folder, "chr1 23 rs7 G C", "chr1 16 . TT T")
    results = model.predict(vcf)
    for result, entry in zip(results, read_variants(vcf, window=16), strict=True):
        assert isinstance(result, VariantPrediction)
        before, after = model.predict([entry.before, entry.after])
        assert result.reference_probabilities == pytest.approx(before.probabilities, abs=1e-6)
        assert result.alternative_probabilities == pytest.approx(after.probabilities, abs=1e-6)
        odds = [p["promoter"] / p["other"] for p in (before.probabilities, after.probabilities)]
        assert result.score == pytest.approx(np.log(odds[1] / odds[0]), abs=1e-4)
        assert result.label == "promoter"
    assert results[0].input == "chr1:23 G>C (rs7)"
    assert results[0].title().startswith("chr1:23 G>C (rs7): promoter ")
    assert results[0].to_dict()["score"] == results[0].score


def test_of_several_classes_the_score_is_about_the_one_that_changes_most():
    config = SequenceClassificationConfig.tiny(id2label={0: "neither", 1: "donor", 2: "acceptor"})
    variant = Variant(
        chromosome="1", position=5, reference="A", alternative="C", before="AAAA", after="AACA", offset=2
    )  # fmt: skip
    result = predictor().processor.result(variant, np.array([[0.1, 0.3, 0.6], [0.2, 0.75, 0.05]]), config)
    assert result.label == "acceptor"
    assert result.score == pytest.approx(np.log(0.05 / 0.95) - np.log(0.6 / 0.4))


def test_a_variant_that_cannot_be_scored_stops_predict_but_not_predict_each(folder):
    model = predictor()
    vcf = write_vcf(folder, "chr1 23 . G C", "chr1 24 . C G", "chr1 25 . T G")
    with pytest.raises(InputError, match=r"input 2 of 3: a\.vcf, line 5: REF is C at chr1:24, but the reference has A"):
        model.predict(vcf)
    results = [*model.predict_each(model.processor.inputs(vcf))]
    assert [isinstance(result, InputError) for result in results] == [False, True, False]


def test_variants_and_sequences_may_stand_in_one_batch(folder):
    model = predictor()
    variant, *_ = read_variants(write_vcf(folder, "chr1 23 . G C"), window=16)
    alone = model.predict(REFERENCE), model.predict(variant)
    together = model.predict([REFERENCE, variant])
    assert together[0].probabilities == pytest.approx(alone[0].probabilities, abs=1e-6)
    assert together[1].score == pytest.approx(alone[1].score, abs=1e-5)


def test_one_variant_is_chosen_by_its_number(folder):
    model = predictor()
    vcf = write_vcf(folder, "chr1 23 . G C", "chr1 22 . C G")
    raw = {"vcf": vcf, "reference": folder / "ref.fasta", "number": 2}
    assert model.predict(raw).input == "chr1:22 C>G"
    with pytest.raises(InputError, match="no variant 3; the VCF holds 2"):
        model.predict({**raw, "number": 3})
    with pytest.raises(InputError, match="2 variants where one is needed"):
        model.processor.read(vcf)
    with pytest.raises(InputError, match="needs 'vcf'"):
        model.predict({"reference": folder / "ref.fasta"})


def test_a_model_of_proteins_refuses_variants(folder):
    with pytest.raises(InputError, match="the model reads protein"):
        predictor(alphabet="protein").predict(write_vcf(folder, "chr1 23 . G C"))


@pytest.mark.parametrize("line", ["chr1 23 . G C", "chr1 23 . GA G", "chr1 23 . G GTTT"])
def test_the_letters_around_a_variant_are_explained_without_and_with_it(folder, line):
    model = predictor()
    (variant,) = read_variants(write_vcf(folder, line), window=30)
    explanation = model.explain(variant, "promoter")
    assert np.isfinite(explanation.values).all()
    assert len(explanation.parts) == len(explanation.values)
    assert f"{variant.alternative[0]}+0" in explanation.parts
    assert explanation.picture is not None
    assert "without the variant" in explanation.legend
