"""What a demo page says of its model: what stands on the card, and how to use the model without the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from huggingface_hub import ModelCard

from medhub.predictor import Predictor, model_folder
from medhub.publishing.card import CARD_FILE
from medhub.publishing.page import Page, read_page
from medhub.registry import Task

SECTIONS = {
    "About the model": ("Intended use", "Limits"),
    "Numbers": ("Numbers", "Calibration and coverage"),
    "Data, and how to reproduce": ("Data", "How to reproduce"),
}
"""Headings on the page, and the card's sections under each."""
ADDRESS = "ADDRESS OF THIS PAGE"


@dataclass(frozen=True)
class About:
    """A model in words."""

    name: str
    """By which `from_pretrained` knows it."""
    sentence: str
    trained_on: str = ""
    """The data, in words; empty for a model without a card, as are the following two."""
    figure: str = ""
    """What the first metric came to on the test rows."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """Of the card, as Markdown, by heading."""

    @classmethod
    def of(cls, predictor: Predictor) -> Self:
        """Describe a model that is loaded."""
        if predictor.provenance is None:
            return cls(predictor.task.id, _sentence(predictor.task, predictor.model.config.architecture))
        name = predictor.provenance.model
        return cls.read(name, model_folder(name), predictor.task)

    @classmethod
    def read(cls, name: str, folder: Path, task: Task) -> Self:
        """Describe a model by its folder, without loading it."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = folder.name if Path(name).is_absolute() else name
        sentence = _sentence(task, config["architecture"])
        card = folder / CARD_FILE
        if not card.is_file():
            return cls(name, sentence)
        found = ModelCard(card.read_text(encoding="utf-8"))
        result = next(iter(found.data.get("eval_results") or ()), None)
        return cls(
            name, sentence,
            trained_on=result.dataset_name if result else "",
            figure=f"{result.metric_name} {result.metric_value:.3f}" if result else "",
            sections=_sections(read_page(found.text)),
        )  # fmt: skip

    @property
    def title(self) -> str:
        """The name without whose it is."""
        return Path(self.name).name

    def code(self, *, prefix: str) -> str:
        """Show how to use the model from Python, and this page through Gradio's client."""
        return (
            "On your own machine (`pip install 'medhub[all]'`):\n\n"
            f'```python\nimport medhub\nmodel = medhub.from_pretrained("{self.name}")\n```\n\n'
            "Through this page (`pip install gradio_client`); `view_api` says what goes in, and files go through "
            "`gradio_client.handle_file`:\n\n"
            f'```python\nfrom gradio_client import Client\npage = Client("{ADDRESS}")\n'
            f'page.view_api()\npage.predict(..., api_name="/{prefix}predict")\n```'
        )


def _sentence(task: Task, architecture: str) -> str:
    return f"{task.summary[:1].upper()}{task.summary[1:]}. Task `{task.id}`, network `{architecture}`."


def _sections(page: Page) -> dict[str, str]:
    facts = "\n".join(line for line in page.introduction.splitlines() if line.startswith("- "))
    found = {}
    for heading, names in SECTIONS.items():
        parts = [f"### {name}\n\n{page.sections[name]}" for name in names if name in page.sections]
        found[heading] = "\n\n".join([*([facts] if heading == next(iter(SECTIONS)) else []), *parts])
    return {heading: text for heading, text in found.items() if text}
