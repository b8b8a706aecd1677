"""The gallery: all models of the zoo by area and task, searchable, each with a page of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from html import escape
from pathlib import Path

import gradio

from medhub.demo.about import About
from medhub.demo.page import fill, open_blocks
from medhub.demo.uploads import Uploads
from medhub.predictor import from_pretrained
from medhub.registry import Task, get, zoo_index, zoo_models
from medhub.results import NOTICE

LOADED = 4
"""Models that are kept in memory, the latest used."""
AREAS = {"imaging": "Imaging", "genomics": "Genomics", "ehr": "Health records", "chem": "Chemistry"}


@dataclass(frozen=True)
class Entry:
    """A model of the gallery."""

    about: About
    task: Task

    def matches(self, words: str) -> bool:
        """Whether all words that a visitor sought occur in what is said of the model."""
        text = " ".join([self.about.name, self.about.sentence, self.task.modality, *self.about.sections.values()])
        return all(word in text.lower() for word in words.lower().split())


def gallery() -> gradio.Blocks:
    """Return the gallery of the zoo; a model is loaded when somebody first asks it."""
    load = lru_cache(maxsize=LOADED)(from_pretrained)
    entries = [_entry(name, folder, task) for (name, folder), task in zip(
        zoo_models().items(), zoo_index().values(), strict=True)]  # fmt: skip
    uploads = Uploads()
    with open_blocks("MedHub") as page:
        gradio.Markdown(f"# MedHub\n{len(entries)} models of medicine that can be tried here.")
        gradio.Markdown(f"**{NOTICE}**", elem_classes="notice")
        sought = gradio.Textbox(label="Search", placeholder="x-ray, protein, toxicity, gru ...", max_lines=1)
        shown = gradio.HTML(_listed(entries))
        sought.change(
            lambda words: _listed([entry for entry in entries if entry.matches(words)]),
            inputs=[sought], outputs=[shown], show_progress="hidden", trigger_mode="always_last",
            api_visibility="private",
        )  # fmt: skip
    for entry in entries:
        name = entry.about.name
        with page.route(name, show_in_navbar=False):
            gradio.Markdown("[All models](./)")
            fill(entry.about, entry.task, partial(load, name), uploads=uploads, prefix=f"{name}-")
    page.unload(uploads.forget)
    return page


def _entry(name: str, folder: Path, task: str) -> Entry:
    found = get(task)
    return Entry(About.read(name, folder, found), found)


def _listed(entries: list[Entry]) -> str:
    """Write the models as HTML, by area and task."""
    by_area: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        by_area.setdefault(entry.task.area, {}).setdefault(entry.task.id, []).append(entry)
    parts = [
        f"<h2>{AREAS.get(area, area)}</h2>"
        + "".join(f"<h3>{escape(_heading(task))}</h3>{_links(found)}" for task, found in tasks.items())
        for area, tasks in by_area.items()
    ]
    return "".join(parts) or "<p>No model has all of these words; try one of them.</p>"


def _heading(task: str) -> str:
    """Name a task for a reader: "structure optimisation" is written as its folder is."""
    return task.partition("/")[2].replace("_", " ").capitalize()


def _links(entries: list[Entry]) -> str:
    items = "".join(
        f'<li><a href="./{escape(entry.about.name)}">{escape(entry.about.name)}</a><br>'
        f"{escape(entry.about.sentence.partition('. ')[0])}</li>"
        for entry in entries
    )
    return f"<ul>{items}</ul>"
