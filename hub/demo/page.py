"""A Gradio demo from a predictor: the plugin says what goes in and out, this page says everything else.

A plugin's demo.py has five plain functions: `inputs()` and `outputs()` give Gradio components, `raw(*values)` turns the
inputs' values into what `predict` takes, `draw(result)` turns a result into the outputs' values, and `examples()` gives
rows of input values that run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhub.errors import MedHubError
from medhub.predictor import Predictor
from medhub.results import NOTICE

if TYPE_CHECKING:
    import gradio

CACHE_SECONDS = (600, 3600)
"""How often the files that visitors gave or got are looked through, and the age at which they are deleted."""


def build(predictor: Predictor) -> gradio.Blocks:
    """Return the demo of a model: input left, result and explanation right, examples and the notice beneath.

    An input that cannot be used shows the predictor's sentence. What a visitor gives is not logged, and goes within two
    hours.
    """
    gradio = _gradio()
    plugin = predictor.task.module("demo")
    config = predictor.model.config
    summary = predictor.task.summary
    name = Path(predictor.provenance.model).name if predictor.provenance else predictor.task.id

    def answer(*values: Any) -> Iterator[list[Any]]:
        try:
            result = predictor.predict(plugin.raw(*values), explain=True)
        except MedHubError as error:
            raise gradio.Error(str(error), duration=None, print_exception=False) from error
        explained = result.explanation
        # yielded, not returned: files that a result deletes when it goes must outlive Gradio's copying of them
        yield [f"## {result.title()}", *plugin.draw(result), explained.caption, explained.picture, result.to_dict()]

    with gradio.Blocks(title=f"{name} · MedHub", analytics_enabled=False, delete_cache=CACHE_SECONDS) as page:
        gradio.Markdown(
            f"# {name}\n{summary[:1].upper()}{summary[1:]}: network `{config.architecture}`.\n\n**{NOTICE}**"
        )
        with gradio.Row():
            with gradio.Column():
                inputs = plugin.inputs()
                button = gradio.Button("Predict", variant="primary")
            with gradio.Column():
                said = gradio.Markdown()
                outputs = plugin.outputs()
                caption = gradio.Markdown()
                picture = gradio.Image(show_label=False, interactive=False, format="png", buttons=["download"])
                with gradio.Accordion("As data", open=False):
                    record = gradio.JSON(show_label=False)
        everything = [said, *outputs, caption, picture, record]
        gradio.Examples(
            plugin.examples(), inputs=inputs, outputs=everything, fn=answer, run_on_click=True, cache_examples=False
        )
        button.click(answer, inputs=inputs, outputs=everything, api_name="predict")
    return page


def launch(
    predictor: Predictor, *, port: int | None = None, say: Callable[[str], None], block: bool = True
) -> gradio.Blocks:
    """Serve the demo on loopback, tell its URL through `say`, and wait until interrupted (unless not to `block`)."""
    page = build(predictor)
    _, url, _ = page.launch(
        server_name="127.0.0.1", server_port=port, share=False, quiet=True, prevent_thread_lock=True, inbrowser=False,
    )  # fmt: skip
    say(f"demo: {url} (Ctrl-C ends it)")
    if block:
        page.block_thread()
    return page


def _gradio() -> Any:
    try:
        import gradio
    except ImportError as error:
        raise MedHubError("demos need Gradio; pip install 'medhub[demo]'") from error
    return gradio
