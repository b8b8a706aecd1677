"""What is in the zoo, told from the configs alone: nothing heavy is imported."""

from __future__ import annotations

import json
from pathlib import Path

from medhub.registry.discovery import tasks
from medhub.registry.task import model_type_of


def zoo_models() -> dict[str, Path]:
    """Return the folders of the models that come with MedHub, by name."""
    here = Path(__file__).resolve().parents[1]
    # inside a wheel zoo/ lies in the package, in a checkout beside it
    for zoo in (here / "zoo", here.parent / "zoo"):
        if zoo.is_dir():
            return {path.parent.name: path.parent for path in sorted(zoo.glob("*/config.json"))}
    return {}


def zoo_index() -> dict[str, str]:
    """Return the task id of each model of the zoo, by name."""
    by_type = {model_type_of(id): id for id in tasks()}
    models = {}
    for name, folder in zoo_models().items():
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        models[name] = by_type.get(model_type, model_type)
    return models
