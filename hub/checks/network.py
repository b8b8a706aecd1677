"""Rules about one network at its smallest: what `forward` promises to the training loop and to the predictor."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers.utils import ModelOutput

from medhub.checks.rows import close_rows, same_rows
from medhub.checks.subject import Network, Subject
from medhub.errors import CheckFailed, ConfigError, WeightsError, suggest
from medhub.modeling import MedModel
from medhub.training import Settings


def check_networks(subject: Subject) -> None:
    """The config lists the networks, gives each its smallest size, and says how each is trained."""
    kind = subject.task.config_class
    if (default := kind().architecture) not in subject.architectures:
        raise CheckFailed(f"the default network {default!r} is not in {kind.__name__}.ARCHITECTURES; add it there")
    for name in subject.architectures:
        if (found := kind.tiny(name).architecture) != name:
            raise CheckFailed(f"{kind.__name__}.tiny({name!r}) is a config of {found!r}; pass the name on")
    training = subject.task.module("config").TRAINING
    known = ("default", *subject.architectures)
    for name, settings in training.items():
        if name not in known:
            raise CheckFailed(f"TRAINING names the network {name!r}{suggest(name, known)} Names: {', '.join(known)}")
        Settings.from_dict(settings)  # raises with the nearest setting


def check_config(network: Network) -> None:
    """A config survives the disk, and refuses unknown keys and networks."""
    config, kind = network.config, type(network.config)
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        loaded = kind.from_pretrained(folder)
    for name in kind.own_fields():
        before, after = getattr(config, name), getattr(loaded, name)
        if before != after:
            raise CheckFailed(f"{name} is {before!r} before saving and {after!r} after; give it a type that JSON keeps")
    wrong: tuple[dict[str, Any], ...] = ({"no_such_key": 1}, {"architecture": "no such network"})
    for values in wrong:
        try:
            kind(**values)
        except ConfigError:
            continue
        raise CheckFailed(f"{kind.__name__} accepts {values}; call super().__post_init__(**kwargs) in yours")


def check_forward(network: Network) -> None:
    """`forward` returns finite logits, one row an input, and a loss when and only when labels are given."""
    for training in (False, True):
        model = network.model().train(training)
        with_labels = model(**network.batch(network.varied))
        without = model(**network.batch(network.varied, targets=False))
        for outputs in (with_labels, without):
            if not isinstance(outputs, ModelOutput) or outputs.get("logits") is None:
                raise CheckFailed(
                    f"forward returns {type(outputs).__name__} without logits; return a transformers ModelOutput"
                )
            if len(outputs["logits"]) != len(network.varied) or not outputs["logits"].isfinite().all():
                raise CheckFailed("logits must be finite, one row an input; look for logarithms and divisions of zero")
        loss = with_labels.get("loss")
        if loss is None or loss.ndim or not loss.isfinite():
            raise CheckFailed(
                f"with labels the loss must be one finite number, but it is {loss}; see classification_loss"
            )
        if without.get("loss") is not None:
            raise CheckFailed("there is a loss without labels; return loss=None unless labels are given")


def check_determinism(network: Network) -> None:
    """In evaluation mode the same input gives the same output, bit for bit."""
    model = network.disturbed()
    first, again = (network.scores(model, network.varied) for _ in range(2))
    if not same_rows(first, again):
        raise CheckFailed("model.eval() gives other scores on a second call; use nn.Dropout, which eval() switches off")


def check_neighbours(network: Network) -> None:
    """An input's scores depend neither on the others of its batch nor on their order."""
    model = network.disturbed()
    # the longest row is always there, so that padding stays the same; padding has a rule of its own
    *rest, longest = sorted(network.varied, key=lambda place: _length(network, place))
    before = network.scores(model, [longest, rest[0], *rest[1:4]])
    after = network.scores(model, [longest, rest[0], *rest[4:7]])
    turned = network.scores(model, [longest, rest[0], *rest[1:4]][::-1])[::-1]
    if not close_rows(before[1], after[1]) or not close_rows(before, turned):
        raise CheckFailed(
            "an input's scores change with the others of its batch; normalise each input by itself, or with BatchNorm, "
            "which eval() freezes"
        )


def check_padding(network: Network) -> None:
    """An input's scores are the same alone as padded to the length of a longer one."""
    if network.features.lengths is None:
        return
    model = network.disturbed()
    shortest, *_, longest = sorted(network.varied, key=lambda place: _length(network, place))
    if _length(network, shortest) == _length(network, longest):
        raise CheckFailed("synthetic() makes inputs of one length only; let lengths differ, so that padding is tried")
    alone, padded = (network.scores(model, places)[0] for places in ([shortest], [shortest, longest]))
    if not close_rows(alone, padded):
        raise CheckFailed(
            "padding changes an input's scores; mask what lies beyond `lengths` after every layer, and divide means by "
            "the true length"
        )


def check_weights(network: Network) -> None:
    """Saved and loaded weights give the same output bit for bit; a missing or extra tensor is refused."""
    model = network.disturbed()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        torch.manual_seed(2)  # what loading draws anew must show
        loaded = type(model).from_pretrained(folder).eval()
        _compare_states(model, loaded)
        try:
            same = same_rows(network.scores(model, network.varied), network.scores(loaded, network.varied))
        except (NotImplementedError, RuntimeError):  # transformers loads without memory: a stray tensor has no values
            same = False
        if not same:
            raise CheckFailed(
                "a loaded model gives other scores or none; make every tensor that forward uses a parameter or a buffer"
            )
        file = Path(folder) / "model.safetensors"
        tensors = load_file(file)
        fewer = dict([*tensors.items()][1:])
        more = {**tensors, "no_such_tensor": torch.zeros(1)}
        for fault, changed in (("a missing tensor", fewer), ("an extra tensor", more)):
            save_file(changed, file, metadata={"format": "pt"})
            try:
                type(model).from_pretrained(folder)
            except WeightsError:
                continue
            raise CheckFailed(
                f"weights with {fault} are loaded without a word; do not override MedModel.from_pretrained"
            )


def _compare_states(model: MedModel, loaded: MedModel) -> None:
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, loaded.state_dict()[name]):
            raise CheckFailed(f"{name} is not the same after saving and loading; it must stand in model.safetensors")


def _length(network: Network, place: int) -> int:
    """Return the length of a row's first ragged feature, 0 where there is none."""
    lengths = network.features.lengths
    return 0 if lengths is None else int(lengths[place])
