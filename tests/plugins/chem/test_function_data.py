"""The rows of functions: families, translated genes, ontologies, the user's own files, and the public data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medhub.data import check_disjoint, load_data
from medhub.errors import InputError, LabelError, MedHubError
from medhub.plugins.chem.function.config import FunctionConfig
from medhub.plugins.chem.function.data import DATASETS, own_files, synthetic
from medhub.plugins.chem.function.grouping import AT_ONCE, similar_families
from medhub.plugins.chem.function.ontology import read_obo
from medhub.plugins.chem.function.peptides import load_peptides
from medhub.plugins.chem.function.processing import FunctionProcessor
from medhub.plugins.chem.function.resistance import CLASSES, load_resistance
from medhub.plugins.chem.function.translation import translate
from medhub.sequences.alphabets import DNA, PROTEIN

PEPTIDE = "GIGKFLHSAKKFGKAFVGEIMNS"
GENE = "ATGGGTATCGGTAAATTTCTGCATAGCGCTAAAAAATTTGGTTAA"  # MGIGKFLHSAKKFG and a stop

OBO = """format-version: 1.2

[Term]
id: GO:1
name: catalysis

[Term]
id: GO:2
name: transfer
alt_id: GO:22
is_a: GO:1 ! catalysis

[Term]
id: GO:3
name: phosphate transfer
is_a: GO:2 {source="x"} ! transfer
relationship: part_of GO:5 ! signalling
relationship: regulates GO:6 ! something

[Term]
id: GO:4
name: old
is_obsolete: true
replaced_by: GO:3

[Term]
id: GO:5
name: signalling
is_a: GO:1

