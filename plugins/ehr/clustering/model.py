"""The networks: an autoencoder and principal components, with groups in the space between encoder and decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import ModelOutput

from medhub.modeling import MedModel
from medhub.recurrent import RecurrentEncoder

from .config import PatientClusteringConfig
from .groups import Groups

SETTLING = 300
"""Batches in which groups follow the patients that the processor gave them, before they go on by themselves."""


@dataclass
class PatientClusteringOutput(ModelOutput):
    """What the model returns: of each patient the groups' log-densities, the place, and what was read."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    """(batch, groups): the logarithm of each group's density, less a constant of the patient's."""
    latent: Tensor | None = None
    """(batch, latent_size)"""
    inputs: Tensor | None = None
    """(batch, inputs) as they were read, 0 where unknown."""


class PrincipalComponents(nn.Module):
    """An encoder and decoder that share one matrix: what they lose is least for the principal components.

    So it is for any other axes of the same plane (Baldi and Hornik 1989, 10.1016/0893-6080(89)90014-2), between which
    distances, and so k-means, make no difference.
    """

    def __init__(self, config: PatientClusteringConfig) -> None:
        super().__init__()
        self.components = nn.Parameter(nn.init.orthogonal_(torch.empty(config.inputs, config.latent_size)))

    def encode(self, inputs: Tensor, known: Tensor, steps: Tensor | None, lengths: Tensor | None) -> Tensor:
        """Return the place of each patient, (batch, latent_size)."""
        return inputs @ self.components

    def decode(self, latent: Tensor) -> Tensor:
        """Return the inputs that a place stands for, (batch, inputs)."""
        return latent @ self.components.T


class Autoencoder(nn.Module):
    """Encoder and decoder that are each a linear map and, beside it, two layers that bend it.

    The encoder's bent part also sees which inputs are known. "gru" sees the series in place of its summary.
    """

    def __init__(self, config: PatientClusteringConfig) -> None:
        super().__init__()
        width = config.inputs
        self.timeless, self.masking = config.timeless, config.masking
        self.reader = None
        if config.reads_series:
            self.reader = RecurrentEncoder("gru", 3 * config.variables, config.hidden_size, bidirectional=False)
            width = config.hidden_size + config.timeless
        hidden, dropout = config.hidden_size, config.dropout
        self.encoder = Bent(width, config.latent_size, hidden=hidden, dropout=dropout, beside=width)
        self.decoder = Bent(config.latent_size, config.inputs, hidden=hidden, dropout=dropout)

    def encode(self, inputs: Tensor, known: Tensor, steps: Tensor | None, lengths: Tensor | None) -> Tensor:
        """Return the place of each patient, (batch, latent_size)."""
        if self.training:
            seen = torch.rand_like(inputs) >= self.masking
            inputs, known = inputs * seen, known * seen
        if self.reader is not None:
            assert steps is not None
            assert lengths is not None
            states = self.reader(steps, lengths)
            last = states[torch.arange(len(states), device=states.device), lengths - 1]
            first = inputs.shape[1] - self.timeless
            inputs = torch.cat([last, inputs[:, first:]], dim=1)
            known = torch.cat([torch.ones_like(last), known[:, first:]], dim=1)
        return self.encoder(inputs, known)

    def decode(self, latent: Tensor) -> Tensor:
        """Return the inputs that a place stands for, (batch, inputs)."""
        return self.decoder(latent)


class Bent(nn.Module):
    """A linear map, and the sum of it and a small network that may see `beside` numbers more."""

    def __init__(self, width_in: int, width: int, *, hidden: int, dropout: float, beside: int = 0) -> None:
        super().__init__()
        self.straight = nn.Linear(width_in, width)
        nn.init.orthogonal_(self.straight.weight)
        self.bent = nn.Sequential(
            nn.Linear(width_in + beside, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )

    def forward(self, vectors: Tensor, *beside: Tensor) -> Tensor:
        """Return (batch, width) for (batch, width_in)."""
        return self.straight(vectors) + self.bent(torch.cat([vectors, *beside], dim=1))


NETWORKS: dict[str, type[PrincipalComponents | Autoencoder]] = {
    "autoencoder": Autoencoder,
    "pca": PrincipalComponents,
}


class PatientClusteringModel(MedModel):
    """Places patients in a small space, and gives them to the groups there."""

    config_class = PatientClusteringConfig
    batches: Tensor

    def __init__(self, config: PatientClusteringConfig) -> None:
        super().__init__(config)
        self.network = NETWORKS[config.architecture](config)
        self.groups = Groups(config.groups or 2, config.latent_size, mixture=config.clusters == "mixture")
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        self.post_init()

    def forward(
        self,
        inputs: Tensor,
        known: Tensor,
        start: Tensor,
        steps: Tensor | None = None,
        lengths: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> PatientClusteringOutput:
        """Return places and groups for inputs (batch, inputs) with 1 in `known` where they are; with labels, the loss.

        `start` (batch,) is the group that a patient is given to at first; "gru" reads `steps` (batch, length,
        3 * variables), of which the first `lengths` (batch,) count. The labels are not looked at: what is learnt is to
        rebuild the inputs and, after SETTLING batches, to be near in them to the centre of the own group.
        """
        latent = self.network.encode(inputs, known, steps, lengths).float()
        if labels is None:
            return PatientClusteringOutput(logits=self.groups(latent), latent=latent, inputs=inputs)
        settled = self.batches >= SETTLING  # stays on the device: nothing waits for it
        if self.training:
            given = functional.one_hot(start, len(self.groups.shares)).to(latent.dtype)
            self.groups.follow(latent.detach(), torch.where(settled, self.groups.belongs(latent.detach()), given))
            self.batches += 1
        loss = self.rebuilding_error(latent, inputs, known)
        if self.config.architecture != "pca":
            loss = loss + self.config.pull * settled * self.distance_from_centres(latent, inputs)
        return PatientClusteringOutput(loss=loss, logits=self.groups(latent), latent=latent, inputs=inputs)

    def rebuilding_error(self, latent: Tensor, inputs: Tensor, known: Tensor) -> Tensor:
        """Return the mean squared error of the rebuilt inputs, a scalar: of those that are known, but for "pca"."""
        errors = (self.network.decode(latent) - inputs) ** 2
        if self.config.architecture == "pca":  # which has no notion of unknown, only of the mean
            return errors.mean()
        return (errors * known).sum() / known.sum().clamp(min=1)

    def distance_from_centres(self, latent: Tensor, inputs: Tensor) -> Tensor:
        """Return the mean squared distance between patients' inputs and those of their groups' centres, a scalar.

        A centre's inputs are what the decoder makes of it. So an encoder lowers this by giving patients to the group
        that they are most like, and by no change of scale of its own space.
        """
        errors = ((inputs[:, None] - self.network.decode(self.groups.centres)) ** 2).mean(-1)
        return (self.groups(latent).softmax(-1) * errors).sum(-1).mean()
