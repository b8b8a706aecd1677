"""Rules about a plugin's files: their names, their imports, their docstrings and the page."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path

import medhub
from medhub.checks.subject import Subject
from medhub.errors import CheckFailed, suggest
from medhub.modeling import MedConfig, MedModel
from medhub.processing import Processor
from medhub.publishing.page import read_page

FILES = ("README.md", "__init__.py", "baselines.py", "config.py", "data.py", "demo.py", "model.py", "processing.py")
STEPS = ("Preprocess", "Build", "Train", "Evaluate")
OTHER_SECTIONS = ("Intended use", "Limits")

OPEN_TO_PLUGINS = frozenset(
    ("auto", "calibration", "data", "errors", "explain", "metrics", "modeling", "pictures", "predictor", "processing",
     "recurrent", "registry", "results", "sequences")
)  # fmt: skip
"""The parts of medhub that a plugin may import: all that stand on lower floors."""

ALWAYS_INSTALLED = frozenset(
    ("PIL", "accelerate", "datasets", "huggingface_hub", "medhub", "numpy", "pandas", "pyarrow", "safetensors", "scipy",
     "sklearn", "torch", "torchmetrics", "transformers", *sys.stdlib_module_names)
)  # fmt: skip
UNSAFE_MODULES = frozenset(("cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"))
UNSAFE_OPTIONS = frozenset(("allow_pickle", "trust_remote_code"))
UNSAFE_CALLS = frozenset(("eval", "exec", "torch.load", "pandas.read_pickle", "pd.read_pickle"))


def check_files(subject: Subject) -> None:
    """The folder holds the files that every plugin has."""
    missing = [name for name in FILES if not (subject.folder / name).is_file()]
    if missing:
        raise CheckFailed(
            f"{subject.folder} lacks {', '.join(missing)}; write what `medhub new` writes under that name"
        )


def check_names(subject: Subject) -> None:
    """The id, the folder, the classes and the model type bear one name."""
    task = subject.task
    if not task.package.replace(".", "_").endswith(task.id.replace("/", "_")):
        raise CheckFailed(
            f"the task {task.id!r} stands in {task.package}; its package must end with the area and the task"
        )
    stems = {}
    for name, suffix, base in (
        (task.config, "Config", MedConfig), (task.model, "Model", MedModel), (task.processor, "Processor", Processor)
    ):  # fmt: skip
        found = getattr(task, f"{suffix.lower()}_class")
        if not name.endswith(suffix) or not issubclass(found, base):
            raise CheckFailed(
                f"{name} must be called ...{suffix} and derive from medhub's {base.__name__}; rename or rebase it"
            )
        stems[name.removesuffix(suffix)] = name
    if len(stems) > 1:
        raise CheckFailed(f"{', '.join(stems.values())} must begin alike; rename the one that does not")
    if task.config_class.model_type != task.model_type:
        raise CheckFailed(
            f"{task.config} has model_type {task.config_class.model_type!r}; set it to {task.model_type!r}"
        )
    if task.model_class.config_class is not task.config_class:
        raise CheckFailed(f"{task.model} must set config_class = {task.config}, or transformers cannot load it")
    import transformers

    if not task.auto_class.startswith("AutoModel") or not hasattr(transformers, task.auto_class):
        known = [name for name in dir(transformers) if name.startswith("AutoModel")]
        raise CheckFailed(f"transformers has no auto_class {task.auto_class!r}{suggest(task.auto_class, known)}")


def check_registration(subject: Subject) -> None:
    """`__init__.py` is a docstring and one registration, so that a task is listed without importing its model."""
    docstring, *rest = subject.sources[Path("__init__.py")].body
    imports = [node for node in rest if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in rest if node not in imports]
    registers = [node for node in others if isinstance(node, ast.Expr) and _called(node.value).endswith("register")]
    if not isinstance(docstring, ast.Expr) or others != registers or len(registers) != 1:
        raise CheckFailed(
            "__init__.py must hold a docstring and one medhub.register(...), "
            f"but it has {len(others) - len(registers)} other statements; move them to model.py or another file"
        )
    for line, name in _imports(imports, package=subject.task.package):
        if name not in ("medhub", "medhub.Task", "medhub.register", "__future__.annotations"):
            raise CheckFailed(f"__init__.py:{line} imports {name}, and so does whoever lists tasks; import only medhub")


def check_docstrings(subject: Subject) -> None:
    """Every file, public class and public function says what it is or does."""
    for file, tree in subject.sources.items():
        if not ast.get_docstring(tree):
            raise CheckFailed(f"{file} begins without a docstring; say in one line what it holds")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Module | ast.ClassDef):
                continue
            for inner in node.body:
                if not isinstance(inner, ast.ClassDef | ast.FunctionDef) or inner.name.startswith("_"):
                    continue
                if not ast.get_docstring(inner):
                    raise CheckFailed(
                        f"{file}:{inner.lineno} {inner.name} has no docstring; say in one line what it does"
                    )


def check_medhub_imports(subject: Subject) -> None:
    """A plugin imports only medhub's public names of the lower floors, and no other plugin."""
    for file, tree in subject.sources.items():
        for line, name in _imports([tree], package=_package_of(subject, file)):
            if fault := _import_fault(name, subject):
                raise CheckFailed(f"{file}:{line} imports {name}: {fault}")


