"""Commands about models: train, evaluate, predict, push, demo."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medhub.cli.display import print_json, print_table, training_progress

if TYPE_CHECKING:
    from medhub.results import Prediction

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
Name = Annotated[str, typer.Argument(help="A model folder, a model of the zoo, or org/name on a Hub.")]
Data = Annotated[str | None, typer.Option(help="A data set's name, 'synthetic', or your own file or folder.")]
Split = Annotated[str | None, typer.Option(help="official, group or random; the data set's own unless given.")]


def train(
    task: Annotated[str, typer.Argument(help="A task's id, such as chem/toxicity.")],
    data: Data = None,
    split: Split = None,
    architecture: Annotated[str | None, typer.Option("--architecture", "-a", help="The network.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The model folder to write.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="A training setting, key=value; may be given again.")
    ] = None,
    config: Annotated[list[str] | None, typer.Option(help="A key of the model's config, key=value.")] = None,
    start: Annotated[
        str | None, typer.Option(help="A model whose weights to start from, where they have one name and shape.")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in 16 bits where that costs nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint, if there is one.")] = True,
    json: Json = False,
) -> None:
    """Train, calibrate and evaluate a model, and write its folder with a card.

    Example: medhub train chem/toxicity --data clintox --architecture dnn --setting epochs=20
    """
    from medhub.recipe import Recipe, run

    recipe = Recipe(
        task=task, data=data, split=split, architecture=architecture, seed=seed,
        config=_pairs(config, "--config"), settings=_pairs(setting, "--setting"), start=start, half=half,
    )  # fmt: skip
    data_name = Path(data).stem if data else "default"
    folder = out or Path("runs") / f"{task.replace('/', '-')}-{data_name}-seed{seed}"
    with training_progress() as progress:
        report = run(recipe, folder, say=_say, progress=progress, resume=resume)
    if report is not None:  # the first of several processes has it
        _show(report, as_json=json)
        _say(f"wrote {folder}")


def evaluate(
    name: Name,
    data: Data = None,
    split: Split = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, for --data.")] = 0,
    card: Annotated[bool, typer.Option("--card", help="Write the numbers onto the card of the model folder.")] = False,
    json: Json = False,
) -> None:
    """Evaluate a model on its test split, beside the baselines, with 95 % intervals.

    Example: medhub evaluate tox21-toxicity
    """
    from medhub.recipe import publish, reevaluate

    if card and data is not None:
        raise typer.BadParameter("--card tells of the data that the model was trained on; leave --data out")
    report = reevaluate(name, data=data, split=split, seed=seed, say=_say)
    _show(report, as_json=json)
    if card:
        publish(name, report)
        _say(f"wrote {name}/README.md")


def predict(
    name: Name,
    inputs: Annotated[list[str], typer.Argument(help="Files, or values such as SMILES strings.")],
    explain: Annotated[bool, typer.Option(help="Say which parts of an input spoke for the result.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the first result's picture to this PNG file.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the first result to this file: .json, .png or the task's (.nii.gz ...).")
    ] = None,
    keep_going: Annotated[bool, typer.Option(help="Report inputs that cannot be used, and predict the rest.")] = False,
    json: Json = False,
) -> None:
    """Predict raw inputs: files as they come from the scanner or the bench, SMILES, sequences.

    Example: medhub predict tox21-toxicity "CC(=O)Oc1ccccc1C(=O)O" --explain --picture aspirin.png
    """
    from medhub.errors import InputError
    from medhub.predictor import from_pretrained

    model = from_pretrained(name)
    raws = [raw for text in inputs for raw in (model.processor.inputs(text) or [text])]
    records: list[dict[str, Any]] = []
    lines: list[str] = []
    for number, result in enumerate(model.predict_each(raws, explain=explain or picture is not None), start=1):
        if isinstance(result, InputError):
            if not keep_going:
                raise InputError(f"input {number} of {len(raws)}: {result} (--keep-going predicts the rest)")
            records.append({"input": str(raws[number - 1]), "error": str(result)})
            lines.append(f"{raws[number - 1]}: {result}")
        else:
            records.append(result.to_dict())
            lines += _lines(result)
            if picture is not None:
                result.to_picture().save(picture)
                _say(f"wrote {picture}")
                picture = None
            if output is not None:
                _say(f"wrote {result.save(output, source=raws[number - 1])}")
                output = None
    if json:
        print_json(records)
    else:
        print("\n".join(lines))
    if any("error" in record for record in records):
        raise typer.Exit(1)


def push(
    folder: Annotated[Path, typer.Argument(help="A model folder, as `medhub train` writes it.")],
    repo: Annotated[str, typer.Argument(help="Where to: org/name, at HF_ENDPOINT.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody read it; private unless given.")] = False,
) -> None:
    """Push a model to huggingface.co or to the Hub that HF_ENDPOINT names; private unless --public is given.

    Example: medhub push runs/my-model my-hospital/my-model
    """
    from medhub.publishing import push as push_folder

    print(push_folder(folder, repo, private=not public))


def demo(
    name: Annotated[
        str | None, typer.Argument(help="A model folder, a model of the zoo, or org/name on a Hub.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="A free one unless given.")] = None,
) -> None:
    """Open a model's demo in the browser, or without a name the gallery of all models; on this machine only.

    Example: medhub demo clintox-toxicity
    """
    from medhub.demo import build, gallery, launch
    from medhub.predictor import from_pretrained

    launch(gallery() if name is None else build(from_pretrained(name)), port=port, say=_say)


def space(
    name: Annotated[str | None, typer.Argument(help="A model of the zoo, or org/name on a Hub.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to write.")] = None,
    push: Annotated[str | None, typer.Option(help="Where to: org/name, at HF_ENDPOINT.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody open it; private unless given.")] = False,
) -> None:
    """Write the Space of a model's demo, or without a name of the gallery, and push it where --push is given.

    Example: medhub space my-hospital/my-model --push my-hospital/my-model-demo
    """
    from medhub.publishing import push_space, render_space

    folder = render_space(name, out or Path("spaces") / (Path(name).name if name else "gallery"))
    _say(f"wrote {folder}")
    if push:
        print(push_space(folder, push, model=name, private=not public))


COMMANDS = (train, evaluate, predict, push, demo, space)


def _lines(result: Prediction) -> list[str]:
    """Say a result in a line, and its figures in one each."""
    title = result.title()
    said = title if title.startswith(result.input) else f"{result.input}: {title}"
    return [said, *(f"  {label:24} {figure:.3f}" for label, figure in result.bars().items())]


def _pairs(items: list[str] | None, option: str) -> dict[str, Any]:
    """Turn key=value words into a dict; values are JSON where they parse, text where they do not."""
    pairs = {}
    for item in items or ():
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{option} takes key=value, not {item!r}")
        try:
            pairs[key] = json_module.loads(value)
        except ValueError:
            pairs[key] = value
    return pairs


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _show(report: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
        return
    headers, *rows = report.to_table()
    print_table(headers, rows, title=f"{report.dataset}, {report.split} split, {report.rows['test']:,} test rows")
    if report.difference:
        print(report.difference)
