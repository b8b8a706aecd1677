"""What a task is: a frozen record of names, resolved only when they are used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from medhub.errors import BrokenPlugin, RegistryError, UnknownDataset, suggest

if TYPE_CHECKING:  # these need torch, and a Task must be listable without it
    from collections.abc import Callable

    from numpy.typing import NDArray

    from medhub.data import Source
    from medhub.metrics import Metric
    from medhub.modeling import MedConfig, MedModel
    from medhub.processing import Processor

AREAS = {"imaging": "Imaging", "genomics": "Genomics", "ehr": "Health records", "chem": "Chemistry"}
"""How the areas are written for people, in the order in which they are shown; a stranger's plugin may bring another."""
TASK_ID = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of one area, as its plugin's `__init__.py` registers it.

    The record holds only strings, so that registering and listing import no model. The classes stand in the
    plugin's config.py, model.py and processing.py, and are imported by the properties below.
    """

    id: str
    """The task's path, area first: "chem/toxicity"."""
    package: str
    """The plugin's import name; a plugin passes its own `__name__`."""
    summary: str
    """What the task does, in one line without a full stop."""
    modality: str
    """What goes in: "molecule", "image", "sequence", "events" ..."""
    config: str
    """Class name in config.py, a `medhub.modeling.MedConfig`."""
    model: str
    """Class name in model.py, a `medhub.modeling.MedModel`."""
    processor: str
    """Class name in processing.py, a `medhub.processing.Processor`."""
    auto_class: str
    """The transformers Auto class that loads the model: "AutoModelForImageClassification"."""
    metrics: tuple[str, ...]
    """Metric names; the first one chooses the checkpoint that is kept."""
    dataset: str
    """The data set used when the user names none."""
    extra: str
    """The extra that installs what the plugin needs: "chem" for `medhub[chem]`; "" for none."""

    def __post_init__(self) -> None:
        if not TASK_ID.fullmatch(self.id):
            raise RegistryError(f"task id {self.id!r} is not of the form area/task, in lower case and underscores")
        if not self.metrics:
            raise RegistryError(f"task {self.id!r} names no metric; the first metric chooses the checkpoint to keep")

    @property
    def area(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]

    @property
    def model_type(self) -> str:
        """The `model_type` that the task's configs carry, by which a model folder finds its task."""
        return model_type_of(self.id)

    @property
    def config_class(self) -> type[MedConfig]:
        """The task's config class."""
        return self._class("config", self.config)

    @property
    def model_class(self) -> type[MedModel]:
        """The task's model class."""
        return self._class("model", self.model)

    @property
    def processor_class(self) -> type[Processor]:
        """The task's processor class."""
        return self._class("processing", self.processor)

    @property
    def datasets(self) -> dict[str, Source]:
        """The task's public data sets by name."""
        return dict(self.module("data").DATASETS)

    def source(self, name: str | None = None) -> Source:
        """Return the data set called `name` (None: the task's default); raise UnknownDataset with the nearest name."""
        name = name or self.dataset
        known = self.datasets
        if name not in known:
            raise UnknownDataset(
                f"{self.id} has no data set {name!r}{suggest(name, known)} Data sets: {', '.join(sorted(known))}; "
                "or give the path of your own file or folder"
            )
        return known[name]

    def metric(self, name: str) -> Metric:
        """Return the metric called `name`: the plugin's own (metrics.py) or else one of the core's."""
        from medhub.metrics import METRICS

        own = self.module("metrics").METRICS if self.has_module("metrics") else {}
        known = {**METRICS, **own}
        if name not in known:
            raise RegistryError(f"{self.id} has no metric {name!r}{suggest(name, known)} Metrics: {', '.join(known)}")
        return known[name]

    @property
    def tables(self) -> dict[str, Callable[[NDArray, NDArray], list[list[str]]]]:
        """What a report shows beside figures, by caption: functions of scores and targets (`TABLES` of metrics.py)."""
        return getattr(self.module("metrics"), "TABLES", {}) if self.has_module("metrics") else {}

    def module(self, name: str) -> ModuleType:
        """Import one of the plugin's modules ("data", "demo", "baselines" ...); raise BrokenPlugin with the cure."""
        try:
            return import_module(f"{self.package}.{name}")
        except ImportError as error:
            cure = f"; pip install 'medhub[{self.extra}]'" if self.extra else ""
            raise BrokenPlugin(f"{self.id}: cannot import {self.package}.{name}: {error}{cure}") from error

    def has_module(self, name: str) -> bool:
        """Say whether the plugin has a module of this name, without importing it."""
        return find_spec(f"{self.package}.{name}") is not None

    def _class(self, module: str, name: str) -> Any:
        try:
            return getattr(self.module(module), name)
        except AttributeError:
            raise BrokenPlugin(
                f"{self.id} registers {module}={name!r}, but {self.package}.{module} has no such class; "
                f"correct the name in {self.package}/__init__.py or define it in {module}.py"
            ) from None


def model_type_of(id: str) -> str:
    """Return the `model_type` of the task called `id`, without importing its plugin."""
    return "medhub_" + id.replace("/", "_")
