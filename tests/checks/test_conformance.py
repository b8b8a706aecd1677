"""Every registered task keeps every rule."""

from __future__ import annotations

from functools import cache

import pytest

import medhub
from medhub.checks import RULES, Rule, Subject, run_rule

MARKS = {"two-processes": pytest.mark.multiprocess}


@cache
def subject(id: str) -> Subject:
    """What the rules share is made once a task."""
    return Subject(medhub.get(id))


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name, marks=MARKS.get(rule.name, ())) for rule in RULES])
@pytest.mark.parametrize("id", medhub.tasks())
def test_a_registered_task_keeps_the_rule(id: str, rule: Rule) -> None:
    outcomes = run_rule(rule, subject(id))
    assert outcomes
    assert {outcome.name: outcome.message for outcome in outcomes if not outcome.passed} == {}
    for outcome in outcomes:
        if outcome.exempted:
            pytest.xfail(f"{outcome.name}: {outcome.message}")
