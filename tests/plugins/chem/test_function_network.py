"""The processor and the network: what is read, what relatives say, what implies what, and what letters are worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import medhub
from medhub.data import load_data
from medhub.errors import ConfigError, InputError
from medhub.plugins.chem.function import demo
from medhub.plugins.chem.function.baselines import BASELINES
from medhub.plugins.chem.function.config import FunctionConfig
from medhub.plugins.chem.function.data import synthetic
from medhub.plugins.chem.function.explanation import MOST_SHOWN
from medhub.plugins.chem.function.model import FunctionModel, Letters, composition
from medhub.plugins.chem.function.neighbours import align, compare, fold
from medhub.plugins.chem.function.processing import FunctionProcessor, order_links, tell_bits
from medhub.predictor import Predictor
from medhub.sequences.alphabets import PROTEIN

TABLE = synthetic(size=40)
GENE = "ATGGGTATCGGTAAATTTCTGCATAGCGCTAAAAAATTTGGTTAA"


@pytest.fixture
def config() -> FunctionConfig:
    names = TABLE.label_names
    return FunctionConfig.tiny(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})


@pytest.fixture
def processor(config) -> FunctionProcessor:
    return FunctionProcessor.fit(TABLE.rows, config)


@pytest.fixture
def predictor(config, processor) -> Predictor:
    torch.manual_seed(0)
    return Predictor(medhub.get("chem/function"), FunctionModel(config), processor, device="cpu")


# -- reading --


def test_a_model_of_proteins_translates_genes(processor):
    assert processor.alphabet == "protein"
    assert processor.read(f">gene\n{GENE.lower()}").sequence == "MGIGKFLHSAKKFG"
    assert processor.read("GIGKFLHSAKK*").sequence == "GIGKFLHSAKK"


def test_a_model_of_dna_reads_dna():
    rows = TABLE.rows.remove_columns("input").add_column("input", [GENE] * len(TABLE.rows))
    config = FunctionConfig.tiny()
    processor = FunctionProcessor.fit(rows, config)
    assert config.alphabet == processor.alphabet == "dna"
    assert processor.read(GENE).sequence == GENE
    with pytest.raises(InputError, match="no nucleotide"):
        processor.read("GIGKFLHSAKK")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (">a\nMKV\n>b\nMKL\n", "2 sequences where one is needed"),
        (">a\nMK1\n", r"record 'a' \(line 1\): '1' at position 3"),
        (">a\n*\n", "record 'a' is empty"),
        (">stops\n" + "TAATTAACTAA" * 4, "record 'stops'.*no frame"),
        (3, "int is no sequence"),
    ],
)
def test_what_cannot_be_read_is_named(processor, raw, said):
    with pytest.raises(InputError, match=said):
        processor.read(raw)


def test_of_a_long_sequence_both_ends_are_read(processor):
    processor.longest = 6
    assert processor.ends("ABCDEFGH") == "ABCFGH"
    assert processor.ends("ABCDEF") == "ABCDEF"
    processor.longest = 5
    assert processor.ends("ABCDEFGH") == "ABFGH"


# -- relatives --


def test_alignment_scores_are_smith_and_watermans():
    align_module = pytest.importorskip("Bio.Align")
    aligner = align_module.PairwiseAligner(scoring="blastp", mode="local")
    one, *others = TABLE.rows["input"][:5]
    expected = [aligner.score(one, other) for other in others]
    assert align(one, others, alphabet="protein").tolist() == expected


def test_a_folded_protein_no_longer_tells_its_letters_but_finds_its_relatives():
    protein, relative, stranger = "MKVLEEARSTGWYHPDNQ", "LRIVDQAKTSGFWHPEEN", "GGGGCCCCAAAAPPPPGG"
    assert fold(protein) == fold(relative) == "LKLLEEAKSSGFFHPEEE"
    assert set(fold("ACDEFGHIKLMNPQRSTVWYX")) == set("LCAGSPFEKHX")
    itself, near, far = align(fold(protein), [fold(protein), fold(relative), fold(stranger)], alphabet="folded")
    assert itself == near > 4 * far
    assert itself == pytest.approx(sum(align(fold(letter), [fold(letter)], alphabet="folded")[0] for letter in protein))
    # E, D, N and Q: BLOSUM62's sixteen scores add up to 32
    assert align("E", ["E"], alphabet="folded").tolist() == [2.0]


def test_a_function_of_the_nearest_is_likely_and_none_where_nothing_aligns():
    labels = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    first, second = compare(np.array([90.0, 10.0, 30.0]), labels)
    assert first == pytest.approx((90 + 1 / 3) / (90 + 30 + 1))
    assert second == pytest.approx((30 + 1 / 3) / (30 + 90 + 1))
    assert compare(np.zeros(3), labels).tolist() == pytest.approx([1 / 3, 1 / 3])
    assert compare(np.zeros(0), labels[:0]).tolist() == [0.5, 0.5]


def test_training_does_not_hear_of_a_sequences_own_family(processor):
    reference, functions = processor.references[0], processor.functions[0]
    features = processor.features(processor.read(reference))
    near, apart = features["relatives"]
    assert np.flatnonzero(near > 0.5).tolist() == functions  # the nearest is itself
    assert not np.allclose(near, apart)
    columns = processor.stack([features])
    in_training = processor.collate(columns, torch.Generator())
    assert torch.equal(in_training["relatives"][0], torch.from_numpy(apart))
    assert torch.equal(processor.collate(columns)["relatives"][0], torch.from_numpy(near))
    near, apart = processor.features(processor.read("MKVLEEARMKVLEEAR"))["relatives"]
    assert np.array_equal(near, apart)


def test_references_are_whole_families():
    rows = TABLE.rows.remove_columns("group").add_column("group", ["large"] * 30 + [f"small {i}" for i in range(10)])
    processor = FunctionProcessor.fit(rows, FunctionConfig.tiny(references=12))
    assert sorted(processor.families) == [f"small {i}" for i in range(10)]
    assert FunctionProcessor.fit(rows, FunctionConfig.tiny(references=40)).references == [*map(fold, rows["input"])]
    assert FunctionProcessor.fit(rows, FunctionConfig.tiny(references=0)).references == []


# -- hierarchy --


def test_nothing_is_less_probable_than_what_implies_it(processor):
    links = order_links({(0, 1), (1, 2), (3, 1)})
    processor.links = links
    scores = processor.propagate(np.array([[0.9, 0.2, 0.1, 0.3], [0.1, 0.2, 0.8, 0.7]]))
    assert scores.tolist() == [[0.9, 0.9, 0.9, 0.3], [0.1, 0.7, 0.8, 0.7]]


def test_information_is_how_rare_a_function_is_among_those_that_have_what_it_implies():
    labels = np.array([[1, 1], [1, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]], dtype=float)
    assert tell_bits(labels, [[1, 0]]).tolist() == pytest.approx([np.log2(8 / 4), np.log2(4 / 2)])


def test_links_are_learnt_from_the_training_rows(processor):
    assert processor.links == [[1, 0]]


# -- network --


def test_composition_counts_letters_and_pairs_at_each_distance():
    codes = torch.from_numpy(PROTEIN.encode("ARAX")[None]).long()
    letters = Letters(20, masking=0.0)(codes)
    shares = composition(letters, torch.tensor([4]), distances=2)[0]
    shares = (shares + 1e-3) ** 2 - 1e-6  # the roots, undone
    a, r = 0, 1
    assert shares[a].item() == pytest.approx(0.5, abs=1e-5)
    assert shares[r].item() == pytest.approx(0.25, abs=1e-5)
    first, second = shares[20:420].view(20, 20), shares[420:].view(20, 20)
    assert first[a, r].item() == first[r, a].item() == second[a, a].item() == pytest.approx(0.25, abs=1e-5)
    assert shares.sum().item() == pytest.approx(0.75 + 0.5 + 0.25, abs=1e-4)


def test_masking_hides_letters_in_training_only():
    codes = torch.ones(4, 500, dtype=torch.long)
    letters = Letters(4, masking=0.3)
    assert 0.6 < letters(codes).mean().item() * 4 < 0.8
    assert letters.eval()(codes).sum() == 2000


def test_an_unknown_alphabet_is_refused():
    with pytest.raises(ConfigError, match="no alphabet 'proteins'; did you mean 'protein'"):
        FunctionConfig(alphabet="proteins")


def test_members_answer_together(config, predictor, processor):
    batch = processor.collate(processor.stack([processor.features(processor.read("MKVLEEAR"))]))
    model = predictor.model
    with torch.inference_mode():
        together = model(**batch).logits
        letters = model.letters(batch["input_ids"])
        counts = composition(letters, batch["lengths"], distances=config.distances)
        alone = [member(letters, batch["lengths"], counts, batch["relatives"]) for member in model.members]
    assert torch.allclose(together, torch.stack(alone).mean(0))
    assert not torch.allclose(*alone)


# -- results --


def test_predictions_are_consistent_and_explained(predictor):
    results = predictor.predict(">a\nMKVLHRDLKEEAR\n>gene\n" + GENE, explain=True)
    assert [result.input for result in results] == ["a", "gene"]
    for result in results:
        assert result.probabilities["enzyme"] >= result.probabilities["kinase"]
        assert result.explanation.picture is not None
        assert len(result.explanation.parts) == len(result.explanation.values)


def test_integrated_gradients_add_up_to_what_the_letters_add(predictor, processor):
    sample = processor.read(TABLE.rows[0]["input"])
    explanation = processor.explain(predictor.model, sample, "kinase")
    batch = processor.collate(processor.stack([processor.features(sample)]))
    blank = {**batch, "input_ids": torch.full_like(batch["input_ids"], PROTEIN.unknown)}
    with torch.inference_mode():
        gain = (predictor.model(**batch).logits - predictor.model(**blank).logits)[0, 1].item()
    assert explanation.values.sum() == pytest.approx(gain, abs=0.05)


def test_of_a_long_sequence_the_stretch_is_drawn_that_says_most(predictor, processor):
    processor.longest = 400
    sequence = "MKVLEEARQW" * 60
    explanation = processor.explain(predictor.model, processor.read(sequence), "secreted")
    assert len(explanation.values) == 400
    assert explanation.parts[0] == "M1"
    assert explanation.parts[-1] == "W600"
    assert explanation.picture.height < 10 * 160
    assert f"of {400} letters" in explanation.legend
    assert MOST_SHOWN < 400


def test_the_nearest_neighbour_knows_the_functions_of_copies(processor):
    splits = load_data(TABLE, split="random", seed=0)
    scores = BASELINES["nearest neighbour by alignment"](
        splits.train, splits.train, labels=TABLE.label_names, processor=processor, seed=0
    )
    assert ((scores > 0.5) == np.array(splits.train["labels"][:], dtype=bool)).all()


def test_a_visitors_text_is_never_a_path(tmp_path):
    assert demo.raw("genes.fasta", None) == ">sequence\ngenes.fasta"
    assert demo.raw(">a\nMKV", None) == ">a\nMKV"
    with pytest.raises(InputError, match="there is no sequence"):
        demo.raw(" ", None)
