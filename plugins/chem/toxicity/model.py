"""The networks: dense layers over substructures and descriptors, and convolutions over the letters of SMILES."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from medhub.modeling import MedModel, classification_loss

from .config import ToxicityConfig


class DenseNetwork(nn.Module):
    """One hidden layer, strongly regularised, over how often substructures occur and what the whole molecule is like.

    Normalising the hidden layer was worth more than further layers, further fingerprints or a larger width.
    """

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(config.input_dropout),
            nn.Linear(config.fingerprint_size + config.descriptors, config.hidden_size),
            nn.LayerNorm(config.hidden_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden_size, config.num_labels),
        )

    def forward(self, *, fingerprint: Tensor, descriptors: Tensor) -> Tensor:
        """Return logits (batch, labels) of counts (batch, fingerprint_size) and descriptors (batch, descriptors)."""
        # the first occurrence of a substructure says more than the tenth
        return self.layers(torch.cat([fingerprint.to(descriptors.dtype).log1p(), descriptors], dim=1))


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
        """Return logits (batch, labels) of tokens (batch, spellings, length), padded with 0."""
        mask = (tokens != 0).flatten(0, 1)[..., None]  # (batch * spellings, length, 1)
        hidden = self.widen(self.dropout(self.embedding(tokens)).flatten(0, 1)) * mask
        for block in self.blocks:
            hidden = block(hidden, mask)
        greatest = hidden.masked_fill(~mask, -torch.inf).amax(dim=1)
        mean = hidden.sum(dim=1) / mask.sum(dim=1)
        logits = self.head(torch.cat([greatest, mean], dim=1))
        return logits.unflatten(0, tokens.shape[:2]).mean(dim=1)


NETWORKS = {"dnn": DenseNetwork, "cnn": ConvolutionalNetwork}


class ToxicityModel(MedModel):
    """A toxicity model; `config.architecture` chooses the network."""

    config_class = ToxicityConfig

    def __init__(self, config: ToxicityConfig) -> None:
        super().__init__(config)
        self.network = NETWORKS[config.architecture](config)
        self.post_init()

    def forward(
        self,
        fingerprint: Tensor | None = None,
        descriptors: Tensor | None = None,
        tokens: Tensor | None = None,
        labels: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits (batch, labels), and the loss when labels (batch, labels) are given, NaN where unknown.

        "dnn" takes fingerprint (batch, fingerprint_size) and descriptors (batch, descriptors), "cnn" takes tokens
        (batch, spellings, length); `sample_weight` (batch, labels) weighs the terms of the loss.
        """
        if self.config.architecture == "dnn":
            logits = self.network(fingerprint=fingerprint, descriptors=descriptors)
        else:
            logits = self.network(tokens=tokens)
        loss = None if labels is None else classification_loss(logits, labels, sample_weight=sample_weight)
        return SequenceClassifierOutput(loss=loss, logits=logits)
