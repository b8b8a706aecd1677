"""The page of one model: the plugin says what goes in and out, this page says everything else.

A plugin's demo.py has five plain functions: `inputs()` and `outputs()` give Gradio components, `raw(*values)` turns the
inputs' values into what `predict` takes, `draw(result)` turns a result into the outputs' values, and `examples()` gives
rows of input values that run, by what a visitor is told of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio

from medhub.demo.about import About
from medhub.demo.uploads import Uploads
from medhub.errors import MedHubError
from medhub.predictor import Predictor
from medhub.registry import Task
from medhub.results import NOTICE, Prediction

CACHE_SECONDS = (600, 3600)
"""How often the files that visitors gave or got are looked through, and the age at which they are deleted."""
STYLE = """
.notice {border-left: 4px solid var(--color-accent); padding: 0.25rem 0.75rem; font-weight: 600}
.models {display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 0.75rem;
         list-style: none; margin: 0; padding: 0}
.models li {border: 1px solid var(--border-color-primary); border-radius: var(--radius-lg); padding: 0.75rem; margin: 0}
.models a {font-weight: 600; padding: 0}
.said {overflow-wrap: anywhere}
.html-container {padding: 0 !important}
.prose .figures {width: 100%; border-collapse: collapse; border: 0; margin: 0}
.prose .figures caption {text-align: left; padding-bottom: 0.25rem; color: var(--body-text-color)}
.prose .figures tr {border: 0; background: none}
.prose .figures :is(th, td) {border: 0; padding: 0.15rem 0.5rem 0.15rem 0; font-weight: 400; text-align: left}
.prose .figures th {overflow-wrap: break-word}
.prose .figures td:nth-child(2) {width: 40%}
@media (max-width: 40rem) {.prose .figures td:nth-child(2) {width: 15%}}
.prose .figures td:nth-child(n + 3) {white-space: nowrap; text-align: right}
.figures i {display: block; height: 0.75rem; min-width: 1px; border-radius: 2px; background: var(--color-accent)}
.nav-holder {display: none !important}
.downloads .label-clear-button {display: none}
.image-container:not(:has(.base-image)) {padding-top: 2.25rem}
.container:has(> .image-container .base-image) {margin-top: 2.25rem}
.image-container:has(.base-image) > .icon-button-wrapper {top: -2rem}
"""
"""The gallery's bar of pages goes, since its cards lead to them; a picture, with a mask over it (`.base-image`) or
without, begins under its label and its buttons."""
WAITING = "<p>The result appears here.</p>"
TELL = """() => {
    document.querySelectorAll(".block.said").forEach(said => said.setAttribute("aria-live", "polite"))
    document.querySelectorAll(".block > .upload-container").forEach(button => button.setAttribute(
        "aria-label", `${button.parentElement.querySelector("label").innerText.trim()}: choose or drop files`
    ))
}"""
"""Lets a screen reader say the result when it comes, and what each button for files is for."""


def open_blocks(title: str) -> gradio.Blocks:
    """Return an empty page, or first page of several, that reports to nobody and deletes what it was given."""
    return gradio.Blocks(title=title, analytics_enabled=False, delete_cache=CACHE_SECONDS)


def show_notice() -> None:
    """Say that this is for research only."""
    gradio.HTML(f'<p class="notice">{NOTICE}</p>')


def build(predictor: Predictor) -> gradio.Blocks:
    """Return the demo of a model: input left, result right, examples and the model's card beneath.

    An input that cannot be used shows the predictor's sentence. What a visitor gives is not logged; uploads go when the
    visitor leaves, drawn results within two hours.
    """
    about = About.of(predictor)
    uploads = Uploads()
    with open_blocks(f"{about.title} · MedHub") as page:
        fill(about, predictor.task, lambda: predictor, uploads=uploads)
    page.unload(uploads.forget)
    return page


def fill(
    about: About,
    task: Task,
    load: Callable[[], Predictor],
    *,
    uploads: Uploads,
    prefix: str = "",
) -> None:
    """Lay out a model's page in the Blocks that is open; the model is loaded when somebody asks it.

    `prefix` goes before the names under which programs call it: `prefix`predict, and `prefix`explain.
    """
    plugin = task.module("demo")
    gradio.Markdown(f"# {about.title}\n{about.sentence}{_trained(about)}")
    show_notice()
    with gradio.Row():
        with gradio.Column():
            inputs = plugin.inputs()
            with gradio.Row():
                predict = gradio.Button("Predict", variant="primary")
                explain = gradio.Button("Predict and explain")
            under_inputs = gradio.Column()
        with gradio.Column():
            said = gradio.HTML(WAITING, elem_classes="said")
            with gradio.Column(visible=False) as shown:
                outputs = plugin.outputs()
                caption = gradio.HTML(visible=False)
                picture = gradio.Image(
                    label="Explanation", interactive=False, format="png", buttons=["download", "fullscreen"],
                    visible=False,
                )  # fmt: skip
                files = gradio.File(
                    label="Download the result", file_count="multiple", interactive=False, elem_classes="downloads"
                )
                with gradio.Accordion("As data", open=False):
                    record = gradio.JSON(label="The result as JSON", show_label=False)
    everything = [said, *outputs, caption, picture, files, record, shown]
    answer = partial(_answer, load, plugin)
    examples = plugin.examples()
    with under_inputs:
        gradio.Examples(
            [*examples.values()], inputs=inputs, outputs=everything, fn=answer, run_on_click=True, cache_examples=False,
            example_labels=[*examples], label="Examples, made up or published; a click runs one",
            api_visibility="private",
        )  # fmt: skip
    for button, name in ((predict, "predict"), (explain, "explain")):
        # what an earlier input gave must not stand beside one that is refused
        button.click(_clear, outputs=[said, shown], queue=False, show_progress="hidden", api_visibility="private").then(
            partial(answer, explain=name == "explain"), inputs=inputs, outputs=everything, api_name=f"{prefix}{name}"
        )
    gradio.on(fn=None, js=TELL)
    uploads.watch(inputs)
    with gradio.Accordion("Use it from code", open=False):
        gradio.Markdown(about.code(prefix=prefix))
    for heading, text in about.sections.items():
        with gradio.Accordion(heading, open=False):
            gradio.Markdown(text)


def launch(
    page: gradio.Blocks, *, port: int | None = None, say: Callable[[str], None], block: bool = True
) -> gradio.Blocks:
    """Serve a page, tell its URL through `say`, and wait until interrupted (unless not to `block`).

    Only this machine can open it, unless GRADIO_SERVER_NAME says otherwise, as it does on a Space.
    """
    _, url, _ = page.launch(
        server_port=port, share=False, quiet=True, prevent_thread_lock=True, inbrowser=False,
        footer_links=["api", "settings"], css=STYLE,
    )  # fmt: skip
    say(f"demo: {url} (Ctrl-C ends it)")
    if block:
        page.block_thread()
    return page


def _answer(load: Callable[[], Predictor], plugin: Any, *values: Any, explain: bool = False) -> Iterator[list[Any]]:
    """Predict, and yield a value for each component on the right."""
    try:
        result: Prediction = load().predict(plugin.raw(*values), explain=explain)
    except MedHubError as error:
        raise gradio.Error(_without_folders(str(error), values), duration=None, print_exception=False) from error
    explained = result.explanation
    # names come from the visitor's file
    told = f"<h2>{escape(result.title())}</h2><p>{escape(result.certainty())}</p>"
    # yielded, not returned: the files must outlive Gradio's copying of them
    with tempfile.TemporaryDirectory(prefix="medhub-result-") as folder:
        stem = Path(folder) / "result"
        files = [str(result.save(stem.with_suffix(kind))) for kind in result.downloads()]
        yield [
            told,
            *plugin.draw(result),
            gradio.HTML(f"<p>{escape(explained.caption)}</p>" if explained else "", visible=explain),
            gradio.Image(
                explained.picture if explained else None,
                visible=explain,
                alt_text=explained.caption if explained else None,
            ),
            files,
            result.to_dict(),
            gradio.Column(visible=True),
        ]


def _without_folders(message: str, values: tuple[Any, ...]) -> str:
    """Name the files that a visitor gave as the visitor does, not by where the server keeps them."""
    for path in [path for value in values for path in (value if isinstance(value, list) else [value])]:
        if isinstance(path, str) and Path(path).is_absolute():
            message = message.replace(f"{Path(path).parent}/", "")
    return message


def _clear() -> list[Any]:
    """Take away what an earlier input gave."""
    return [WAITING, gradio.Column(visible=False)]


def _trained(about: About) -> str:
    """Say what the model learned from, and how well it did; nothing of a model without a card."""
    return f"\n\nTrained on {about.trained_on}. On its test rows: {about.figure}." if about.trained_on else ""
