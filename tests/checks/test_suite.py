"""How rules are run: outcomes by name, exemptions, and plugins that raise what they like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import medhub
from medhub.checks import RULES, run_checks
from medhub.errors import MedHubError

Plugin = Callable[..., medhub.Task]


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Return a change of a plugin's folder."""

    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")

    return change


def exempt(outcome: str, *, also: Callable[[Path], None] = lambda folder: None) -> Callable[[Path], None]:
    """Return a change that exempts the plugin from an outcome."""

    def change(folder: Path) -> None:
        also(folder)
        text = f'"""What this plugin need not keep."""\n\nEXEMPTIONS = {{{outcome!r}: "lengths never differ"}}\n'
        (folder / "checks.py").write_text(text, encoding="utf-8")

    return change


NO_MASK = replace("model.py", "convolution(hidden).relu() * mask", "convolution(hidden).relu()")


def test_outcomes_name_rule_and_network(plugin: Plugin) -> None:
    files, forward = run_checks(plugin(), only=["forward", "files"])
    assert (files.name, files.network, files.passed, files.message) == ("files", None, True, "")
    assert (forward.name, forward.network, forward.passed) == ("forward[cnn]", "cnn", True)
    assert forward.rule.sentence.startswith("`forward` returns finite logits")
    assert forward.seconds > 0


def test_an_exempted_fault_passes_with_its_reason(plugin: Plugin) -> None:
    exemptions, padding = run_checks(plugin(exempt("padding[cnn]", also=NO_MASK)), only=["padding", "exemptions"])
    assert exemptions.passed
    assert padding.passed
    assert padding.exempted
    assert padding.message == "lengths never differ"


def test_an_exemption_from_a_rule_that_is_kept_is_a_fault(plugin: Plugin) -> None:
    (padding,) = run_checks(plugin(exempt("padding[cnn]")), only=["padding"])
    assert not padding.passed
    assert "remove the exemption" in padding.message


def test_an_error_of_the_plugin_names_its_line(plugin: Plugin) -> None:
    fault = replace("model.py", "        mean = hidden", "        hidden.no_such_method()\n        mean = hidden")
    (outcome,) = run_checks(plugin(fault), only=["determinism"])
    assert not outcome.passed
    assert "AttributeError: 'Tensor' object has no attribute 'no_such_method'" in outcome.message
    assert "medhub_planted_fault/model.py:" in outcome.message


def test_a_plugin_whose_config_cannot_be_imported_fails_every_rule_about_networks(plugin: Plugin) -> None:
    about_networks = {rule.name for rule in RULES if rule.each_network}
    fault = replace("config.py", "import MedConfig\n", "import MedConfigg as MedConfig\n")
    outcomes = [*run_checks(plugin(fault), only=about_networks)]
    assert {outcome.rule.name for outcome in outcomes} == about_networks
    assert not any(outcome.passed for outcome in outcomes)
    assert all("MedConfigg" in outcome.message for outcome in outcomes)


def test_weights_that_start_at_zero_hide_no_fault(plugin: Plugin) -> None:
    head = "        self.head = nn.Linear(config.channels, config.num_labels)\n"
    zeros = replace("model.py", head, head + "        nn.init.zeros_(self.head.weight)\n")

    def change(folder: Path) -> None:
        zeros(folder)
        NO_MASK(folder)

    gradients, padding = sorted(run_checks(plugin(change), only=["padding", "gradients"]), key=lambda o: o.rule.name)
    assert gradients.passed
    assert not padding.passed


def test_an_unknown_rule_names_the_nearest(plugin: Plugin) -> None:
    with pytest.raises(MedHubError, match="no rule 'paddding'; did you mean 'padding'"):
        next(run_checks(plugin(), only=["paddding"]))


def test_a_config_without_networks_fails(plugin: Plugin) -> None:
    fault = replace("config.py", '= ("cnn",)', "= ()")
    outcomes = [*run_checks(plugin(fault), only=["networks", "forward"])]
    assert [outcome.passed for outcome in outcomes] == [False, False]
    assert all("list the networks" in outcome.message for outcome in outcomes)
