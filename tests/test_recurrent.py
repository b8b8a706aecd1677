"""The recurrent encoder against PyTorch's own packed sequences, and against padding."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from medhub.errors import ConfigError
from medhub.recurrent import CELLS, RecurrentEncoder, reverse_within

LENGTHS = torch.tensor([5, 1, 7])


@pytest.mark.parametrize("architecture", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_packed_sequences(architecture, bidirectional):
    torch.manual_seed(0)
    ours = RecurrentEncoder(architecture, 3, 4, layers=2, bidirectional=bidirectional)
    theirs = CELLS[architecture](3, 4, num_layers=2, bidirectional=bidirectional, batch_first=True)
    for layer, readers in enumerate(ours.layers):
        for reader, suffix in zip(readers, ("", "_reverse"), strict=False):
            for name, weight in reader.named_parameters():
                getattr(theirs, name.replace("_l0", f"_l{layer}{suffix}")).data.copy_(weight)
    vectors = torch.randn(3, 7, 3)
    packed = pack_padded_sequence(vectors, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(ours(vectors, LENGTHS), expected)
    assert ours.width == expected.shape[-1]


def test_padding_changes_nothing():
    torch.manual_seed(0)
    encoder, vectors = RecurrentEncoder("gru", 3, 4), torch.randn(3, 7, 3)
    longer = torch.cat([vectors, torch.full((3, 2, 3), 9.0)], dim=1)
    states = encoder(longer, LENGTHS)
    torch.testing.assert_close(states[:, :7], encoder(vectors, LENGTHS))
    assert (states[1, 1:] == 0).all()


def test_one_direction_sees_nothing_that_comes_later():
    torch.manual_seed(0)
    encoder, vectors = RecurrentEncoder("lstm", 3, 4, bidirectional=False), torch.randn(1, 7, 3)
    changed = vectors.clone()
    changed[0, 4:] = 5
    before, after = encoder(vectors, torch.tensor([7])), encoder(changed, torch.tensor([7]))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any()


def test_reversal_stays_within_the_length():
    numbers = torch.arange(1.0, 5).expand(2, 4)[..., None]
    assert reverse_within(numbers, torch.tensor([3, 4]))[..., 0].tolist() == [[3, 2, 1, 4], [4, 3, 2, 1]]


def test_unknown_network_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'lst'.*lstm.*Networks: rnn, lstm, gru"):
        RecurrentEncoder("lst", 3, 4)
