"""The bases of every config and model: transformers' own, made strict.

An unknown config key, a config of another task, and a missing, unexpected or mis-shaped weight are errors here, where
transformers warns or says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from medhub.errors import ConfigError, WeightsError, suggest

# what transformers itself hands to a config beside the config's own fields
_TRANSFORMERS_KEYS = {
    "_commit_hash",
    "_name_or_path",
    "attn_implementation",
    "experts_implementation",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "torch_dtype",
}


class MedConfig(PreTrainedConfig):
    """A model's settings: a transformers config that refuses keys it does not know.

    A subclass sets `model_type` (the task's), lists its networks in `ARCHITECTURES`, declares its fields with the
    published model's values as defaults, and gives `tiny()` for tests. `id2label` names the outputs.
    """

    ARCHITECTURES: ClassVar[tuple[str, ...]] = ()
    """The networks that `architecture` may name; a plugin that accepts more overrides `check_architecture`."""

    if TYPE_CHECKING:  # a config always has labels; transformers' annotations leave that open
        id2label: dict[int, str] = {}
        label2id: dict[str, int] = {}
        num_labels: int = 0

    architecture: str = ""
    problem_type: str | None = "single_label_classification"  # type: ignore[assignment]
    """Also "multi_label_classification"; None for a task whose answers are neither classes nor yes-or-no labels."""
    temperature: float = 1.0
    """Divides the logits; fitted on the validation split (Guo et al. 2017)."""
    conformal_thresholds: list[float] | None = None
    """Least probability with which a class belongs to the conformal set: one value, or one a label."""
    coverage: float = 0.9
    """Share of conformal sets that hold the truth, as far as new data resemble the validation split."""
    processor_sha256: str | None = None
    """Hash of the processor that the weights were trained with."""

    def __post_init__(self, **kwargs: Any) -> None:
        model_type = kwargs.pop("model_type", self.model_type)
        if model_type != self.model_type:
            raise ConfigError(
                f"this is a config of model type {model_type!r}, but {type(self).__name__} needs {self.model_type!r}; "
                "load the folder with medhub.from_pretrained, which finds the right task"
            )
        known = {name for name in self.__dataclass_fields__ if not name.startswith("_")} | _TRANSFORMERS_KEYS
        for key in kwargs:
            if key not in known:
                raise ConfigError(
                    f"{type(self).__name__} has no key {key!r}{suggest(key, known)} "
                    f"Keys of its own: {', '.join(self.own_fields())}"
                )
        super().__post_init__(**kwargs)
        self.check_architecture()

    @classmethod
    def own_fields(cls) -> tuple[str, ...]:
        """Names of the fields that this class and MedConfig add to transformers' config."""
        return tuple(name for name in cls.__dataclass_fields__ if name not in PreTrainedConfig.__dataclass_fields__)

    @classmethod
    def tiny(cls, architecture: str | None = None, **changes: Any) -> Self:
        """Return the smallest useful config of a network, for tests: it trains in well under a second a step."""
        raise NotImplementedError(f"{cls.__name__} must define tiny(architecture=None)")

    def check_architecture(self) -> None:
        """Raise ConfigError when `architecture` is not one of the networks."""
        if self.ARCHITECTURES and self.architecture not in self.ARCHITECTURES:
            raise ConfigError(
                f"{type(self).__name__} has no network {self.architecture!r}"
                f"{suggest(self.architecture, self.ARCHITECTURES)} Networks: {', '.join(self.ARCHITECTURES)}"
            )


class MedModel(PreTrainedModel):
    """A network: a transformers model whose weights load exactly or not at all.

    `forward(**batch)` returns a ModelOutput with `logits`, and with `loss` when and only when `labels` are given.
    """

    config_class: type[MedConfig]
    config: MedConfig
    base_model_prefix = ""

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the initialisation that each layer chose; transformers would draw every layer anew at std 0.02."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load config and weights from a folder or a Hub repository.

        Takes transformers' arguments. Raises ConfigError for a config of another task or with unknown keys, and
        WeightsError when the weights file does not hold exactly the tensors that the config calls for.
        """
        want_info = kwargs.pop("output_loading_info", False)
        kwargs["use_safetensors"] = True
        loaded: Any
        try:
            with quiet_transformers():
                loaded = super().from_pretrained(
                    pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
                )
        except (RuntimeError, SafetensorError) as error:
            raise WeightsError(
                f"model.safetensors in {pretrained_model_name_or_path} does not fit {cls.__name__}: {error}; "
                "restore it from where the model came"
            ) from error
        model, info = loaded
        cls._refuse_misfits(str(pretrained_model_name_or_path), info)
        model._restore_unsaved_buffers()
        # weights mapped from the file lie at odd addresses, where some kernels round otherwise than in training
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()
        return (model, info) if want_info else model

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Write config.json and model.safetensors into a folder; takes transformers' arguments."""
        with quiet_transformers():
            super().save_pretrained(*args, **kwargs)

    @classmethod
    def _refuse_misfits(cls, place: str, info: dict[str, Any]) -> None:
        missing, unexpected = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
        if not missing and not unexpected:
            return
        parts = []
        if missing:
            parts.append(f"lacks {_some(missing)}{suggest(missing[0], unexpected) if unexpected else ''}")
        if unexpected:
            parts.append(f"holds the unexpected {_some(unexpected)}")
        raise WeightsError(
            f"model.safetensors in {place} does not fit {cls.__name__}: the file {' and '.join(parts)}; "
            "config.json and model.safetensors must come from one training run"
        )

    def _restore_unsaved_buffers(self) -> None:
        """Recompute buffers that are not saved: transformers builds the model without memory and leaves them blank."""
        unsaved = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in self.named_modules()
            for name in module._non_persistent_buffers_set
        }
        if not unsaved:
            return
        fresh = dict(type(self)(self.config).named_buffers())
        with torch.no_grad():
            for name, buffer in self.named_buffers():
                if name in unsaved:
                    buffer.copy_(fresh[name])

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by player, in the order in which each takes its step.

        An adversarial model returns several ("discriminator", "generator"); the training loop then keeps an optimiser
        a player and calls `model(**batch, player=name)` for each player's loss.
        """
        return {"model": [parameter for parameter in self.parameters() if parameter.requires_grad]}


def classification_loss(logits: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> Tensor:
    """Return the mean loss of a classifier, a scalar.

    Integer labels of shape (batch,) are classes: cross entropy over logits of shape (batch, classes). Float labels of
    shape (batch, labels) are yes or no each, NaN where unknown: binary cross entropy over the known ones.
    `sample_weight` has the shape of `labels` and weighs each term.
    """
    if labels.is_floating_point():
        known = ~labels.isnan()
        losses = functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
        weights = known if sample_weight is None else known * sample_weight
        return (losses * weights).sum() / weights.sum().clamp(min=1e-12)
    if sample_weight is None:
        return functional.cross_entropy(logits, labels)
    losses = functional.cross_entropy(logits, labels, reduction="none")
    return (losses * sample_weight).sum() / sample_weight.sum().clamp(min=1e-12)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' bars and reports of loading and saving: what they report, MedHub raises."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
