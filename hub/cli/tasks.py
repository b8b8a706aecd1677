"""Commands about tasks and plugins: list, info, check, new."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medhub import registry
from medhub.cli.display import print_json, print_table
from medhub.errors import suggest

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
TaskId = Annotated[str, typer.Argument(help="A task's id, such as chem/toxicity.")]


def list_tasks(json: Json = False) -> None:
    """List all tasks and the models of the zoo.

    Example: medhub list
    """
    known = [registry.get(id) for id in registry.tasks()]
    models = registry.zoo_index()
    if json:
        tasks = [
            {"task": task.id, "summary": task.summary, "plugin": registry.find(task.id).distribution} for task in known
        ]
        print_json({"tasks": tasks, "models": models})
        return
    print_table(
        ["task", "what it does", "plugin", "models of the zoo"],
        [
            (task.id, task.summary, registry.find(task.id).distribution,
             ", ".join(name for name, id in models.items() if id == task.id))
            for task in known
        ],
    )  # fmt: skip


def info(task: TaskId, json: Json = False) -> None:
    """Show a task: its networks, data sets, metrics, and where it comes from.

    Example: medhub info chem/toxicity
    """
    found = registry.get(task)
    facts = {
        "task": found.id,
        "summary": found.summary,
        "registered at": str(registry.find(task)),
        "networks": [*found.config_class.ARCHITECTURES],
        "data sets": [*found.datasets],
        "default data set": found.dataset,
        "metrics": [*found.metrics],
        "transformers class": found.auto_class,
    }
    if json:
        print_json(facts)
        return
    for name, value in facts.items():
        print(f"{name:20} {', '.join(value) if isinstance(value, list) else value}")


def check(
    task: Annotated[str | None, typer.Argument(help="A task's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Check every registered task.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Run this rule alone; may be given again.")] = None,
    json: Json = False,
) -> None:
    """Run the conformance rules over a task; exit with 1 when one fails.

    Example: medhub check chem/toxicity
    """
    from medhub.checks import RULES, run_checks

    if (task is None) == (not every):
        raise typer.BadParameter("give a task's id, or --all")
    known = [rule.name for rule in RULES]
    for name in only or ():
        if name not in known:
            raise typer.BadParameter(f"no rule {name!r}{suggest(name, known)} Rules: {', '.join(known)}")
    failed = 0
    records = []
    for id in registry.tasks() if every else [task or ""]:
        for outcome in run_checks(registry.get(id), only=only):
            failed += not outcome.passed
            records.append({"task": id, "rule": outcome.name, "passed": outcome.passed, "message": outcome.message})
            if not json:
                mark = "ok  " if outcome.passed else "FAIL"
                print(f"{mark} {id}  {outcome.name:24} {outcome.seconds:5.1f} s  {outcome.rule.sentence}")
                if outcome.message:
                    print(f"     {outcome.message}")
    if json:
        print_json(records)
    else:
        print(f"{len(records) - failed} rules kept, {failed} broken")
    raise typer.Exit(1 if failed else 0)


def new(
    task: Annotated[str, typer.Argument(help="The new task's id, area/task.")],
    folder: Annotated[Path, typer.Option(help="The checkout, or where the distribution's folder goes.")] = Path("."),
    distribution: Annotated[bool, typer.Option(help="Make a distribution of its own instead.")] = False,
) -> None:
    """Write the skeleton of a plugin, one that already runs and passes the checks.

    Example: medhub new cardiology/rhythm
    """
    from medhub.scaffold import create_plugin

    place = create_plugin(task, folder, distribution=distribution)
    print(f"wrote {place}; next: fill in the files, then run `medhub check {task}`")


list_tasks.__name__ = "list"  # the command's name; `list` itself would hide the built-in
COMMANDS = (list_tasks, info, check, new)
