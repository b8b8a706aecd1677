"""Rules about what a user meets: the processor, predictions, explanations, the demo and the card."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medhub.checks.subject import Network, Subject
from medhub.data import load_data, prepare
from medhub.errors import CheckFailed, InputError, LoadError, ProcessorError
from medhub.evaluation import evaluate
from medhub.predictor import Predictor, from_pretrained
from medhub.processing import PROCESSOR_FILE
from medhub.publishing import check_card, write_card
from medhub.results import Prediction
from medhub.training import Settings, train

if TYPE_CHECKING:
    import gradio


def check_processor(network: Network) -> None:
    """A processor is fitted alike each time, survives the disk, and is refused when its file was changed."""
    processor = network.processor
    if (again := type(processor).fit(network.table.rows, network.config)) != processor:
        raise CheckFailed(
            f"two fits on the same rows differ: {processor} and {again}; draw nothing, and sort what is a set"
        )
    with tempfile.TemporaryDirectory() as folder:
        processor.save(folder)
        loaded = type(processor).load(folder)
        if loaded.sha256 != processor.sha256 or loaded != processor:
            raise CheckFailed(
                f"{processor} becomes {loaded} by saving and loading; give its fields types that JSON keeps"
            )
        sample = processor.read(network.table.rows[0]["input"])
        for name, values in processor.features(sample).items():
            if not np.array_equal(values, loaded.features(sample)[name]):
                raise CheckFailed(
                    f"a loaded processor makes other {name}; keep all that features() needs in its fields"
                )
        path = Path(folder) / PROCESSOR_FILE
        values = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**values, "no_such_key": 1}), encoding="utf-8")
        try:
            type(processor).load(folder)
        except ProcessorError:
            return
    raise CheckFailed("a processor.json with an unknown key is loaded without a word; do not override Processor.load")


def check_bad_input(network: Network) -> None:
    """What is no input at all is refused with an InputError."""
    for raw in (None, "", object()):
        try:
            network.processor.read(raw)
        except InputError:
            continue
        except Exception as error:
            raise CheckFailed(
                f"read({raw!r}) raises {type(error).__name__}: {error}; raise InputError, saying the cure"
            ) from error
        raise CheckFailed(f"read({raw!r}) is accepted; raise InputError for what cannot be parsed")


def check_prediction(network: Network) -> None:
    """A saved folder predicts raw inputs, gives typed results that turn into JSON, and holds to its processor."""
    model, processor = network.model(), network.processor
    raws = [network.table.rows[place]["input"] for place in network.varied[:3]]
    result = processor.result(processor.read(raws[0]), network.scores(model, network.varied)[0], network.config)
    if not isinstance(result, Prediction):
        raise CheckFailed(f"the processor's result is a {type(result).__name__}; return a medhub.results.Prediction")
    with tempfile.TemporaryDirectory() as folder:
        Predictor(network.task, model, processor, device="cpu").save(folder)
        results = from_pretrained(folder, device="cpu").predict(raws)
        _refuses_another_processor(Path(folder))
    try:
        json.loads(results[0].to_json())
    except TypeError as error:
        raise CheckFailed(
            f"a result does not turn into JSON: {error}; keep numbers, strings and lists in it"
        ) from error


def check_explanation(network: Network) -> None:
    """An explanation has finite values, one a part, a picture and a legend; it leaves the model as it was."""
    model = network.model()
    sample = network.processor.read(network.table.rows[network.varied[0]]["input"])
    explanation = network.processor.explain(model, sample, network.table.label_names[0])
    values = np.asarray(explanation.values)
    if not values.size or not np.isfinite(values).all():
        raise CheckFailed(f"the explanation's values must be finite, one a part, but they are {values}")
    if explanation.parts and len(explanation.parts) != len(values):
        raise CheckFailed(
            f"the explanation has {len(values)} values for {len(explanation.parts)} parts; give one value a part"
        )
    if explanation.picture is None or not explanation.legend:
        raise CheckFailed("an explanation needs a picture and a legend; draw its values, and say what its colours mean")
    if model.training or any(parameter.grad is not None for parameter in model.parameters()):
        raise CheckFailed("explain leaves gradients or training mode behind; use the methods of medhub.explain")


def check_demo(network: Network) -> None:
    """The demo page builds, and each of its examples is answered."""
    from medhub import demo

    predictor = Predictor(network.task, network.model(), network.processor, device="cpu")

    async def build() -> gradio.Blocks:  # inside a loop, or Gradio would make event loops and leave them open
        return demo.build(predictor)

    page = asyncio.run(build())
    answer: Any = next(function for function in page.fns.values() if function.api_name == "predict")
    examples = network.task.module("demo").examples()
    if not examples:
        raise CheckFailed("examples() is empty; give rows that a visitor can try, without patient data")
    for row in examples.values():
        if len(row) != len(answer.inputs):
            raise CheckFailed(
                f"an example has {len(row)} values for {len(answer.inputs)} inputs; give one value an input"
            )
        answers = answer.fn(*row)
        try:
            values = next(answers)
        except Exception as error:
            raise CheckFailed(
                f"the example {str(row)[:60]} is not answered: {error}; give examples that run"
            ) from error
        if len(values) != len(answer.outputs):
            raise CheckFailed(
                f"a result fills {len(values)} values for {len(answer.outputs)} components; "
                "draw() must give one value for each of outputs()"
            )
        for component, value in zip(answer.outputs, values, strict=True):
            if isinstance(value, type(component)):  # a component in place of one, made with its value
                continue
            try:
                component.postprocess(value)
            except Exception as error:
                raise CheckFailed(
                    f"draw() gives a {type(component).__name__} what it cannot show: {error}; give what it takes"
                ) from error
    page.close()


def check_model_card(subject: Subject) -> None:
    """A network trains with its own settings, is evaluated beside its baselines, and its card lacks nothing."""
    task, name = subject.task, subject.architectures[0]
    network = subject.network(name)
    splits = load_data(subject.table, split="group", seed=0)
    rows, validation = (prepare(part, network.processor, cache=False) for part in (splits.train, splits.validation))
    training = task.module("config").TRAINING
    settings = Settings.from_dict({**training.get(name, training.get("default", {})), "epochs": 1, "cpu": True})
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(
            network.model(), rows, validation, network.processor,
            settings=settings, folder=Path(folder) / "checkpoint", metric=task.metric(task.metrics[0]),
        )  # fmt: skip
        report = evaluate(task, outcome.model, network.processor, splits, bootstrap=10, command="medhub check")
        Predictor(task, outcome.model, network.processor, device="cpu").save(folder)
        write_card(
            folder, task=task, report=report, data=splits.summary(), settings=settings.to_dict(),
            outcome=outcome.to_dict(), train_command="medhub check",
        )  # fmt: skip
        if missing := check_card(folder):
            raise CheckFailed(f"the model card is not complete: {'; '.join(missing)}; see README.md and data.py")


def _refuses_another_processor(folder: Path) -> None:
    """Raise unless a folder is refused once its processor.json says something else."""
    path = folder / PROCESSOR_FILE
    values = json.loads(path.read_text(encoding="utf-8"))
    name = next((name for name in values if name != "processor"), None)
    if name is None:
        return
    path.write_text(json.dumps({**values, name: [values[name], "changed"]}), encoding="utf-8")
    try:
        from_pretrained(folder, device="cpu")
    except LoadError:
        return
    raise CheckFailed(f"a folder whose processor.json has another {name!r} is loaded; do not override sha256 or load")
