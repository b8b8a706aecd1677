"""`medhub new`: a plugin that already runs, copied from hub/template under the new task's names."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from keyword import iskeyword
from pathlib import Path

from medhub.errors import DuplicateTask, RegistryError
from medhub.registry import find, tasks
from medhub.registry.task import TASK_ID, model_type_of

TEMPLATE = Path(__file__).parent / "template"
"""plugin/ is a real plugin, the task example/rhythm; distribution/ is what packages it on its own."""

_TABLE = re.compile(r"^PLUGINS\b[^\n]*= \{\n(?P<lines>.*?)^\}", re.MULTILINE | re.DOTALL)


def create_plugin(id: str, folder: str | os.PathLike[str], *, distribution: bool = False) -> Path:
    """Write a new task's plugin, one that runs and passes `medhub check`, and return its folder.

    `folder` is a MedHub checkout: the plugin goes to plugins/area/task, and one line into the table of
    plugins/__init__.py. With `distribution` it is any folder: a distribution medhub-area-task goes there, which pip
    installs and MedHub finds through its entry point. Raises DuplicateTask for an id that is taken, RegistryError for
    one that cannot be used and for a folder that exists: nothing is overwritten.
    """
    _refuse(id)
    return _write_distribution(id, Path(folder)) if distribution else _write_into_checkout(id, Path(folder))


def _refuse(id: str) -> None:
    """Raise unless `id` is well formed, importable as a package, and free."""
    if not TASK_ID.fullmatch(id):
        better = re.sub(r"[^a-z0-9/]+", "_", id.lower()).strip("_/")
        hint = f"; did you mean {better!r}?" if TASK_ID.fullmatch(better) else ": give it an area and a task"
        raise RegistryError(f"{id!r} is not of the form area/task, in lower case and underscores{hint}")
    for word in id.split("/"):
        if iskeyword(word):
            raise RegistryError(f"{word!r} in {id!r} is a word of Python's, which no package can be called; change it")
    if id in tasks():
        raise DuplicateTask(f"the task {id!r} exists already, at {find(id)}; choose another name")


def _write_into_checkout(id: str, checkout: Path) -> Path:
    table = checkout / "plugins" / "__init__.py"
    text = table.read_text(encoding="utf-8") if table.is_file() else ""
    lines = _TABLE.search(text)
    if lines is None:
        raise RegistryError(
            f"{checkout} is no checkout of MedHub: it has no plugins/__init__.py with the table PLUGINS; "
            "give the checkout's folder, or make a distribution of your own with --distribution"
        )
    area, _, _task = id.partition("/")
    place = checkout / "plugins" / id
    with _staging(place) as staged:
        _copy(TEMPLATE / "plugin", staged, id=id)
    area_file = place.parent / "__init__.py"
    if not area_file.exists():
        _write(area_file, f'"""{area.capitalize()}: what its tasks share."""\n')
    end = lines.end("lines")
    _write(table, f'{text[:end]}    "{id}": "{id.replace("/", ".")}",\n{text[end:]}')
    return place


def _write_distribution(id: str, folder: Path) -> Path:
    place = folder / ("medhub-" + id.replace("/", "-"))
    with _staging(place) as staged:
        _copy(TEMPLATE / "distribution", staged, id=id)
        _copy(TEMPLATE / "plugin", staged / model_type_of(id), id=id)
    return place


def _copy(source: Path, target: Path, *, id: str) -> None:
    """Copy a folder's files with the template's names replaced by those of the task `id`."""
    names = {
        "example/rhythm": id,
        "example-rhythm": id.replace("/", "-"),
        "example_rhythm": id.replace("/", "_"),
        "ExampleRhythm": "".join(word.capitalize() for word in re.split("[/_]", id)),
    }
    target.mkdir(exist_ok=True)
    for file in source.iterdir():
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            for old, new in names.items():
                text = text.replace(old, new)
            (target / file.name).write_text(text, encoding="utf-8")


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `place` once the block is through, and never a half-written one."""
    if place.exists():
        raise RegistryError(f"{place} exists already, and nothing is overwritten; remove it or choose another name")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as temporary:
        staged = Path(temporary) / place.name
        staged.mkdir()
        yield staged
        os.rename(staged, place)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
