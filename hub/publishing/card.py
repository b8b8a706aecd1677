"""The model card: README.md with front matter for the Hub, evaluation.json, and the Hub's own evaluation files.

A card is written from records alone (the report, the data's summary, the settings), so that no number on it was typed.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml
from safetensors import safe_open

import medhub
from medhub.errors import BrokenPlugin
from medhub.evaluation import Calibration, Report
from medhub.evaluation.markdown import escape
from medhub.publishing import sections
from medhub.publishing.page import read_page
from medhub.results import NOTICE

if TYPE_CHECKING:
    from medhub.data import Source
    from medhub.registry import Task

CARD_FILE = "README.md"
REPORT_FILE = "evaluation.json"
FIRST = ("Intended use", "Limits")
"""Sections of the plugin's page that a reader needs before any number."""

_PIPELINE_TAGS = {
    "AutoModel": "feature-extraction",
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForSemanticSegmentation": "image-segmentation",
    "AutoModelForSequenceClassification": "text-classification",
}


def write_card(
    folder: str | os.PathLike[str],
    *,
    task: Task,
    report: Report,
    data: Mapping[str, Any],
    settings: Mapping[str, Any],
    outcome: Mapping[str, Any],
    train_command: str,
    train_commit: str | None = None,
    calibration: Calibration | str | None = None,
    licence: str | None = None,
) -> Path:
    """Write README.md, evaluation.json and .eval_results/ into a model folder that holds config.json and the weights.

    `data` is `Splits.summary()`, `settings` and `outcome` are what training was given and came to, as dicts. `licence`
    is the weights', in the Hub's spelling (None: what the data ask for); the data's own stands apart. `train_commit` is
    the code that made the weights (None: that which made the report). Returns the card.
    """
    folder = Path(folder)
    name = folder.resolve().name
    config = task.config_class.from_pretrained(folder)
    source = task.datasets.get(data["dataset"]) if data["dataset"] else None
    licence = licence or (source.model_licence if source else "apache-2.0")
    title = _title(source, data)
    page = read_page(_readme(task))
    reproduction = sections.reproduction(
        report, settings=settings, outcome=outcome, train_command=train_command,
        train_commit=train_commit or report.commit,
    )  # fmt: skip
    parts = [
        f"# {escape(name)}",
        f"> **{NOTICE}**",
        sections.summary(task, config, numbers=_count_numbers(folder), title=title, licence=licence),
        *(f"## {heading}\n\n{page.sections[heading]}" for heading in FIRST if heading in page.sections),
        "## How to load\n\n" + sections.loading(task, name=name),
        "## Numbers\n\n" + report.to_markdown(),
        "## Calibration and coverage\n\n" + sections.calibration(config, fitted=calibration, coverage=report.coverage),
        "## Data\n\n" + sections.data(data, source, licence=licence),
        "## How to reproduce\n\n" + reproduction,
        "## About the task\n\n" + page.without(*FIRST),
    ]
    metadata = _metadata(task, report, name=name, title=title, source=source, licence=licence)
    if source:  # the Hub ranks models on public data sets only
        _write_entries(folder / ".eval_results", report, source=source)
    _write(folder / REPORT_FILE, report.to_json() + "\n")
    return _write(folder / CARD_FILE, f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n")


def pipeline_tag(auto_class: str) -> str:
    """Return the Hub's name for what an Auto class does: "image-classification" for AutoModelForImageClassification."""
    words = re.findall(r"[A-Z][a-z]+", auto_class.removeprefix("AutoModelFor"))
    return _PIPELINE_TAGS.get(auto_class) or "-".join(words).lower()


def _metadata(
    task: Task, report: Report, *, name: str, title: str, source: Source | None, licence: str
) -> ModelCardData:
    """Return the front matter; what only MedHub reads stands under the key `medhub`."""
    dataset = _dataset_id(report, source)
    results = [
        EvalResult(
            task_type=pipeline_tag(task.auto_class),
            task_name=task.summary,
            dataset_type=dataset,
            dataset_name=title,
            dataset_config=report.split,
            dataset_split="test",
            metric_type=metric,
            metric_name=metric,
            metric_value=number.value,
        )
        for metric, number in report.numbers.items()
        if number.value is not None
    ]
    return ModelCardData(
        license=licence,
        library_name="medhub",
        pipeline_tag=pipeline_tag(task.auto_class),
        tags=list(dict.fromkeys(["medhub", *task.id.split("/"), task.modality])),
        datasets=[dataset] if source else None,
        metrics=list(report.numbers),
        model_name=name,
        eval_results=results or None,
        medhub={
            "version": medhub.__version__,
            "task": task.id,
            "data_sha256": report.data_sha256,
            "split_sha256": report.split_sha256,
            **({"data_licence": source.licence} if source else {}),
        },
    )


def _write_entries(folder: Path, report: Report, *, source: Source) -> None:
    """Write one entry a metric, as the Hub's leaderboards read them."""
    notes = f"{report.split} split, seed {report.seed}, split sha256 {report.split_sha256}, commit {report.commit}"
    entries = [
        EvalResultEntry(dataset_id=_dataset_id(report, source), task_id=metric, value=number.value, notes=notes)
        for metric, number in report.numbers.items()
        if number.value is not None
    ]
    folder.mkdir(exist_ok=True)
    text = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)
    _write(folder / f"{_file_name(report.dataset)}.yaml", text)


def _dataset_id(report: Report, source: Source | None) -> str:
    """Return the data set's repository on the Hub, or its MedHub name where it has none."""
    repositories = [file.repo for file in source.files if file.repo] if source else []
    return repositories[0] if repositories else _file_name(report.dataset)


def _title(source: Source | None, data: Mapping[str, Any]) -> str:
    return f"{source.title} ({data['version']})" if source else "no public data set"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "data"


def _readme(task: Task) -> str:
    try:
        return (resources.files(task.package) / CARD_FILE).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BrokenPlugin(
            f"{task.id}: {task.package} has no README.md, which is the lower half of its models' cards; add one, and "
            "name it in the distribution's package data"
        ) from error


def _count_numbers(folder: Path) -> int:
    """Return how many numbers the weights hold, told from the file's header."""
    with safe_open(folder / "model.safetensors", framework="np") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return path