[Typedef]
id: part_of
"""


def proteins(count: int, *, length: int = 40, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice([*PROTEIN.letters], length)) for _ in range(count)]


def mutate(sequence: str, *, count: int, seed: int) -> str:
    """Change `count` letters, each into another one."""
    random = np.random.default_rng(seed)
    letters = [*sequence]
    for place in random.choice(len(letters), count, replace=False):
        letters[place] = random.choice([letter for letter in PROTEIN.letters if letter != letters[place]])
    return "".join(letters)


# -- families --


def test_relatives_share_a_family_and_strangers_do_not():
    one, other = proteins(2)
    near, nearer = mutate(one, count=4, seed=1), mutate(one, count=1, seed=2)
    names = similar_families([one, other, near, nearer, "MK"], share=0.3)
    assert names[0] == names[2] == names[3]
    assert len({*names}) == 3


def test_families_reach_across_the_blocks_in_which_they_are_compared():
    sequences = proteins(AT_ONCE + 10, length=12)
    names = similar_families([*sequences, sequences[0], sequences[-1]], share=0.3)
    assert names[-2:] == [names[0], names[AT_ONCE + 9]]
    assert len({*names}) > AT_ONCE


# -- translation --


def test_a_gene_is_translated_on_either_strand_whatever_stands_around_it():
    protein = translate(GENE, name="gene")
    assert protein == "MGIGKFLHSAKKFG"
    assert translate(DNA.reverse_complement(GENE), name="gene") == protein
    assert translate(GENE.replace("T", "U"), name="gene") == protein
    assert translate(GENE.replace("GGTATC", "GGTANC"), name="gene") == "MGX" + protein[3:]


@pytest.mark.parametrize("seed", range(5))
def test_of_a_piece_the_longest_stretch_is_read_as_biopython_reads_it(seed):
    seq = pytest.importorskip("Bio.Seq")
    random = np.random.default_rng(seed)
    piece = "C" + "".join(random.choice([*DNA.letters], 298))
    strands = seq.Seq(piece), seq.Seq(piece).reverse_complement()
    stretches = [
        stretch
        for strand in strands
        for frame in range(3)
        for stretch in str(strand[frame : frame + 297].translate(table=11)).split("*")
    ]
    found = translate(piece, name="piece")
    assert found in stretches
    assert len(found) == max(map(len, stretches))


def test_what_codes_for_nothing_is_named():
    with pytest.raises(InputError, match=r"record 'stops'.*21 nucleotides"):
        translate("TAATTAATTAATTAACTAACT", name="stops")


# -- ontology --


def test_a_term_implies_what_it_is_and_what_it_is_part_of(tmp_path):
    path = tmp_path / "go.obo"
    path.write_text(OBO, encoding="utf-8")
    ontology = read_obo(path)
    assert ontology.implied(["GO:3"]) == {"GO:1", "GO:2", "GO:3", "GO:5"}
    assert [ontology.known(id) for id in ("GO:22", "GO:4", "GO:5")] == ["GO:2", "GO:3", "GO:5"]
    assert ontology.names["GO:3"] == "phosphate transfer"
    with pytest.raises(InputError, match=r"no term 'GO:33'.*did you mean 'GO:3'"):
        ontology.known("GO:33")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "holds no"),
        (lambda text: text.replace("is_a: GO:1 !", "is_a: GO:9 !"), "GO:2 implies GO:9"),
        (lambda text: text.replace("name: catalysis", "name: catalysis\nis_a: GO:3"), "implies itself"),
    ],
)
def test_a_broken_ontology_is_refused(tmp_path, change, said):
    path = tmp_path / "go.obo"
    path.write_text(change(OBO), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_obo(path)


# -- own files --


def write_folder(folder: Path, *, labels: list[str], obo: str | None = None) -> list[str]:
    """Write proteins, a line each in a CSV, and an ontology; return the proteins."""
    sequences = proteins(len(labels))
    fasta = "".join(f">p{number} x\n{sequence}\n" for number, sequence in enumerate(sequences))
    (folder / "proteins.fasta").write_text(fasta, encoding="utf-8")
    lines = "".join(f"p{number},{label}\n" for number, label in enumerate(labels))
    (folder / "labels.csv").write_text("name,labels\n" + lines, encoding="utf-8")
    if obo is not None:
        (folder / "go.obo").write_text(obo, encoding="utf-8")
    return sequences


def test_a_table_of_sequences_has_all_its_labels(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"sequence,labels,split\n{PEPTIDE},kills; lyses,train\nMKVLEEARWW,,test\n", encoding="utf-8")
    table = own_files(path)
    assert table.label_names == ("kills", "lyses")
    assert table.rows["labels"][:] == [[1.0, 1.0], [0.0, 0.0]]
    assert table.rows["split"][:] == ["train", "test"]
    assert table.rows["links"][:] == [[], []]


def test_with_an_ontology_whoever_has_a_term_has_what_it_implies(tmp_path):
    sequences = write_folder(tmp_path, labels=["GO:4"] * 12 + ["GO:22"] * 12 + [""] * 2, obo=OBO)
    table = own_files(tmp_path)
    # the root is left out
    assert table.label_names == ("GO:2 transfer", "GO:3 phosphate transfer", "GO:5 signalling")
    assert table.rows["input"][:] == sequences
    labels = np.array(table.rows["labels"][:])
    assert labels[[0, 12, 25]].tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert table.rows["links"][0] == [[1, 0], [1, 2]]
    assert table.rows["links"][12] == []
    processor = FunctionProcessor.fit(table.rows, FunctionConfig.tiny())
    assert processor.links == [[1, 0], [1, 2]]
    # 12 of the 12 that have both parents, 24 of 26, 12 of 26
    assert processor.information == pytest.approx(np.log2([27 / 25, 13 / 13, 27 / 13]).tolist())


def test_terms_of_few_sequences_are_left_out(tmp_path):
    write_folder(tmp_path, labels=["GO:2"] * 12 + ["GO:5"] * 9, obo=OBO)
    assert own_files(tmp_path).label_names == ("GO:2 transfer",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", f"sequence,label\n{PEPTIDE},x\n", "no column 'labels'; did you mean 'label'"),
        ("a.csv", f"sequence,labels\n{PEPTIDE},x\n,y\n", "line 3 has no 'sequence'"),
        ("a.csv", "sequence,labels\nGIGKF1,x\n", "line 2.*'1' at position 6"),
        ("a.csv", f"sequence,labels\n{PEPTIDE},\n", "has no label"),
        ("a.csv", f"sequence,labels,split\n{PEPTIDE},x,trian\n", "no split 'trian'.*did you mean 'train'"),
        ("a.csv", f"sequence,labels,split\n{PEPTIDE},x,train\nMKV,y,\n", "line 3 has no split"),
        ("a.fasta", f">a\n{PEPTIDE}\n", "tells no functions"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_its_line(tmp_path, name, text, said):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(MedHubError, match=said):
        own_files(tmp_path / name)


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    write_folder(tmp_path, labels=["GO:2"] * 12, obo=OBO)
    table = tmp_path / "labels.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text + "p99,GO:2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels.csv, line 14.*'p99'"):
        own_files(tmp_path)
    table.write_text(text.replace("p3,GO:2", "p3,GO:23"), encoding="utf-8")
    with pytest.raises(LabelError, match=r"line 5: go.obo has no term 'GO:23'"):
        own_files(tmp_path)
    (tmp_path / "more.fasta").write_text(">x\nMKV\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds 2 files that are a FASTA file"):
        own_files(tmp_path)


# -- public data --


def test_peptides_of_both_classes_and_copies_fall_out(tmp_path):
    path = tmp_path / "AMPvsUniProt.csv"
    one, other, third = proteins(3, length=20)
    lines = [f"{one}, 1", f"{one}, 1", f"{other},0", f"{third},1", f"{third},0"]
    path.write_text("\n".join(["5,1,UniProt,AMP", *lines, ""]), encoding="ascii")
    table = load_peptides({path.name: path})
    assert table.rows["input"][:] == [one, other]
    assert table.rows["labels"][:] == [[1.0], [0.0]]
    assert table.dropped == {"another copy of a peptide": 2, "peptide that stands in both classes": 1}


def test_resistance_genes_become_proteins_with_their_classes(tmp_path):
    path = tmp_path / "resfinder.fasta"
    random = np.random.default_rng(0)
    genes = ["ATG" + "".join(random.choice([*"CGA"], 300)) for _ in range(4)]
    names = [
        "qnrA_1~~~X1~~~Ciprofloxacin",
        "blaX-1_1~~~X2~~~Ampicillin+Clavulanic_acid;Cefepime",
        "nimA_1~~~X3~~~Metronidazole",
        "erm_1~~~X4~~~Erythromycin;Clindamycin",
    ]
    text = "".join(f">resfinder~~~{name} x\n{gene}\n" for name, gene in zip(names, genes, strict=True))
    path.write_text(text + f">resfinder~~~qnrB_1~~~X5~~~ x\n{genes[0]}\n", encoding="ascii")
    table = load_resistance({"resfinder.fasta.gz": path})
    found = [{name for name, there in zip(CLASSES, row, strict=True) if there} for row in table.rows["labels"][:]]
    assert found == [{"quinolone"}, {"beta-lactam"}, {"macrolide", "lincosamide"}]
    assert table.rows["split"][:] == ["train"] * 3  # each is the largest family of a class
    assert table.dropped["gene without a known antibiotic, or of a class with one family"] == 2


def test_resistance_genes_of_the_mirror_are_split_by_families(mirror, cache):
    splits = load_data(DATASETS["resistance-genes"], seed=0)
    check_disjoint(splits.dataset_dict())
    assert [len(part) for part in splits.dataset_dict().values()] == [1670, 291, 455]
    assert np.array(splits.train["labels"][:]).any(axis=0).all()


@pytest.mark.index
def test_peptides_come_out_of_the_wheel(cache):
    splits = load_data(DATASETS["antimicrobial-peptides"], seed=0)
    assert sum(len(part) for part in splits.dataset_dict().values()) == 4620
    assert splits.dropped["peptide that stands in both classes"] == 22


def test_made_up_kinases_are_enzymes():
    labels = np.array(synthetic(size=200).rows["labels"][:])
    assert (labels[:, 0] >= labels[:, 1]).all()
    assert 0.05 < labels.mean(0).min() < labels.mean(0).max() < 0.95
