"""From a task's name to a published folder: load, clean, split, prepare, train, calibrate, evaluate, write the card.

A recipe is data. It is saved beside the weights as training.json, so that `medhub evaluate` finds the same rows again
and `medhub train` with the card's command makes the same weights.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from medhub.data import Features, Splits, load_data, prepare
from medhub.errors import ConfigError, LoadError, SplitError, suggest
from medhub.evaluation import Calibration, Report, calibrate, code_version, evaluate, predict_scores
from medhub.metrics import Metric
from medhub.modeling import MedModel
from medhub.predictor import Predictor, from_pretrained, model_folder
from medhub.processing import Processor
from medhub.publishing import write_card
from medhub.registry import Task, get, zoo_models
from medhub.training import Progress, Settings, train

RECIPE_FILE = "training.json"
SYNTHETIC = "synthetic"
"""The data set name that stands for the task's own generated data."""

HALF_TOLERANCE = 1e-3
"""Most by which storing weights in 16 bits may move the validation metric."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what a training run makes: the same recipe on the same data makes the same weights on a CPU."""

    task: str
    data: str | None = None
    """A data set's name, "synthetic", or the path of the user's own file or folder; None: the task's default."""
    split: str | None = None
    architecture: str | None = None
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the task's config that differ from the network's defaults."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `medhub.training.Settings` that differ from the network's defaults."""
    start: str | None = None
    """A model by name or folder, of any task, from whose weights training starts where they have one name and shape."""
    half: bool = False
    """Whether to store the weights in 16 bits, which halves the file, where the validation metric does not mind."""

    @property
    def command(self) -> str:
        """The shell command that runs this recipe, fit to be published."""
        words = ["medhub", "train", self.task]
        for name in ("data", "split", "architecture", "start"):
            if getattr(self, name) is not None:
                words += [f"--{name}", _without_place(getattr(self, name))]
        words += ["--seed", str(self.seed)]
        for name in ("config", "settings"):
            for key, value in getattr(self, name).items():
                words += [f"--{name.removesuffix('s')}", f"{key}={json.dumps(value)}"]
        words += ["--half"] if self.half else []
        return shlex.join(words)

    def save(self, path: Path, **more: Any) -> None:
        """Write the recipe, and what else belongs beside it, as JSON, whole or not at all."""
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"recipe": asdict(self), **more}, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path)


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe of a model folder; raise LoadError where it has none or one of another form."""
    path = folder / RECIPE_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    except FileNotFoundError:
        raise LoadError(f"{folder} has no {RECIPE_FILE}, so its data are unknown; name them with --data") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{path} is not a recipe: {error!r}; restore it from where the model came") from error
    known = [f.name for f in fields(Recipe)]
    for key in values:
        if key not in known:
            raise LoadError(f"{path} has an unknown key {key!r}{suggest(key, known)} Keys: {', '.join(known)}")
    return Recipe(**values)


def load_splits(task: Task, data: str | None, *, split: str | None, seed: int, say: Say = lambda line: None) -> Splits:
    """Load and split a data set by name (None: the task's), its synthetic data, or the user's own file or folder."""
    data = data or task.dataset
    if data == SYNTHETIC:
        table = task.module("data").synthetic(size=256, seed=seed)
        return load_data(table, split=split, seed=seed)
    if data not in task.datasets and Path(data).exists():
        return load_data(task.module("data").own_files(data), split=split, seed=seed)
    return load_data(task.source(data), split=split, seed=seed, progress=say)


def run(
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    say: Say = lambda line: None,
    progress: Progress | None = None,
    resume: bool = True,
) -> Report | None:
    """Run a recipe and write the model folder: weights, config, processor, recipe, report and card.

    `say` gets one line a step, `progress` the training's course. An interrupted run leaves its checkpoint in
    `folder`/checkpoint and goes on from there when it is run again. Returns the report on the test split; under
    `accelerate launch`, where all processes train and the first one does the rest, the others return None.
    """
    folder = Path(folder)
    task = get(recipe.task)
    splits = load_splits(task, recipe.data, split=recipe.split, seed=recipe.seed, say=say)
    say(splits.describe())

    config = make_config(task, recipe, label_names=splits.label_names)
    processor = task.processor_class.fit(splits.train, config)
    parts = {name: prepare(getattr(splits, name), processor) for name in ("train", "validation")}

    settings = make_settings(task, recipe, architecture=config.architecture)
    metric = processor.metric(task.metric(task.metrics[0]))
    torch.manual_seed(recipe.seed)
    model = task.model_class(config)
    if recipe.start is not None:
        adopt(model, recipe.start, say=say)
    size = sum(parameter.numel() for parameter in model.parameters())
    say(f"training {task.id} {config.architecture}: {size:,} parameters, {len(parts['train']):,} examples")
    outcome = train(
        model, parts["train"], parts["validation"], processor,
        settings=settings, folder=folder / "checkpoint", metric=metric,
        progress=progress, resume=resume,
    )  # fmt: skip
    if outcome.processes > 1:
        torch.distributed.destroy_process_group()  # the first process does the rest alone
    if outcome.rank > 0:
        return None

    half = recipe.half and halve(outcome.model, processor, parts["validation"], metric=metric, say=say)
    calibration = calibrate(outcome.model, processor, parts["validation"])
    Predictor(task, outcome.model, processor).save(folder, half=half)
    recipe.save(
        folder / RECIPE_FILE, settings=settings.to_dict(), outcome=outcome.to_dict(), data=splits.summary(),
        calibration=asdict(calibration) if isinstance(calibration, Calibration) else calibration,
        commit=code_version(),
    )  # fmt: skip
    say("evaluating on the test split, beside the baselines")
    report = evaluate(task, outcome.model, processor, splits, seed=recipe.seed, command=_evaluation_command(folder))
    publish(folder, report)
    return report


def publish(folder: str | os.PathLike[str], report: Report) -> None:
    """Write the card of a model folder with the numbers of a report and what training left in training.json.

    Raises LoadError where the folder has no such record.
    """
    folder = model_folder(folder)
    recipe, record = read_recipe(folder), json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
    fitted = record.get("calibration")
    write_card(
        folder, task=get(recipe.task), report=report, data=record["data"], settings=record["settings"],
        outcome=record["outcome"], train_command=recipe.command, train_commit=record.get("commit", report.commit),
        calibration=Calibration(**fitted) if isinstance(fitted, dict) else fitted,
    )  # fmt: skip


def adopt(model: MedModel, name: str, *, say: Say = lambda line: None) -> None:
    """Copy from the model called `name` the weights that have the same name and shape, and say how many stay fresh.

    Raises LoadError where none has: such a start would be no start.
    """
    theirs, ours = from_pretrained(name, device="cpu").model.state_dict(), model.state_dict()
    shared = {key: value for key, value in theirs.items() if key in ours and ours[key].shape == value.shape}
    if not shared:
        raise LoadError(
            f"{name} has no weight of the name and shape that {type(model).__name__} has, such as {next(iter(ours))}; "
            "start from a model of the same task, or of one with the same network inside, and give its --config"
        )
    model.load_state_dict({**ours, **shared})
    copied, fresh = (sum(ours[key].numel() for key in keys) for keys in (shared, ours.keys() - shared.keys()))
    say(f"started from {name}: {copied:,} weights are its own, {fresh:,} are fresh")


def halve(model: MedModel, processor: Processor, validation: Features, *, metric: Metric, say: Say) -> bool:
    """Round weights to what 16 bits hold, and say whether that was done.

    Not where it moves the validation metric by more than `HALF_TOLERANCE`: the weights are then left as they are.
    """
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    value = metric.compute(*predict_scores(model, validation, processor))
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    rounded = metric.compute(*predict_scores(model, validation, processor))
    kept = abs(rounded - value) <= HALF_TOLERANCE
    if not kept:
        model.load_state_dict(before)
    stored = "stored in 16 bits" if kept else "kept in 32 bits"
    say(f"{metric.name} of the validation rows is {value:.4f} in 32 bits and {rounded:.4f} in 16: {stored}")
    return kept


def reevaluate(
    name: str | os.PathLike[str], *, data: str | None = None, split: str | None = None, seed: int = 0,
    say: Say = lambda line: None,
) -> Report:  # fmt: skip
    """Evaluate a trained model on its own test split, or on the test split of other data.

    Raises SplitError when the recipe no longer leads to the rows it led to when the model was trained.
    """
    folder = model_folder(name)
    predictor = from_pretrained(name)
    recipe = read_recipe(folder) if data is None else Recipe(task=predictor.task.id, data=data, split=split, seed=seed)
    splits = load_splits(predictor.task, recipe.data, split=recipe.split, seed=recipe.seed, say=say)
    if data is None:
        trained_on = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))["data"]
        if trained_on["split_sha256"] != splits.split_sha256:
            raise SplitError(
                f"{name} was trained on split {trained_on['split_sha256'][:12]}, but its recipe now gives "
                f"{splits.split_sha256[:12]}; some test rows may have been trained on. Train anew, or name --data"
            )
    return evaluate(
        predictor.task, predictor.model, predictor.processor, splits,
        seed=recipe.seed, command=_evaluation_command(name),
    )  # fmt: skip


def make_config(task: Task, recipe: Recipe, *, label_names: tuple[str, ...]) -> Any:
    """Make the task's config: the network's defaults, the data's labels, and the recipe's changes."""
    values: dict[str, Any] = {"id2label": dict(enumerate(label_names))}
    values["label2id"] = {name: index for index, name in values["id2label"].items()}
    if recipe.architecture is not None:
        values["architecture"] = recipe.architecture
    for key in recipe.config:
        if key not in task.config_class.own_fields():
            known = task.config_class.own_fields()
            raise ConfigError(f"{task.id} has no config key {key!r}{suggest(key, known)} Keys: {', '.join(known)}")
    return task.config_class(**values, **recipe.config)


def make_settings(task: Task, recipe: Recipe, *, architecture: str) -> Settings:
    """Make the training settings: the plugin's for this network, the recipe's changes, and its seed."""
    defaults = task.module("config").TRAINING
    chosen = defaults.get(architecture, defaults.get("default", {}))
    return Settings.from_dict({**chosen, **recipe.settings, "seed": recipe.seed})


def _evaluation_command(name: str | os.PathLike[str]) -> str:
    """Return the command that evaluates a model again, by its name where it is one of the zoo."""
    zoo = {path.resolve(): known for known, path in zoo_models().items()}
    return f"medhub evaluate {shlex.quote(zoo.get(Path(name).resolve()) or _without_place(name))}"


def _without_place(name: str | os.PathLike[str]) -> str:
    """Return a name or path for a card, an absolute path without its folders: those are nobody else's business."""
    return Path(name).name if Path(name).is_absolute() else os.fspath(name)
