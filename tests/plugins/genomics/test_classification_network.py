"""The classifier's network: strands, words, windows, and what a letter that is not there may change."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

import medhub
import medhub.auto
from medhub.errors import ConfigError
from medhub.modeling import MedModel
from medhub.plugins.genomics.classification import model as model_module
from medhub.plugins.genomics.classification.config import OVERLAP, TRAINING, SequenceClassificationConfig
from medhub.plugins.genomics.classification.model import SequenceClassificationModel, Words
from medhub.sequences.alphabets import DNA

Config = SequenceClassificationConfig


def network(seed: int = 0, **changes) -> SequenceClassificationModel:
    """A small untrained model whose every weight is moved, so that nothing hides behind a zero."""
    torch.manual_seed(seed)
    model = SequenceClassificationModel(Config.tiny(**changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        model.words.weight[0] = 0
    return model


def letters(length: int, *, rows: int = 1, seed: int = 0) -> torch.Tensor:
    """Random nucleotides as numbers (rows, length)."""
    return torch.randint(1, 5, (rows, length), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def answer(model: MedModel, codes: torch.Tensor, lengths: list[int] | None = None) -> torch.Tensor:
    with torch.inference_mode():
        return model(codes, torch.tensor(lengths or [codes.shape[1]] * len(codes))).logits


# -- words --


def test_a_word_has_a_vector_of_its_own_and_unknown_or_missing_letters_have_none():
    words = Words(4, kmer=2, width=3)
    codes = torch.tensor([[1, 2, 1, 2, 5, 1, 0]])
    vectors = words(codes)[0]
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[0], vectors[1])
    assert not vectors[3:].any()  # with N, with padding, and the last letter, behind which nothing stands
    every = torch.cartesian_prod(torch.arange(1, 5), torch.arange(1, 5))
    assert len({tuple(row.tolist()) for row in words(every)[:, 0]}) == 16


# -- strands --


@pytest.mark.parametrize("architecture", Config.ARCHITECTURES)
@pytest.mark.parametrize("stem", [{"kmer": 1}, {"kmer": 3, "stem_kernels": []}])
def test_with_both_strands_a_sequence_and_its_reverse_complement_get_one_answer(architecture, stem):
    model = network(architecture=architecture, both_strands=True, **stem)
    sequences = ["ACGTTGCANACGGT", "TTTTTTTT", "GATTACA"]
    opposite = [DNA.reverse_complement(sequence) for sequence in sequences]
    codes = [torch.from_numpy(DNA.encode(sequence)) for sequence in (*sequences, *opposite)]
    padded = torch.nn.utils.rnn.pad_sequence(codes, batch_first=True)
    there, back = answer(model, padded, [len(row) for row in codes]).split(3)
    torch.testing.assert_close(there, back, rtol=1e-6, atol=1e-6)


def test_with_one_strand_a_reverse_complement_gets_another_answer():
    codes, opposite = (torch.from_numpy(DNA.encode(text))[None] for text in ("ACGTTGCAAACGGT", "ACCGTTTGCAACGT"))
    model = network()
    assert not torch.allclose(answer(model, codes), answer(model, opposite), atol=1e-3)


def test_proteins_have_no_second_strand():
    with pytest.raises(ConfigError, match="both_strands is for what has two strands, not for protein"):
        network(alphabet="protein", both_strands=True)


# -- windows --


def test_a_long_sequence_gets_the_summary_of_all_its_windows():
    model = network()
    codes = letters(300)
    seen, places = [], []
    for start in range(0, 300 - OVERLAP, model.config.window - OVERLAP):
        part = codes[:, start : start + model.config.window]
        seen.append(model._states(part, torch.tensor([part.shape[1]]))[0][0])
        places.append(torch.arange(start, start + part.shape[1]))
    states, quarter = torch.cat(seen), torch.cat(places) // (300 // model.config.segments)
    means = [states[quarter == number].mean(0) for number in range(model.config.segments)]
    expected = model.head(torch.cat([states.amax(0), *means])[None])
    assert len(seen) > 2
    torch.testing.assert_close(answer(model, codes), expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("both_strands", [False, True])
def test_windows_do_not_depend_on_longer_neighbours(both_strands):
    model = network(both_strands=both_strands)
    codes = letters(400, rows=3)
    lengths = [400, 150, 40]
    for row, length in enumerate(lengths):
        codes[row, length:] = 0
    together = answer(model, codes, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(answer(model, codes[row : row + 1, :length])[0], together[row], rtol=1e-5, atol=1e-5)


def test_a_sequence_of_fewer_letters_than_segments_is_answered():
    assert answer(network(segments=16), letters(3)).isfinite().all()


def test_a_motif_at_the_very_end_of_a_long_sequence_is_seen():
    model = network()
    codes = letters(700)
    changed = codes.clone()
    changed[0, -3] = changed[0, -3] % 4 + 1
    assert not torch.allclose(answer(model, codes), answer(model, changed), atol=1e-7)


def test_fifty_thousand_letters_take_the_memory_of_one_window(monkeypatch):
    model = network(window=1024)
    sizes = []
    forward = model.encoder.forward

    def measured(vectors, lengths):
        sizes.append(vectors.shape[1])
        return forward(vectors, lengths)

    monkeypatch.setattr(model.encoder, "forward", measured)
    tracemalloc.start()
    assert answer(model, letters(50_000)).isfinite().all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(sizes) == 1024
    assert len(sizes) == 53  # of 960 letters each, and the last with what is left
    assert peak < 20e6


# -- config --


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alphabet": "rna"}, "no alphabet 'rna'"),
        ({"window": OVERLAP}, "window must be above 64"),
        ({"architecture": "grru"}, "did you mean 'gru'"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        Config(**changes)


def test_the_published_model_has_at_most_two_million_weights():
    for architecture in Config.ARCHITECTURES:
        model = SequenceClassificationModel(Config(architecture=architecture))
        assert sum(parameter.numel() for parameter in model.parameters()) <= 2_000_000
    assert set(TRAINING) <= {"default", *Config.ARCHITECTURES}


def test_transformers_own_auto_class_loads_what_was_saved(tmp_path):
    from transformers import AutoModelForSequenceClassification

    model = network()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert type(loaded) is medhub.get("genomics/classification").model_class is model_module.SequenceClassificationModel
    np.testing.assert_array_equal(answer(loaded, letters(50)), answer(model, letters(50)))
