"""Importing this module makes transformers' Auto classes load MedHub's models.

    import medhub.auto
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained("path/to/chest-xray-pneumonia")

It stands apart because it imports every plugin's model; `import medhub` imports none.
"""

from __future__ import annotations

import warnings

import transformers

from medhub.errors import BrokenPlugin
from medhub.registry import Task, get, tasks


def register_auto(task: Task) -> None:
    """Register a task's config and model with AutoConfig, AutoModel and the task's own Auto class."""
    transformers.AutoConfig.register(task.model_type, task.config_class, exist_ok=True)
    for name in {"AutoModel", task.auto_class}:
        getattr(transformers, name).register(task.config_class, task.model_class, exist_ok=True)


for _id in tasks():
    try:
        register_auto(get(_id))
    except BrokenPlugin as error:  # one broken plugin must not take the others away
        warnings.warn(str(error), stacklevel=2)
