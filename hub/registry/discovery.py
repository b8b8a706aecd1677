"""Where tasks come from: the table in plugins/__init__.py, and other distributions' entry points.

A plugin's package is imported only when its task is asked for; its `__init__.py` then calls `register` once.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from medhub.errors import BrokenPlugin, DuplicateTask, MedHubError, UnknownTask, suggest
from medhub.registry.task import Task, model_type_of

ENTRY_POINT_GROUP = "medhub.plugins"
"""Other distributions list their tasks under this group: `area/task = their_package.their_plugin`."""


@dataclass(frozen=True)
class Location:
    """Where a task was registered."""

    distribution: str
    version: str
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.distribution} {self.version})"


@dataclass(frozen=True)
class _Candidate:
    """A plugin that somebody announced; `package` is what to import."""

    package: str
    distribution: str


_registered: dict[str, tuple[Task, Location]] = {}


@cache
def _candidates() -> dict[str, _Candidate]:
    """Read the built-in table and all entry points; a task id that two of them claim is an error here already."""
    from medhub.plugins import PLUGINS

    found = {id: _Candidate(f"medhub.plugins.{package}", "medhub") for id, package in PLUGINS.items()}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        distribution = point.dist.name if point.dist else "an unknown distribution"
        if point.name in found and found[point.name].package != point.value:
            other = found[point.name]
            raise DuplicateTask(
                f"task {point.name!r} is announced twice: by {other.distribution} ({other.package}) and by "
                f"{distribution} ({point.value}); uninstall one of the two or rename its task"
            )
        found[point.name] = _Candidate(point.value, distribution)
    return found


def tasks() -> tuple[str, ...]:
    """Return the ids of all tasks, sorted, without importing a plugin."""
    return tuple(sorted({*_candidates(), *_registered}))


def get(id: str) -> Task:
    """Return the task called `id`; raise UnknownTask with the nearest name, or BrokenPlugin with the cause."""
    if id not in _registered:
        _import_plugin(id)
    return _registered[id][0]


def get_by_model_type(model_type: str) -> Task:
    """Return the task whose models carry `model_type` in config.json; raise UnknownTask where no plugin has it."""
    by_type = {model_type_of(id): id for id in tasks()}
    if model_type not in by_type:
        raise UnknownTask(
            f"no installed plugin has models of type {model_type!r}{suggest(model_type, by_type)} "
            f"Types: {', '.join(by_type)}; install the distribution that the model's card names"
        )
    return get(by_type[model_type])


def find(id: str) -> Location:
    """Return the distribution, version, file and line that registered the task called `id`."""
    get(id)
    return _registered[id][1]


def register(task: Task) -> Task:
    """Add a task to the registry and return it; raise DuplicateTask, naming both places, when its id is taken."""
    place = _caller(task)
    if task.id in _registered and _registered[task.id][0] != task:
        raise DuplicateTask(
            f"task {task.id!r} is registered twice: at {_registered[task.id][1]} and at {place}; rename one of the two"
        )
    for other, (known, there) in _registered.items():
        if other != task.id and known.model_type == task.model_type:
            raise DuplicateTask(
                f"tasks {other!r} (at {there}) and {task.id!r} (at {place}) would both have the model type "
                f"{task.model_type!r}, by which saved models find their task; rename one of the two"
            )
    _registered.setdefault(task.id, (task, place))
    return task


def _import_plugin(id: str) -> None:
    candidate = _candidates().get(id)
    if candidate is None:
        raise UnknownTask(f"no task {id!r}{suggest(id, tasks())} Tasks: {', '.join(tasks())}")
    try:
        import_module(candidate.package)
    except MedHubError:
        raise
    except Exception as error:  # whatever a stranger's module raises must name the stranger
        raise BrokenPlugin(
            f"the plugin of task {id!r}, {candidate.package} from {candidate.distribution}, cannot be imported: "
            f"{type(error).__name__}: {error}; repair it or uninstall {candidate.distribution}"
        ) from error
    if id not in _registered:
        raise BrokenPlugin(
            f"{candidate.package} from {candidate.distribution} is announced as task {id!r} but did not register it; "
            f"its __init__.py must call medhub.register(Task(id={id!r}, ...))"
        )


def _caller(task: Task) -> Location:
    """Find the line that called `register`, two frames up."""
    frame = inspect.stack(context=0)[2]
    package = task.package.partition(".")[0]
    distribution = next((c.distribution for c in _candidates().values() if c.package == task.package), package)
    try:
        release = version(distribution)
    except PackageNotFoundError:
        release = getattr(sys.modules.get(package), "__version__", "unknown")
    return Location(distribution, release, Path(frame.filename), frame.lineno)
