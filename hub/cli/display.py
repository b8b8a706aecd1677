"""How the command line shows things: tables, JSON, and a training's progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medhub.training import Progress


def print_json(value: Any) -> None:
    """Print a value for a machine."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table that fits the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for number, header in enumerate(headers):
        table.add_column(header, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no edge to fold at
    console.print(table)


@contextmanager
def training_progress() -> Iterator[Progress]:
    """Show a training's course as one bar: epoch, loss, metric, time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        yield _Bar(bar, log=None if console.is_terminal else console.print)


class _Bar:
    """A `medhub.training.Progress` on a rich progress bar."""

    def __init__(self, bar: Any, *, log: Callable[[str], None] | None) -> None:
        self._bar = bar
        self._log = log  # in a log file a bar shows nothing until it ends
        self._task = bar.add_task("training", total=None, figures="")
        self._metric = ""

    def step(self, *, step: int, total: int, epoch: int, loss: float) -> None:
        figures = f"loss {loss:.4f}{self._metric}"
        self._bar.update(self._task, completed=step, total=total, description=f"epoch {epoch}", figures=figures)

    def epoch(self, record: dict[str, Any]) -> None:
        self._metric = f"  {record['metric_name']} {record['metric']:.4f}"
        if self._log is not None:
            self._log(f"epoch {record['epoch']}  loss {record['loss']:.4f}{self._metric}  {record['seconds']:.0f} s")
