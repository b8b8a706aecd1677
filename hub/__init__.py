"""MedHub: one `from_pretrained` for medicine's models.

    import medhub

    model = medhub.from_pretrained("tox21-toxicity")
    print(model.predict("CC(=O)Oc1ccccc1C(=O)O"))

Importing this package is cheap: torch, transformers and the plugins are imported when they are first used.
"""

if __name__ != "medhub":
    raise ImportError(
        f"this folder is the package 'medhub', but it was imported as {__name__!r}, which would make a second "
        "registry; install it (pip install -e .) and `import medhub`"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medhub import errors, registry
from medhub.errors import MedHubError
from medhub.registry import Task, find, get, register, tasks

if TYPE_CHECKING:
    from medhub.predictor import Predictor, from_pretrained

__version__ = "0.1.0"

_LAZY = {"from_pretrained": "medhub.predictor", "Predictor": "medhub.predictor"}

__all__ = [
    "MedHubError",
    "Predictor",
    "Task",
    "errors",
    "find",
    "from_pretrained",
    "get",
    "register",
    "registry",
    "tasks",
]


def __getattr__(name: str) -> Any:
    """Import the names that need torch only when they are asked for (PEP 562)."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'medhub' has no attribute {name!r}{errors.suggest(name, __all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
