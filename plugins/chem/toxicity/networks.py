"""The networks: dense layers over substructures and descriptors, messages along bonds, convolutions over SMILES.

Each returns the logits of one answer or of several, (batch, answers, labels).
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import ToxicityConfig
from .graph import ATOM_FEATURES, BOND_FEATURES


def dense_layers(config: ToxicityConfig, width: int) -> nn.Sequential:
    """Return one hidden layer, strongly regularised, between `width` numbers and the logits.

    Normalising the hidden layer was worth more than further layers or a larger width.
    """
    return nn.Sequential(
        nn.Dropout(config.input_dropout),
        nn.Linear(width, config.hidden_size),
        nn.LayerNorm(config.hidden_size),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden_size, config.num_labels),
    )


class DenseNetwork(nn.Module):
    """Dense layers over how often substructures occur and what the whole molecule is like."""

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__()
        self.layers = dense_layers(config, config.fingerprint_size + config.descriptors)

    def forward(self, *, fingerprint: Tensor, descriptors: Tensor) -> Tensor:
        """Return logits (batch, 1, labels) of counts (batch, fingerprint_size) and descriptors (batch, descriptors)."""
        # the first occurrence of a substructure says more than the tenth
        counts = fingerprint.to(descriptors.dtype).log1p()
        return self.layers(torch.cat([counts, descriptors], dim=1))[:, None]


class Graph(NamedTuple):
    """The molecules of a batch as one graph without padding; what `graph_features` says stands one behind the other."""

    atoms: Tensor
    bonds: Tensor
    sources: Tensor
    """The atom from which each bond leads, (bonds,)."""
    targets: Tensor
    molecules: Tensor
    """The molecule of each atom, (atoms,)."""
    sizes: Tensor
    """The number of atoms of each molecule, (batch,)."""

    @classmethod
    def join(cls, atoms: Tensor, bonds: Tensor, ends: Tensor, lengths: Tensor) -> Self:
        """Join padded molecules: atoms (batch, most, ...), bonds and ends (batch, most, ...), atoms that count."""
        present = torch.arange(atoms.shape[1], device=atoms.device) < lengths[:, None]
        linked = ends[..., 0] != ends[..., 1]  # padding joins atom 0 to itself
        first = lengths.cumsum(0) - lengths
        sources, targets = (ends.long() + first[:, None, None])[linked].unbind(1)
        return cls(atoms[present].float(), bonds[linked].float(), sources, targets, present.nonzero()[:, 0], lengths)


class MessagePassing(nn.Module):
    """A vector of a molecule, from messages along its bonds (Yang et al. 2019).

    Each direction of a bond is told, step by step, what lies behind it, but not what it said itself the step before.
    In the end each atom hears the bonds that lead to it.
    """

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__()
        width = config.channels
        self.steps = config.steps
        self.start = nn.Linear(ATOM_FEATURES + BOND_FEATURES, width, bias=False)
        self.message = nn.Linear(width, width, bias=False)
        self.hear = nn.Linear(ATOM_FEATURES + width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, graph: Graph) -> Tensor:
        """Return the mean of the atoms of each molecule, (batch, channels)."""
        start = self.start(torch.cat([graph.atoms[graph.sources], graph.bonds], dim=1))
        hidden = start.relu()
        opposite = torch.arange(len(hidden), device=hidden.device) ^ 1  # the two directions stand side by side
        for _ in range(self.steps):
            arriving = _gather(hidden, graph.targets, count=len(graph.atoms))
            hidden = (start + self.message(arriving[graph.sources] - hidden[opposite])).relu()
        arriving = _gather(hidden, graph.targets, count=len(graph.atoms))
        atoms = self.hear(torch.cat([graph.atoms, arriving], dim=1)).relu()
        return self.norm(_gather(atoms, graph.molecules, count=len(graph.sizes)) / graph.sizes[:, None])


def _gather(vectors: Tensor, places: Tensor, *, count: int) -> Tensor:
    """Add up vectors (rows, width) by the place of each row: (count, width)."""
    return vectors.new_zeros(count, vectors.shape[1]).index_add(0, places, vectors)


class MessagePassingNetwork(nn.Module):
    """Two answers: one from messages along the bonds and descriptors, one from substructures and descriptors.

    They err on other molecules, so that their mean is better than either; one network over all of it leant on the
    substructures and learnt little from the graph.
    """

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__()
        self.messages = MessagePassing(config)
        self.layers = dense_layers(config, config.channels + config.descriptors)
        self.substructures = DenseNetwork(config)

    def forward(self, *, graph: Graph, fingerprint: Tensor, descriptors: Tensor) -> Tensor:
        """Return logits (batch, 2, labels) of the graph and of what "dnn" takes."""
        of_graph = self.layers(torch.cat([self.messages(graph), descriptors], dim=1))[:, None]
        return torch.cat([of_graph, self.substructures(fingerprint=fingerprint, descriptors=descriptors)], dim=1)


class ConvolutionBlock(nn.Module):
    """A residual block: a dilated convolution over positions, normalised position by position."""

    def __init__(self, config: ToxicityConfig, *, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.channels)
        self.convolution = nn.Conv1d(
            config.channels, config.channels, config.kernel_size, padding="same", dilation=dilation
        )

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return (rows, length, channels) of the same shape; what `mask` (rows, length, 1) excludes stays zero."""
        normal = self.norm(hidden) * mask
        return (hidden + functional.gelu(self.convolution(normal.mT).mT)) * mask


class ConvolutionalNetwork(nn.Module):
    """Convolutions over the tokens of several spellings of a molecule, the mean of what each spelling says.

    The dilation doubles from layer to layer, so that the last sees about 150 tokens at once: rings that close far away.
    """

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size, padding_idx=0)
        self.dropout = nn.Dropout(config.input_dropout)
        self.widen = nn.Linear(config.embedding_size, config.channels)
        self.blocks = nn.ModuleList(ConvolutionBlock(config, dilation=2**layer) for layer in range(config.layers))
        self.head = nn.Sequential(
            nn.Linear(2 * config.channels, config.hidden_size),
            nn.LayerNorm(config.hidden_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden_size, config.num_labels),
        )

    def forward(self, *, tokens: Tensor) -> Tensor:
        """Return logits (batch, 1, labels) of tokens (batch, spellings, length), padded with 0."""
        mask = (tokens != 0).flatten(0, 1)[..., None]  # (batch * spellings, length, 1)
        hidden = self.widen(self.dropout(self.embedding(tokens)).flatten(0, 1)) * mask
        for block in self.blocks:
            hidden = block(hidden, mask)
        greatest = hidden.masked_fill(~mask, -torch.inf).amax(dim=1)
        mean = hidden.sum(dim=1) / mask.sum(dim=1)
        logits = self.head(torch.cat([greatest, mean], dim=1))
        return logits.unflatten(0, tokens.shape[:2]).mean(dim=1, keepdim=True)
