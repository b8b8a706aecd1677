"""The networks: a reader of molecules into latents, a writer of latents into molecules, a prior over latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from transformers.utils import ModelOutput

from medhub.modeling import MedModel
from medhub.recurrent import RecurrentEncoder

from .config import OptimizationConfig
from .priors import AdversarialPrior, NormalPrior, dense
from .properties import PROPERTIES
from .tokens import BOUND, PADDING, UNKNOWN


@dataclass
class OptimizationOutput(ModelOutput):
    """What `forward` returns; molecules are tokens, padded behind their bound."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    """Properties that the heads expect of the given molecules, standardised: (batch, properties)."""
    sampled: Tensor | None = None
    """A molecule a row, drawn from the prior and so independent of the given one: (batch, longest)."""
    near: Tensor | None = None
    """Molecules near the given one: (batch, proposals, longest)."""


class Reader(nn.Module):
    """Recurrent cells in both directions over a molecule's tokens; mean and maximum over its length."""

    def __init__(self, config: OptimizationConfig, *, statistics: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size, padding_idx=PADDING)
        self.recurrent = RecurrentEncoder("gru", config.embedding_size, config.encoder_size)
        self.output = nn.Linear(2 * self.recurrent.width, statistics)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return (batch, statistics) of tokens (batch, length), of which the first `lengths` (batch,) count."""
        states = self.recurrent(self.embedding(tokens), lengths)
        absent = torch.arange(tokens.shape[1], device=tokens.device) >= lengths[:, None]
        mean = states.sum(1) / lengths[:, None]
        highest = states.masked_fill(absent[..., None], -torch.inf).amax(1)
        return self.output(torch.cat([mean, highest], dim=1))


class Writer(nn.Module):
    """A recurrent layer that writes a molecule token by token, with the latent before its eyes at each."""

    def __init__(self, config: OptimizationConfig) -> None:
        super().__init__()
        self.longest, self.masking = config.longest, config.masking
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size, padding_idx=PADDING)
        self.begin = nn.Linear(config.latent_size, config.decoder_size)
        self.recurrent = nn.GRU(config.embedding_size + config.latent_size, config.decoder_size, batch_first=True)
        self.output = nn.Linear(config.decoder_size, config.vocabulary_size)

    def forward(self, latents: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (batch,) of molecules (batch, length), their bound included."""
        ended = functional.pad(tokens, (0, 1)).scatter(1, lengths[:, None], BOUND)
        before = functional.pad(tokens, (1, 0), value=BOUND)
        if self.training and self.masking:
            hidden = torch.rand(before.shape, device=before.device) < self.masking
            before = before.masked_fill(hidden, UNKNOWN)
        states, _ = self.recurrent(self._inputs(before, latents), self._first_state(latents))
        losses = functional.cross_entropy(
            self.output(states).float().flatten(0, 1), ended.flatten(), ignore_index=PADDING, reduction="none"
        )
        return losses.view(ended.shape).sum(1)

    def write(self, latents: Tensor, draws: Tensor | None = None) -> Tensor:
        """Return tokens (rows, longest) of latents (rows, latent_size).

        `draws` (rows, longest) between 0 and 1 choose each token by its probability; without, the likeliest is taken.
        """
        tokens = latents.new_full((len(latents), self.longest), PADDING, dtype=torch.long)
        state = self._first_state(latents)
        last = latents.new_full((len(latents),), BOUND, dtype=torch.long)
        ended = torch.zeros_like(last, dtype=torch.bool)
        for place in range(self.longest):
            states, state = self.recurrent(self._inputs(last[:, None], latents), state)
            logits = self.output(states[:, 0]).float()
            logits[:, [PADDING, UNKNOWN, *([BOUND] if place == 0 else [])]] = -torch.inf
            if draws is None:
                last = logits.argmax(1)
            else:
                reached = logits.softmax(1).cumsum(1) <= draws[:, place, None]
                last = reached.sum(1).clamp(max=logits.shape[1] - 1)
            last = last.masked_fill(ended, PADDING)
            tokens[:, place] = last
            ended |= last == BOUND
            if ended.all():
                break
        return tokens

    def _inputs(self, tokens: Tensor, latents: Tensor) -> Tensor:
        return torch.cat([self.embedding(tokens), latents[:, None].expand(-1, tokens.shape[1], -1)], dim=2)

    def _first_state(self, latents: Tensor) -> Tensor:
        return self.begin(latents).tanh()[None]


