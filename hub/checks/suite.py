"""The rules in the order in which they run, and how they are run."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from medhub.checks import data, learning, network, processes, source, use
from medhub.checks.subject import Subject
from medhub.errors import CheckFailed, MedHubError, suggest
from medhub.modeling import quiet_transformers
from medhub.registry import Task


@dataclass(frozen=True)
class Rule:
    """What every plugin keeps. `check` raises CheckFailed where it is broken; its docstring says the rule."""

    name: str
    check: Callable[[Any], None]
    """Takes a Subject, or a Network where the rule holds for each network."""
    each_network: bool = False

    @property
    def sentence(self) -> str:
        """The rule."""
        return str(self.check.__doc__).partition("\n")[0]


@dataclass(frozen=True)
class Outcome:
    """How one rule went, for one network where the rule is about networks."""

    rule: Rule
    network: str | None
    passed: bool
    seconds: float
    message: str = ""
    """What was expected, what was found and the cure; for an exempted rule, the plugin's reason."""
    exempted: bool = False

    @property
    def name(self) -> str:
        """The rule's name, with the network: "overfit[cnn]"."""
        return _name(self.rule, self.network)


def check_exemptions(subject: Subject) -> None:
    """Each exemption in the plugin's checks.py names an outcome, and has its reason."""
    known = [_name(rule, network) for rule in RULES for network in _networks(rule, subject)]
    for name, reason in subject.exemptions.items():
        if name not in known:
            raise CheckFailed(f"checks.py exempts {name!r}, which is no outcome{suggest(name, known)} Known: {known}")
        if not reason.strip():
            raise CheckFailed(f"checks.py exempts {name!r} without a reason; say why the rule does not fit this task")


RULES = (
    Rule("files", source.check_files),
    Rule("names", source.check_names),
    Rule("registration", source.check_registration),
    Rule("docstrings", source.check_docstrings),
    Rule("medhub-imports", source.check_medhub_imports),
    Rule("optional-imports", source.check_optional_imports),
    Rule("safety", source.check_safety),
    Rule("page", source.check_page),
    Rule("exemptions", check_exemptions),
    Rule("networks", network.check_networks),
    Rule("synthetic", data.check_synthetic),
    Rule("rows", data.check_rows),
    Rule("datasets", data.check_datasets),
    Rule("own-files", data.check_own_files),
    Rule("splits", data.check_splits),
    Rule("metrics", data.check_metrics),
    Rule("baselines", data.check_baselines),
    Rule("config", network.check_config, each_network=True),
    Rule("forward", network.check_forward, each_network=True),
    Rule("determinism", network.check_determinism, each_network=True),
    Rule("neighbours", network.check_neighbours, each_network=True),
    Rule("padding", network.check_padding, each_network=True),
    Rule("weights", network.check_weights, each_network=True),
    Rule("gradients", learning.check_gradients, each_network=True),
    Rule("overfit", learning.check_overfit, each_network=True),
    Rule("seed", learning.check_seed, each_network=True),
    Rule("bf16", learning.check_bf16, each_network=True),
    Rule("processor", use.check_processor, each_network=True),
    Rule("bad-input", use.check_bad_input, each_network=True),
    Rule("prediction", use.check_prediction, each_network=True),
    Rule("explanation", use.check_explanation, each_network=True),
    Rule("demo", use.check_demo, each_network=True),
    Rule("card", use.check_model_card),
    Rule("two-processes", processes.check_two_processes),
)


def run_checks(task: Task, *, only: Collection[str] | None = None) -> Iterator[Outcome]:
    """Run the rules (or those named in `only`) over a task, yielding each outcome as it is known.

    A plugin may exempt itself from an outcome by its name in EXEMPTIONS of its checks.py, with the reason. An exemption
    is strict: a rule that is kept after all fails. Whatever the plugin raises becomes an outcome. Raises MedHubError
    for a name in `only` that is no rule.
    """
    known = [rule.name for rule in RULES]
    for name in only or ():
        if name not in known:
            raise MedHubError(f"no rule {name!r}{suggest(name, known)} Rules: {', '.join(known)}")
    subject = Subject(task)
    for rule in RULES:
        if only is None or rule.name in only:
            yield from run_rule(rule, subject)


def run_rule(rule: Rule, subject: Subject) -> list[Outcome]:
    """Run one rule, once for each network where it is about networks."""
    try:
        networks = _networks(rule, subject)
    except Exception as error:  # a config that cannot even be imported
        return [Outcome(rule, None, False, 0.0, _sentence(error, subject))]
    with quiet_transformers():  # many tiny models are loaded
        return [_run(rule, subject, network) for network in networks]


def _networks(rule: Rule, subject: Subject) -> Sequence[str | None]:
    return subject.architectures if rule.each_network else (None,)


def _run(rule: Rule, subject: Subject, architecture: str | None) -> Outcome:
    started = time.perf_counter()
    reason = fault = None
    try:
        reason = subject.exemptions.get(_name(rule, architecture))
        rule.check(subject if architecture is None else subject.network(architecture))
    except Exception as error:  # a plugin may raise anything, and the other rules still run
        fault = _sentence(error, subject)
    seconds = time.perf_counter() - started
    if reason is None:
        return Outcome(rule, architecture, fault is None, seconds, fault or "")
    if fault is None:
        message = f"the plugin keeps this rule, though its checks.py exempts it ({reason}); remove the exemption"
        return Outcome(rule, architecture, False, seconds, message)
    return Outcome(rule, architecture, True, seconds, reason, exempted=True)


def _sentence(error: Exception, subject: Subject) -> str:
    """Return the message of an error; one that MedHub does not raise on purpose comes with the plugin's line."""
    if isinstance(error, MedHubError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(subject.folder))]
    frame = (own or frames)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def _name(rule: Rule, architecture: str | None) -> str:
    return rule.name if architecture is None else f"{rule.name}[{architecture}]"
