"""The model: several networks of one kind that learn side by side, and answer together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from medhub.modeling import MedModel, classification_loss

from .config import ToxicityConfig
from .networks import ConvolutionalNetwork, DenseNetwork, Graph, MessagePassingNetwork

NETWORKS = {"dnn": DenseNetwork, "cnn": ConvolutionalNetwork, "mpnn": MessagePassingNetwork}


@dataclass
class ToxicityOutput(ModelOutput):
    """What the members say together, and each by itself."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    """The mean of all answers, (batch, labels)."""
    answers: Tensor | None = None
    """The logits of each answer, (batch, answers, labels): one a member, of "mpnn" two."""


class ToxicityModel(MedModel):
    """A toxicity model; `config.architecture` chooses the network, and `config.members` how many of it there are."""

    config_class = ToxicityConfig
    config: ToxicityConfig

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__(config)
        self.members = nn.ModuleList(NETWORKS[config.architecture](config) for _ in range(config.members))
        self.post_init()

    def forward(
        self,
        fingerprint: Tensor | None = None,
        descriptors: Tensor | None = None,
        tokens: Tensor | None = None,
        atoms: Tensor | None = None,
        bonds: Tensor | None = None,
        ends: Tensor | None = None,
        lengths: Tensor | None = None,
        labels: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> ToxicityOutput:
        """Return logits (batch, labels), and the answers' mean loss when labels (batch, labels) are given, NaN where
        unknown.

        "dnn" takes fingerprint (batch, fingerprint_size) and descriptors (batch, descriptors), "cnn" takes tokens
        (batch, spellings, length), and "mpnn" takes what "dnn" does and graphs: atoms (batch, most atoms,
        ATOM_FEATURES), of which `lengths` (batch,) count, and directed bonds (batch, most bonds, BOND_FEATURES) with
        their ends (batch, most bonds, 2). `sample_weight` (batch, labels) weighs the terms of the loss.
        """
        inputs: dict[str, Tensor | Graph | None]
        if self.config.architecture == "cnn":
            inputs = {"tokens": tokens}
        else:
            inputs = {"fingerprint": fingerprint, "descriptors": descriptors}
        if self.config.architecture == "mpnn":
            assert atoms is not None
            assert bonds is not None
            assert ends is not None
            assert lengths is not None
            inputs["graph"] = Graph.join(atoms, bonds, ends, lengths)  # once for all members
        answers = torch.cat([member(**inputs) for member in self.members], dim=1)
        loss = None
        if labels is not None:
            # each answer is judged by itself: a loss of their mean would let them lean on each other
            losses = [classification_loss(a, labels, sample_weight=sample_weight) for a in answers.unbind(1)]
            loss = torch.stack(losses).mean()
        return ToxicityOutput(loss=loss, logits=answers.mean(dim=1), answers=answers)
