"""What a card must say before a model may leave the house."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from medhub.errors import LoadError
from medhub.evaluation import Report
from medhub.publishing.card import CARD_FILE, FIRST, REPORT_FILE
from medhub.publishing.page import read_page
from medhub.results import NOTICE

SECTIONS = (*FIRST, "How to load", "Numbers", "Calibration and coverage", "Data", "How to reproduce")
METADATA = ("license", "library_name", "pipeline_tag", "tags", "metrics", "medhub")


def check_card(folder: str | os.PathLike[str]) -> list[str]:
    """Return what a model folder's card lacks, a sentence each; an empty list for a complete card."""
    path = Path(folder) / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
        card = ModelCard(text)
    except FileNotFoundError:
        return [f"there is no {CARD_FILE}"]
    except (ValueError, yaml.YAMLError) as error:
        return [f"the front matter of {CARD_FILE} cannot be read: {error}"]
    missing = [f"the front matter has no {key!r}" for key in METADATA if not card.data.get(key)]
    if not card.data.get("eval_results"):
        missing.append("the front matter has no numbers (model-index)")
    if NOTICE not in card.text:
        missing.append(f"the notice is not there: {NOTICE!r}")
    sections = read_page(card.text).sections
    missing += [f"section {name!r} is absent or empty" for name in SECTIONS if not sections.get(name)]
    return missing + _unlike_report(Path(folder), card.text)


def _unlike_report(folder: Path, text: str) -> list[str]:
    """Return in what a card's text differs from the report beside it."""
    try:
        report = Report.from_dict(json.loads((folder / REPORT_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return [f"there is no {REPORT_FILE}"]
    except (ValueError, TypeError, AttributeError, LoadError) as error:
        return [f"{REPORT_FILE} cannot be read: {error}"]
    told = {
        "the numbers of evaluation.json": report.to_markdown(),
        "the data's sha256": report.data_sha256,
        "the split's sha256": report.split_sha256,
        "the commit": report.commit,
        "the command that makes the numbers": report.command,
    }
    return [f"{name} cannot be found" for name, said in told.items() if said not in text or not said]
