"""Conformance: the rules that every plugin keeps, run by `medhub check` and by pytest over every registered task.

for outcome in run_checks(medhub.get("chem/toxicity")):
    print(outcome.name, outcome.passed, outcome.message)
"""

from medhub.checks.subject import Network, Subject
from medhub.checks.suite import RULES, Outcome, Rule, run_checks, run_rule

__all__ = ["RULES", "Network", "Outcome", "Rule", "Subject", "run_checks", "run_rule"]
