"""The gallery: all models of the zoo by area and task, searchable, each with a page of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from html import escape

import gradio

from medhub.demo.about import About
from medhub.demo.page import fill, open_blocks, show_notice
from medhub.demo.uploads import Uploads
from medhub.predictor import from_pretrained
from medhub.registry import AREAS, Task, get, tasks, zoo_index, zoo_models

LOADED = 4
"""Models that are kept in memory, the latest used."""


@dataclass(frozen=True)
class Entry:
    """A model of the gallery."""

    about: About
    task: Task

    def matches(self, words: str) -> bool:
        """Whether all words that a visitor sought occur in what is said of the model."""
        about = self.about
        text = " ".join([about.name, about.sentence, self.task.modality, about.trained_on, *about.sections.values()])
        return all(word in text.lower() for word in words.lower().split())


def gallery() -> gradio.Blocks:
    """Return the gallery of the zoo; a model is loaded when somebody first asks it."""
    load = lru_cache(maxsize=LOADED)(from_pretrained)
    entries = _entries()
    uploads = Uploads()
    with open_blocks("MedHub") as page:
        gradio.Markdown(f"# MedHub\n{len(entries)} models of medicine that can be tried here.")
        show_notice()
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
            gradio.HTML('<a href="./">All models</a>')  # Markdown would open it beside this page
            fill(entry.about, entry.task, partial(load, name), uploads=uploads, prefix=f"{name}-")
    page.unload(uploads.forget)
    return page


def _entries() -> list[Entry]:
    """Return the zoo's models in the order of the areas and their tasks."""
    folders, task_of = zoo_models(), zoo_index()
    areas = dict.fromkeys([*AREAS, *(id.partition("/")[0] for id in tasks())])
    order = [id for area in areas for id in tasks() if id.startswith(f"{area}/")]
    names = sorted(folders, key=lambda name: (order.index(task_of[name]), name))
    return [Entry(About.read(name, folders[name], get(task_of[name])), get(task_of[name])) for name in names]


def _listed(entries: list[Entry]) -> str:
    """Write the models as HTML, by area and task."""
    by_area: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        by_area.setdefault(entry.task.area, {}).setdefault(entry.task.summary, []).append(entry)
    parts = [
        f"<h2>{escape(AREAS.get(area, area))}</h2>"
        + "".join(
            f"<h3>{escape(summary[:1].upper() + summary[1:])}</h3>{_links(found)}" for summary, found in of.items()
        )
        for area, of in by_area.items()
    ]
    return "".join(parts) or "<p>No model has all of these words; leave one out.</p>"


def _links(entries: list[Entry]) -> str:
    items = "".join(
        f'<li><a href="./{escape(about.name)}">{escape(about.name)}</a><br>{escape(about.trained_on)}<br>'
        f"Test: {escape(about.figure)}</li>"
        for about in (entry.about for entry in entries)
    )
    return f'<ul class="models">{items}</ul>'
