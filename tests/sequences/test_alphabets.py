"""Alphabets: letters as numbers, the opposite strand, and what is refused with its place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medhub.errors import InputError
from medhub.sequences.alphabets import ALPHABETS, DNA, PROTEIN, alphabet_of, guess


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=lambda alphabet: alphabet.name)
def test_letters_survive_and_all_ambiguity_is_one_number(alphabet):
    codes = alphabet.encode(alphabet.letters + "".join(alphabet.ambiguous))
    assert codes[: len(alphabet.letters)].tolist() == [*range(1, len(alphabet.letters) + 1)]
    assert set(codes[len(alphabet.letters) :]) == {alphabet.unknown} == {alphabet.size - 1}
    assert alphabet.decode(codes) == alphabet.letters + alphabet.wildcard * len(alphabet.ambiguous)
    assert alphabet.decode(np.append(codes[:3], [0, 0])) == alphabet.letters[:3]


def test_aliases_and_lower_case_are_read_as_what_they_stand_for():
    assert np.array_equal(DNA.encode("acgu"), DNA.encode("ACGT"))
    assert np.array_equal(PROTEIN.encode("UO"), PROTEIN.encode("CK"))
    assert (DNA.wildcard, PROTEIN.wildcard) == ("N", "X")


def test_protein_letters_stand_in_the_order_of_blosum62():
    substitution = pytest.importorskip("Bio.Align.substitution_matrices")
    assert substitution.load("BLOSUM62").alphabet[:20] == PROTEIN.letters


@given(st.text("ACGTURYSWKMBDHVN", max_size=40))
def test_reverse_complement_is_biopythons_and_its_own_inverse(sequence):
    seq = pytest.importorskip("Bio.Seq")
    dna = sequence.replace("U", "T")
    assert DNA.reverse_complement(dna) == str(seq.Seq(dna).reverse_complement())
    assert DNA.reverse_complement(DNA.reverse_complement(dna)) == dna
    opposite = DNA.complement_codes[DNA.encode(sequence)][::-1]
    assert np.array_equal(opposite, DNA.encode(DNA.reverse_complement(sequence)))


def test_proteins_have_no_other_strand():
    with pytest.raises(InputError, match="only dna has two strands"):
        PROTEIN.reverse_complement("MK")


@pytest.mark.parametrize(
    ("alphabet", "sequence", "said"),
    [
        (DNA, "ACGTEACGT", "record 'p' .line 3.: 'E' at position 5 is no nucleotide; it looks like protein"),
        (DNA, "ACGT1", "'1' at position 5 is no nucleotide; correct it, or write N"),
        (DNA, "AC-GT", "'-' at position 3 is a gap"),
        (PROTEIN, "MK*LV", r"'\*' at position 3 is a stop"),
        (PROTEIN, "ACGT" * 10, "it looks like dna, this needs protein"),
        (PROTEIN, "MKÀ", "'À' at position 3 is no amino acid; correct it, or write X"),
    ],
)  # fmt: skip
def test_what_does_not_belong_is_refused_with_its_place(alphabet, sequence, said):
    with pytest.raises(InputError, match=said):
        alphabet.check(sequence, name="p", line=3)


def test_encode_refuses_what_check_refuses():
    with pytest.raises(InputError, match="'J' at position 2"):
        DNA.encode("AJ")
    with pytest.raises(InputError, match="'Ω' at position 1"):
        PROTEIN.encode("Ω")


def test_gaps_pass_only_where_allowed():
    DNA.check("AC--G.T", name="aligned", gaps=True)


def test_short_sequences_of_nucleotides_may_be_protein():
    assert guess("ACGT" * 5) is None
    assert guess("ACGT" * 10) == guess("ACGU" * 10) == "dna"
    assert guess("GAVQ") == "protein"


def test_the_alphabet_of_several_sequences_is_dna_only_where_all_are():
    assert alphabet_of(["ACGT", "NNRY", "ACGU"]) is DNA
    assert alphabet_of(["ACGT", "MKVL"]) is PROTEIN