class OptimizationModel(MedModel):
    """An autoencoder of molecules with a prior over its latents, and heads that tell properties from a latent.

    "vae" keeps the latents near the standard normal distribution, which is then sampled (Kingma and Welling 2014).
    "gan" has a generator learn, against a discriminator, to make latents such as the reader makes (Prykhodko et al.
    2019), while reader and writer are learning too.
    """

    config_class = OptimizationConfig
    config: OptimizationConfig

    def __init__(self, config: OptimizationConfig) -> None:
        super().__init__(config)
        self.prior = AdversarialPrior(config) if config.architecture == "gan" else NormalPrior(config)
        self.reader = Reader(config, statistics=self.prior.statistics)
        self.writer = Writer(config)
        self.heads = dense(config.latent_size, config.adversary_size, len(PROPERTIES), hidden=1)
        self.post_init()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return who learns against whom: of "gan" the discriminator, and all others."""
        if not isinstance(self.prior, AdversarialPrior):
            return super().players()
        judges = [*self.prior.discriminator.parameters()]
        known = {id(weights) for weights in judges}
        others = [weights for weights in self.parameters() if id(weights) not in known]
        return {"discriminator": judges, "generator": others}

    def forward(
        self,
        *,
        tokens: Tensor,
        lengths: Tensor,
        seed: Tensor,
        labels: Tensor | None = None,
        player: str = "generator",
    ) -> OptimizationOutput:
        """Return the loss with `labels`, standardised properties (batch, properties) with NaN for unknown; molecules
        without.

        `tokens` are (batch, length). `seed` (batch,) is where each row's chance comes from, so that what is drawn for a
        row depends on no other. `player` says whose loss is asked for, where there are two.
        """
        if player == "discriminator" and labels is not None and isinstance(self.prior, AdversarialPrior):
            with torch.no_grad():
                latents = self.encode(tokens, lengths)
            return OptimizationOutput(loss=self.prior.discriminator_loss(latents), logits=self.heads(latents).detach())
        statistics = self.reader(tokens, lengths)
        settled = self.prior.settle(statistics)
        expected = self.heads(settled)
        if labels is None:
            sampled, near = self._write_rows(settled, seed)
            return OptimizationOutput(logits=expected, sampled=sampled, near=near)
        latents, divergence = self.prior.draw(statistics)
        loss = (self.writer(latents, tokens, lengths) + divergence).mean()
        loss = loss + self.config.property_weight * _squared_error(expected, labels)
        if isinstance(self.prior, AdversarialPrior):
            loss = loss + self._adversarial_loss(self.prior, rows=len(tokens))
        return OptimizationOutput(loss=loss, logits=expected)

    def encode(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the latents (batch, latent_size) that stand for molecules."""
        return self.prior.settle(self.reader(tokens, lengths))

    def _adversarial_loss(self, prior: AdversarialPrior, *, rows: int) -> Tensor:
        """Return the generator's loss, less the drug-likeness that the property head expects of what it makes."""
        fooled, made = prior.generator_loss(rows)
        frozen = {name: weights.detach() for name, weights in self.heads.named_parameters()}
        reward = functional_call(self.heads, frozen, (made,))[:, [*PROPERTIES].index("qed")].float().mean()
        return self.config.adversary_weight * fooled - self.config.reward * reward

    def _write_rows(self, latents: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        """Write a molecule of the prior and `proposals` neighbours for each row."""
        config, many = self.config, 1 + self.config.proposals
        normal, uniform = _noise(seed, (many, config.latent_size), (many, config.longest))
        normal, uniform = normal.to(latents.device), uniform.to(latents.device)
        near = self.prior.move(latents[:, None], config.spread * normal[:, 1:])
        together = torch.cat([self.prior(normal[:, 0])[:, None], near], dim=1)
        written = self.writer.write(together.flatten(0, 1).to(latents.dtype), uniform.flatten(0, 1))
        written = written.view(len(latents), many, -1)
        return written[:, 0], written[:, 1:]


def _squared_error(expected: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error over the known labels, 0 where none is."""
    known = ~labels.isnan()
    squares = (expected.float() - labels.nan_to_num()) ** 2 * known
    return squares.sum() / known.sum().clamp(min=1)


def _noise(seed: Tensor, normal: tuple[int, int], uniform: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return standard normal and uniform noise of the given shapes for each row, from its own seed."""
    rows = []
    for number in seed.tolist():
        generator = torch.Generator().manual_seed(number)
        rows.append((torch.randn(normal, generator=generator), torch.rand(uniform, generator=generator)))
    normals, uniforms = zip(*rows, strict=True)
    return torch.stack(normals), torch.stack(uniforms)
