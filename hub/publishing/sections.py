"""The text of a card, section by section: short sentences that somebody who trains no models can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import medhub
from medhub.evaluation import Calibration, Coverage, Report
from medhub.evaluation.markdown import code, escape, fenced, link, table

if TYPE_CHECKING:
    from medhub.data import Source
    from medhub.modeling import MedConfig
    from medhub.registry import Task

PARTS = ("train", "validation", "test")
MOST_LABELS = 20


def summary(task: Task, config: MedConfig, *, numbers: int, title: str, licence: str) -> str:
    """Say what the model is, as a list of facts."""
    labels = list((config.id2label or {}).values())
    named = ", ".join(escape(label) for label in labels[:MOST_LABELS])
    more = f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
    facts = {
        "Tells": escape(task.summary),
        "From": escape(task.modality),
        "Answers": named + more,
        "Network": f"{code(config.architecture)}, {numbers:,} weights",
        "Trained on": escape(title),
        "Licence of the weights": escape(licence),
        "Made with": f"MedHub {medhub.__version__}, task {code(task.id)}",
    }
    return "\n".join(f"- **{name}:** {fact}" for name, fact in facts.items())


def loading(task: Task, *, name: str) -> str:
    """Show how to install MedHub and use the model."""
    extra = f"[{task.extra}]" if task.extra else ""
    lines = [
        "import medhub",
        "",
        f"model = medhub.from_pretrained({json.dumps(name)})  # this folder, or the repository that holds it: org/name",
        f"result = model.predict(raw)  # raw: one input ({task.modality}), or a list; see Preprocess below",
        "print(result.to_json())",
        'result.to_picture().save("result.png")',
    ]
    return fenced(f"pip install 'medhub{extra}'", "bash") + "\n\n" + fenced("\n".join(lines), "python")


def calibration(config: MedConfig, *, fitted: Calibration | str | None, coverage: Coverage | None) -> str:
    """Say what was done so that probabilities mean what they say, and how often conformal sets held the truth."""
    if isinstance(fitted, str):  # the task's own sentence
        return fitted
    if config.conformal_thresholds is None:
        return "The probabilities were not calibrated: take them as an order, not as frequencies."
    said = (
        "The network's probabilities were adjusted on the validation rows by one number, a temperature of "
        f"{config.temperature:.3f}. The aim: of the answers given with 80 %, about 80 of 100 are right."
    )
    if fitted:
        said += (
            f" On those {fitted.rows:,} rows this took the expected calibration error from {fitted.ece_before:.3f} to "
            f"{fitted.ece_after:.3f}."
        )
    if coverage is None:
        return said
    by_truth = [[escape(name), percent(share)] for name, share in coverage.by_truth.items()]
    return "\n\n".join(
        [
            said,
            f"Beside the probabilities the model names every answer that it cannot rule out. It promises that "
            f"{percent(coverage.promised)} of these sets hold the truth, as long as new cases resemble those of the "
            f"validation rows. On the test rows {percent(coverage.measured)} of the sets did. A set held "
            f"{coverage.mean_size:.2f} answers on average. {percent(coverage.undecided)} of the sets did not hold "
            "exactly one: in these cases the model does not decide.",
            "The promise is made for all cases together, and can fail for a rare answer. Each answer by itself:",
            table([["what is true", "sets that hold it"], *by_truth]),
        ]
    )


def data(summary: Mapping[str, Any], source: Source | None, *, licence: str) -> str:
    """Say where the data come from, how they were split, and what is wrong with them."""
    by_row = summary["split"] == "random"
    apart = "equal inputs stand" if by_row else f"a {escape(summary['group_by'])} stands"
    rows = [["", ""]]
    if source:
        rows += [
            ["Data set", f"{escape(source.title)} ({code(source.name)}, version {escape(source.version)})"],
            ["Licence of the data", f"{escape(source.licence)} (the weights have their own: {escape(licence)})"],
            ["Citation", escape(source.citation)],
            ["Homepage", link(source.homepage)],
        ]
    else:
        rows += [
            ["Data set", "No public data set: see the command below. The data are not published with the model."],
            ["Licence of the data", f"None is granted (the weights have their own: {escape(licence)})"],
        ]
    rows += [
        ["Data sha256", code(summary["data_sha256"])],
        ["Split", f"{escape(summary['split'])}: {apart} in one part only; seed {summary['seed']}"],
        ["Split sha256", code(summary["split_sha256"])],
    ]
    for part in PARTS:
        rows.append([f"Rows, {part}", f"{summary['rows'][part]:,} in {summary['groups'][part]:,} groups"])
    dropped = [f"- {count:,} rows: {escape(reason)}" for reason, count in summary["dropped"].items() if count]
    notes = [f"- {escape(note)}" for note in summary["notes"]]
    return "\n\n".join(
        [
            table(rows),
            "Left out of the data:\n\n" + "\n".join(dropped) if dropped else "No row was left out.",
            "Known of the data:\n\n" + "\n".join(notes) if notes else "No leak between the parts is known.",
        ]
    )


def reproduction(
    report: Report,
    *,
    settings: Mapping[str, Any],
    outcome: Mapping[str, Any],
    train_command: str,
    train_commit: str,
) -> str:
    """Give the commands that make the weights and the numbers again, and all that they depend on."""
    facts = [
        ["", ""],
        ["Seed", str(report.seed)],
        ["Code of the weights", _version(train_commit)],
        ["Code of the numbers", _version(report.commit)],
        ["Training time", _duration(outcome["seconds"])],
        ["Steps", f"{outcome['steps']:,}; the weights are those of epoch {outcome['best_epoch']:,}"],
        ["Processes", str(outcome.get("processes", 1))],
    ]
    chosen = [["setting", "value"], *([code(name), code(value)] for name, value in settings.items())]
    return "\n\n".join(
        [
            "The first command makes the weights, the second the numbers above:",
            fenced(f"{train_command}\n{report.command}", "bash"),
            table(facts),
            table(chosen),
        ]
    )


def _version(commit: str) -> str:
    changed = commit.endswith("-dirty")
    return code(commit) + (", with changes that were not committed" if changed else "")


def percent(share: float) -> str:
    """Say a share in percent, to one decimal."""
    return f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
