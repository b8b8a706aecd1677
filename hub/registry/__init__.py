"""The registry of tasks: what a task is, where it comes from, and how to get it by name.

>>> import medhub
>>> medhub.get("chem/toxicity").summary
'the toxicities of a molecule'
"""

from medhub.registry.discovery import ENTRY_POINT_GROUP, Location, find, get, get_by_model_type, register, tasks
from medhub.registry.task import AREAS, Task
from medhub.registry.zoo import zoo_index, zoo_models

__all__ = [
    "AREAS",
    "ENTRY_POINT_GROUP",
    "Location",
    "Task",
    "find",
    "get",
    "get_by_model_type",
    "register",
    "tasks",
    "zoo_index",
    "zoo_models",
]
