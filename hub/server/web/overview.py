"""What a page tells of a repository, from its card and its files' headers.

A card is whatever somebody wrote into YAML: each function here takes any value there, and leaves out what does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medhub.registry import AREAS
from medhub.server.cards import INTENDED_USE, Card
from medhub.server.tables import Repo

LONGEST = 300
"""Characters of a value that are shown; a card may hold whole books."""
MOST_METRICS = 100
ABBREVIATIONS = frozenset({"acc", "auc", "auroc", "auprc", "ece", "f1", "iou", "mae", "mcc", "mse", "rmse"})


@dataclass(frozen=True)
class Measured:
    """Numbers of a model on one data set and split."""

    dataset: str
    split: str
    metrics: list[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    """A repository in a list."""

    repo: Repo
    area: str
    task: str
    summary: str
    facts: list[tuple[str, str]]
    headline: tuple[str, str] | None

    @classmethod
    def of(cls, repo: Repo, tags: Sequence[str]) -> Row:
        """Return the row of a repository with these tags."""
        measured = metrics(repo.card)
        count = parameters(repo)
        facts = {"Licence": licence(repo), "Size": f"{count} parameters" if count else ""}
        told = [(name, value) for name, value in facts.items() if value]
        headline = measured[0].metrics[0] if measured else None
        return cls(repo, tagged(tags, "area"), tagged(tags, "task"), summary(repo), told, headline)


def tagged(tags: Sequence[str], facet: str) -> str:
    """Return the value of the first tag "facet:value"."""
    return next((tag.partition(":")[2] for tag in tags if tag.startswith(facet + ":")), "")


def label(facet: str, value: str) -> str:
    """Return how a facet's value is written for people."""
    return AREAS.get(value, value) if facet == "area" else value


def summary(repo: Repo) -> str:
    """Return one sentence or two on a repository, as its card says them."""
    return text(repo.facts.get("description"))


def licence(repo: Repo) -> str:
    """Return the licence of a repository's files."""
    named = repo.card.get("license_name") if repo.card.get("license") == "other" else None
    return text(named or repo.card.get("license"))


def parameters(repo: Repo) -> str:
    """Return how many weights a model has, as its safetensors headers say."""
    total = _mapping(repo.facts.get("safetensors")).get("total")
    return f"{total:,}" if isinstance(total, int) and total > 0 else ""


def known(repo: Repo, card: Card) -> dict[str, str]:
    """Return what is known of a repository, by its name for people; empty where the card does not tell."""
    return {
        "Intended use": text(card.medical("intended_use") or card.section(INTENDED_USE)),
        "Modality": text(card.medical("modality")),
        "Licence": licence(repo),
        "Parameters": parameters(repo),
        "Library": text(repo.facts.get("library_name")),
        "SDK": text(repo.facts.get("sdk")),
    }


def metrics(card: Mapping[str, Any]) -> list[Measured]:
    """Return the numbers that a card's model-index declares, one entry a data set and split."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    results = [result for model in _mappings(card.get("model-index")) for result in _mappings(model.get("results"))]
    for result in results[:MOST_METRICS]:
        dataset = _mapping(result.get("dataset"))
        key = text(dataset.get("name") or dataset.get("type")), text(dataset.get("split"))
        named = [(_metric(metric), _number(metric.get("value"))) for metric in _mappings(result.get("metrics"))]
        found.setdefault(key, []).extend(pair for pair in named[:MOST_METRICS] if all(pair))
    return [Measured(*key, numbers) for key, numbers in found.items() if numbers]


def loading(repo: Repo, endpoint: str) -> tuple[str, str]:
    """Return how to point the clients at this Hub, and the lines that load the repository."""
    setting = f"export HF_ENDPOINT={endpoint}"
    name = repo.full_name
    if repo.kind == "dataset":
        return setting, f'from datasets import load_dataset\ndata = load_dataset("{name}")'
    if repo.kind == "space":
        call = f'snapshot_download("{name}", repo_type="space")'
        return setting, f"from huggingface_hub import snapshot_download\nfolder = {call}"
    library = repo.facts.get("library_name") or repo.card.get("library_name")
    if library == "medhub":
        return setting, f'import medhub\nmodel = medhub.from_pretrained("{name}")'
    if library == "transformers":
        return setting, f'from transformers import AutoModel\nmodel = AutoModel.from_pretrained("{name}")'
    return setting, f'from huggingface_hub import snapshot_download\nfolder = snapshot_download("{name}")'


def _metric(metric: Mapping[str, Any]) -> str:
    name = text(metric.get("name") or metric.get("type"))
    if name.lower() in ABBREVIATIONS:
        return name.upper()
    return (name[:1].upper() + name[1:] if name.islower() else name).replace("_", " ")


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.6g}"


def text(value: Any) -> str:
    """Return a value that is a word, a number, or a list of them, as one line."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(text, value[:10])))[:LONGEST]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    line = " ".join(str(value).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
