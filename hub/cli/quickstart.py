"""`medhub quickstart`: the main job on real data, from nothing to a demo, in about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medhub.cli.display import training_progress
from medhub.cli.models import _say, _show


def quickstart(
    task: Annotated[str, typer.Option(help="The task to show.")] = "chem/toxicity",
    data: Annotated[str | None, typer.Option(help="Another data set than the task's default.")] = None,
    out: Annotated[Path, typer.Option(help="Where the model folder goes.")] = Path("runs/quickstart"),
    demo: Annotated[bool, typer.Option(help="Open the demo at the end.")] = True,
) -> None:
    """Fetch real data, train, compare with baselines, save, load back, predict, explain, and open the demo.

    Example: medhub quickstart --no-demo
    """
    from medhub.predictor import from_pretrained
    from medhub.recipe import Recipe, run
    from medhub.registry import get

    found = get(task)
    folder = out / task.replace("/", "-")
    _say(f"1/4 {found.id}: {found.summary}")
    recipe = Recipe(task=task, data=data)
    with training_progress() as progress:
        report = run(recipe, folder, say=_say, progress=progress)
    _show(report, as_json=False)

    _say(f"2/4 loading the model back from {folder}")
    model = from_pretrained(folder)
    _say(f"    {model!r}")

    plugin = found.module("demo")
    raw = plugin.raw(*plugin.examples()[0])
    _say("3/4 predicting, with an explanation")
    result = model.predict(raw, explain=True)
    picture = folder / "prediction.png"
    result.to_picture().save(picture)
    print(result.title())
    print(f"model folder  {folder}\ncard          {folder / 'README.md'}\npicture       {picture}")
    written = repr(raw) if isinstance(raw, str) else '"your.file"'
    print(f'in code       import medhub; medhub.from_pretrained("{folder}").predict({written})')
    if demo:
        from medhub.demo import launch

        _say("4/4 opening the demo")
        launch(model, say=_say)
