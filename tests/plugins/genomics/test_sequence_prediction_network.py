"""The network that labels positions: what it may see, long sequences in windows, what it learns."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medhub.errors import ConfigError
from medhub.plugins.genomics.prediction import model as network
from medhub.plugins.genomics.prediction.config import CONTEXT, SequencePredictionConfig
from medhub.plugins.genomics.prediction.model import IGNORED, SequencePredictionModel
from medhub.plugins.genomics.prediction.windows import cut_windows, share_out
from medhub.sequences.alphabets import DNA

ARCHITECTURES = SequencePredictionConfig.ARCHITECTURES


def make(architecture: str = "gru", **changes) -> SequencePredictionModel:
    torch.manual_seed(0)
    names = {0: "H", 1: "E", 2: "C"}
    config = SequencePredictionConfig.tiny(architecture, **{"alphabet": "protein", "id2label": names, **changes})
    return SequencePredictionModel(config).eval()


def letters(*lengths: int, size: int = 20) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(1, size + 1, (length,), generator=generator) for length in lengths]
    return {"input_ids": torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), "lengths": torch.tensor(lengths)}


@torch.inference_mode()
def answer(model: SequencePredictionModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**batch).logits


@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.integers(21, 90), st.integers(1, 10))
def test_windows_answer_every_position_once_and_read_around_it(lengths, size, context):
    windows = cut_windows(lengths, size=size, context=context)
    answered = {row: [] for row in range(len(lengths))}
    for window in windows:
        assert 0 < window.length <= size
        assert window.start <= window.first < window.last <= window.stop
        assert window.start == 0 or window.first - window.start >= context
        assert window.stop == lengths[window.row] or window.stop - window.last >= context
        answered[window.row] += range(window.first, window.last)
    assert answered == {row: [*range(length)] for row, length in enumerate(lengths)}


@given(st.lists(st.integers(1, 99), min_size=1, max_size=20))
def test_groups_of_windows_hold_all_of_them_and_no_more_letters_than_allowed(lengths):
    windows = cut_windows(lengths, size=99, context=10)
    groups = [*share_out(windows, letters=300)]
    assert sorted(window.row for group in groups for window in group) == [*range(len(lengths))]
    assert all(len(group) * max(window.length for window in group) <= 300 for group in groups)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_short_sequences_are_answered_alike_in_windows_and_whole(architecture, monkeypatch):
    model, batch = make(architecture), letters(30, 7, 19)
    whole = answer(model, batch)
    monkeypatch.setattr(network, "LETTERS_AT_ONCE", 40)
    in_windows = answer(model, batch)
    for row, length in enumerate(batch["lengths"]):
        assert torch.allclose(whole[row, :length], in_windows[row, :length], atol=1e-6)


def test_a_long_sequence_is_answered_as_its_windows_are_alone():
    model = make()
    size = model.config.window
    batch = letters(2 * size, 50)
    whole = answer(model, batch)
    for window in cut_windows([2 * size], size=size, context=CONTEXT):
        part = batch["input_ids"][:1, window.start : window.stop]
        alone = answer(model, {"input_ids": part, "lengths": torch.tensor([window.length])})[0]
        own = slice(window.first - window.start, window.last - window.start)
        assert torch.allclose(whole[0, window.first : window.last], alone[own], atol=1e-6)
    short = answer(model, {"input_ids": batch["input_ids"][1:, :50], "lengths": torch.tensor([50])})
    assert torch.allclose(whole[1, :50], short[0], atol=1e-6)


@pytest.mark.parametrize("length", [50_000, 100_000])
def test_what_is_read_at_once_does_not_grow_with_the_sequence(length):
    model, read = make(window=1024), []
    model.reader.encoder.register_forward_hook(lambda _, inputs, output: read.append(output.shape[0] * output.shape[1]))
    logits = answer(model, letters(length))
    assert logits.shape == (1, length, 3)
    assert logits.isfinite().all()
    assert max(read) <= network.LETTERS_AT_ONCE < length < sum(read)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_labels_see_both_sides_and_next_only_what_stands_before(architecture):
    batch = letters(40)
    changed = {**batch, "input_ids": batch["input_ids"].clone()}
    changed["input_ids"][0, 20] = changed["input_ids"][0, 20] % 20 + 1
    both, causal = make(architecture, objective="labels"), make(architecture, objective="next", stem_kernels=[3, 7])
    moved = (answer(both, batch) - answer(both, changed)).abs().sum(-1)[0]
    assert (moved[17:24] > 0).all()
    moved = (answer(causal, batch) - answer(causal, changed)).abs().sum(-1)[0]
    assert (moved[:20] == 0).all()
    assert (moved[20:30] > 0).all()


def test_the_stem_is_optional():
    without = make(stem_kernels=[])
    assert not len(without.reader.stem)
    assert answer(without, letters(9, 4)).isfinite().all()


def test_masking_hides_letters_in_training_only():
    model = make(masking=0.5)
    batch = letters(200)
    assert torch.equal(answer(model, batch), answer(model, batch))
    seen = []
    model.reader.embedding.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    model.train()(**batch)
    hidden = seen[0] == model.config.letters.unknown
    assert 60 < hidden.sum() < 140
    assert torch.equal(seen[0][~hidden], batch["input_ids"][~hidden])


def test_only_scored_positions_make_the_loss():
    model, batch = make(), letters(12, 5)
    labels = torch.full((2, 12), IGNORED)
    assert model(**batch, labels=labels).loss == 0
    labels[0, 3:6] = torch.tensor([0, 2, 1])
    output = model(**batch, labels=labels)
    wanted = torch.nn.functional.cross_entropy(output.logits[0, 3:6], labels[0, 3:6])
    assert output.loss.item() == pytest.approx(wanted.item())


def test_the_next_letter_of_a_repeat_is_learnt():
    sequence = DNA.encode("ACCGT" * 12).astype(int)
    inputs = torch.from_numpy(sequence)[None]
    labels = torch.cat([inputs[:, 1:] - 1, torch.full((1, 1), IGNORED)], dim=1)
    model = make("lstm", alphabet="dna", objective="next", id2label=dict(enumerate(DNA.letters))).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        optimiser.zero_grad()
        loss = model(input_ids=inputs, lengths=torch.tensor([60]), labels=labels).loss
        loss.backward()
        losses.append(loss.item())
        optimiser.step()
    assert losses[0] > math.log(3)  # of 4 letters
    assert losses[-1] < math.log(1.2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alphabet": "proteins"}, "alphabet cannot be 'proteins'; did you mean 'protein'"),
        ({"objective": "label"}, "objective cannot be 'label'; did you mean 'labels'"),
        ({"window": 2 * CONTEXT}, "window must be above"),
        ({"stem_kernels": [3, 4]}, "stem_kernels must be odd"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        SequencePredictionConfig(**changes)


def test_the_published_model_fits_into_ten_megabytes_at_16_bits():
    model = SequencePredictionModel(SequencePredictionConfig(id2label={0: "H", 1: "E", 2: "C"}))
    assert sum(parameter.numel() for parameter in model.parameters()) * 2 < 10e6