def check_optional_imports(subject: Subject) -> None:
    """What only an extra installs is imported inside functions, so that everything else works without it."""
    own = subject.task.package.partition(".")[0]
    for file, tree in subject.sources.items():
        for line, name in _imports(_at_import(tree), package=_package_of(subject, file)):
            if (root := name.partition(".")[0]) not in {*ALWAYS_INSTALLED, own}:
                raise CheckFailed(
                    f"{file}:{line} imports {root} at the top; move the import into the functions that use it"
                )


def check_safety(subject: Subject) -> None:
    """Nothing is unpickled, and no code that came with data or a model is run."""
    for file, tree in subject.sources.items():
        for line, name in _imports([tree], package=_package_of(subject, file)):
            if name.partition(".")[0] in UNSAFE_MODULES:
                raise CheckFailed(
                    f"{file}:{line} imports {name}, which can run code that a file holds; use JSON or safetensors"
                )
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in UNSAFE_CALLS:
                raise CheckFailed(
                    f"{file}:{node.lineno} calls {_called(node)}, which can run code; use JSON or safetensors"
                )
            if isinstance(node, ast.keyword) and node.arg in UNSAFE_OPTIONS and ast.unparse(node.value) != "False":
                raise CheckFailed(
                    f"{file}:{node.value.lineno} sets {node.arg}, which can run a stranger's code; leave it out"
                )


def check_page(subject: Subject) -> None:
    """README.md shows the four steps in their order, what the model is for and where it ends."""
    sections = read_page((subject.folder / "README.md").read_text(encoding="utf-8")).sections
    for name in (*STEPS, *OTHER_SECTIONS):
        if not sections.get(name, "").strip():
            raise CheckFailed(
                f"README.md has no section {name!r} with text{suggest(name, sections)} Write it under '## {name}'"
            )
    if (order := [name for name in sections if name in STEPS]) != [*STEPS]:
        raise CheckFailed(f"README.md shows the steps as {', '.join(order)}; order them as {', '.join(STEPS)}")


def _import_fault(name: str, subject: Subject) -> str | None:
    """Say what is wrong with a plugin's import of the dotted `name`, and the cure; None where nothing is."""
    package = subject.task.package
    root, *parts = name.split(".")
    if name == package or name.startswith(f"{package}."):
        return None
    if root.startswith("medhub_"):
        return "that is another plugin; move what both need to a package of its own"
    if root != "medhub" or not parts:
        return None
    if any(part.startswith("_") for part in parts):
        return "names with a leading underscore are private; use a public one"
    if parts[0] == "plugins":
        if parts[1:2] != [subject.task.area] or "/".join(parts[1:3]) in medhub.tasks():
            return (
                f"that is another plugin; what several tasks need stands in plugins/{subject.task.area}/ or in medhub"
            )
        return None
    if parts[0] not in {*OPEN_TO_PLUGINS, *medhub.__all__}:
        return f"medhub.{parts[0]} stands above the plugins; they may use {', '.join(sorted(OPEN_TO_PLUGINS))}"
    public = getattr(import_module(f"medhub.{parts[0]}"), "__all__", None) if parts[0] in OPEN_TO_PLUGINS else None
    if public is not None and len(parts) > 1 and parts[1] not in public:
        return f"medhub.{parts[0]} does not export {parts[1]}; import one of its public names: {', '.join(public)}"
    return None


def _package_of(subject: Subject, file: Path) -> str:
    return ".".join([subject.task.package, *file.parent.parts])


def _imports(nodes: Iterator[ast.AST] | list, *, package: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that is imported under `nodes`; `from a import b` imports a.b."""
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the statements that run when a file is imported: not functions, not what only a type checker reads."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        else:
            waiting += ast.iter_child_nodes(node)


def _called(node: ast.AST) -> str:
    """Return the dotted name that a call calls, "" for anything else."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""
