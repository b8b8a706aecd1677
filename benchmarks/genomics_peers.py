"""What `genomics.py` is held against: parasail, Biopython, PyTorch's packed sequences and transformers' pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import EsmConfig, EsmForTokenClassification, Pipeline, PreTrainedTokenizerFast, pipeline

from medhub.recurrent import RecurrentEncoder

Epoch = Callable[[], object]
Pairs = Sequence[tuple[str, str]]

OPEN, EXTEND = 11, 1
"""Cost of a gap beside that of each residue in it, and the latter."""


def parasail_aligner(pairs: Pairs) -> Epoch:
    """Align globally with the quickest of parasail's vector kernels for such lengths, to CIGAR strings."""
    import parasail

    def align() -> list[bytes]:
        # parasail counts a gap's first residue in the cost of opening it
        found = [parasail.nw_trace_scan_16(*pair, OPEN + EXTEND, EXTEND, parasail.blosum62) for pair in pairs]
        return [result.cigar.decode for result in found]

    return align


def biopython_aligner(pairs: Pairs) -> Epoch:
    """Align globally with Biopython's PairwiseAligner, to the first of the best alignments."""
    from Bio.Align import PairwiseAligner, substitution_matrices

    aligner = PairwiseAligner(
        mode="global", substitution_matrix=substitution_matrices.load("BLOSUM62"),
        open_gap_score=-(OPEN + EXTEND), extend_gap_score=-EXTEND,
    )  # fmt: skip
    return lambda: [aligner.align(*pair)[0].coordinates for pair in pairs]


class PackedEncoder(nn.Module):
    """A RecurrentEncoder's network with its weights, as PyTorch's manual has it: `nn.LSTM` over packed sequences."""

    def __init__(self, encoder: RecurrentEncoder) -> None:
        super().__init__()
        layers: Any = encoder.layers
        cell = layers[0][0]
        self.network = type(cell)(
            cell.input_size, cell.hidden_size, num_layers=len(layers), bidirectional=len(layers[0]) == 2,
            dropout=encoder.dropout.p, batch_first=True,
        )  # fmt: skip
        weights = {}
        for number, directions in enumerate(layers):
            for cell, ending in zip(directions, ("", "_reverse"), strict=False):
                for name, tensor in cell.state_dict().items():  # "weight_ih_l0"
                    weights[f"{name[:-1]}{number}{ending}"] = tensor
        self.network.load_state_dict(weights)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return states (batch, length, width), 0 in the padding."""
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.network(packed)[0], batch_first=True, total_length=vectors.shape[1])[0]


def token_classifier(letters: str, labels: Sequence[str], *, parameters: int) -> Pipeline:
    """Return transformers' pipeline with an untrained ESM-2 of about so many parameters, and a tokenizer of letters."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    vocabulary = {token: number for number, token in enumerate(("[PAD]", "[UNK]", *letters))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    width, layers = 192, 4
    attention = 4 * width**2
    config = EsmConfig(
        vocab_size=len(vocabulary), pad_token_id=0, mask_token_id=1, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=width // 32, intermediate_size=round((parameters / layers - attention) / (2 * width)),
        position_embedding_type="rotary", id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )  # fmt: skip
    torch.manual_seed(0)
    return pipeline(
        "token-classification", model=EsmForTokenClassification(config).eval(), device="cpu",
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"),
    )  # fmt: skip
