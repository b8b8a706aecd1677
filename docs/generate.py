"""Write the tables that documents take from the code: tasks, models and their figures. `--check` only compares."""

from __future__ import annotations

import json
import math
import re
import sys
from functools import partial
from pathlib import Path

from safetensors import safe_open

from medhub import registry
from medhub.evaluation import Report

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = {
    "antimicrobial-peptides": "2-mer logistic regression on these peptides, random split: AUROC .913",
    "blood-cells-ssd": "YOLOv8n mAP50 .904 on another split of the same images",
    "blood-cells-yolo": "YOLOv8n mAP50 .904 on another split of the same images; counting, these test images: Alam & "
    "Islam 96.1 (RBC), 86.9 (WBC), 96.4 % (platelets)",
    "breast-ultrasound": "BreastMNIST, two classes of the same scans: ResNet-18 .901 AUC",
    "chest-xray-pneumonia": "ResNet-18 .944 AUC, .854 accuracy; AutoML .991, .946",
    "clintox-toxicity": "AUROC, other splits: chemprop .864 random, .832 scaffold; ADMET-AI .870",
    "diabetes-treatment": "none on these rows; on MIMIC-III, Jaccard: GAMENet .515, SafeDrug .521",
    "hippocampus-unet3d": "nnU-Net Dice .90, .89, five folds of the same cases; 2-D U-Nets .86 to .88",
    "icu-mortality": "AUROC on other splits of set a: GRU-D .842, BRITS .850, mTAND .858",
    "nuclei-deeplab": "UNet++ IoU .843 at 96 pixels, other split",
    "nuclei-unet": "UNet++ IoU .843 at 96 pixels; StarDist AP50 .864; other splits",
    "promoter-gru": "DNABERT-2, 117 M parameters: MCC .694 on this test part",
    "protein-aligner": "Needleman-Wunsch with BLOSUM62 is the baseline",
    "protein-secondary-structure": "CB513 Q3: S4PRED .753 (learns from unlabelled proteins too); ProtT5 .86",
    "resistance-genes": "the nearest neighbour by alignment is the baseline",
    "splice-junction-lstm": "KBANN, ten-fold: errors 4.62, 7.56, 8.47 % (N, EI, IE), which stand beside ours below",
    "tox21-toxicity": "AUROC, other splits: chemprop .851 random, .829 scaffold; ADMET-AI .856",
}
"""What others report on the data of a zoo model, on splits of their own unless it says otherwise."""


def task_table() -> str:
    """Return the table of registered tasks."""
    lines = ["| task | what it does | networks | data sets | page |", "|---|---|---|---|---|"]
    for id in registry.tasks():
        task = registry.get(id)
        if registry.find(id).distribution != "medhub":
            continue
        networks = ", ".join(f"`{name}`" for name in task.config_class.ARCHITECTURES)
        datasets = ", ".join(f"`{name}`" for name in task.datasets)
        lines.append(f"| `{id}` | {task.summary} | {networks} | {datasets} | [page](plugins/{id}/README.md) |")
    return "\n".join(lines)


def zoo_table() -> str:
    """Return the table of published models, with the figure that chose each."""
    lines = ["| model | task | test figure (95 % interval) | size |", "|---|---|---|---|"]
    index = registry.zoo_index()
    for name, folder in registry.zoo_models().items():
        report = Report.from_dict(json.loads((folder / "evaluation.json").read_text(encoding="utf-8")))
        metric = registry.get(index[name]).metrics[0]
        size = (folder / "model.safetensors").stat().st_size / 1e6
        figure = f"{metric.upper()} {report.numbers[metric]}, {report.dataset}, {report.split} split"
        lines.append(f"| [`{name}`](zoo/{name}/README.md) | `{index[name]}` | {figure} | {size:.1f} MB |")
    return "\n".join(lines)


def results_table(area: str) -> str:
    """Return the figures of an area's zoo models, with what made them and what stands beside them."""
    lines = [
        "| model | network | data, split | test figures (95 % interval) | baseline | published | weights | trained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    index = registry.zoo_index()
    for name, folder in registry.zoo_models().items():
        if not index[name].startswith(f"{area}/"):
            continue
        report = Report.from_dict(json.loads((folder / "evaluation.json").read_text(encoding="utf-8")))
        outcome = json.loads((folder / "training.json").read_text(encoding="utf-8"))["outcome"]
        with safe_open(folder / "model.safetensors", framework="np") as weights:
            size = sum(math.prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
        metrics = report.defined
        figures = "<br>".join(f"{metric} {report.numbers[metric]}" for metric in metrics)
        baseline = "none"
        if report.difference:
            beside = report.models[report.difference.baseline]
            said = ", ".join(f"{metric} {_rounded(beside[metric].value)}" for metric in metrics[:2])
            baseline = f"{report.difference.baseline}: {said}"
        lines.append(
            f"| [`{name}`](../zoo/{name}/README.md) | {report.network} | {report.dataset}, {report.split}, seed "
            f"{report.seed}, `{report.split_sha256[:12]}` | {figures} | {baseline} | {PUBLISHED.get(name, '')} | "
            f"{size / 1e6:.2f} M | {outcome['seconds'] / 60:.0f} min |"
        )
    return "\n".join(lines)


def label_table(area: str) -> str:
    """Return the figures of each label of an area's models that are measured label by label."""
    lines = ["| model | label | test figures |", "|---|---|---|"]
    index = registry.zoo_index()
    for name, folder in registry.zoo_models().items():
        report = Report.from_dict(json.loads((folder / "evaluation.json").read_text(encoding="utf-8")))
        if index[name].startswith(f"{area}/"):
            labels = report.labels or {}
            for label, figures in labels.items() if len(labels) > 1 else ():  # of one label all is said above
                said = ", ".join(f"{metric} {_rounded(value)}" for metric, value in figures.items())
                lines.append(f"| `{name}` | {label} | {said} |")
    return "\n".join(lines)


def _rounded(value: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


PAGES = {
    ROOT / "README.md": {"tasks": task_table, "zoo": zoo_table},
    ROOT / "docs/results.md": {
        "imaging models": partial(results_table, "imaging"), "imaging labels": partial(label_table, "imaging"),
        "genomics models": partial(results_table, "genomics"), "genomics labels": partial(label_table, "genomics"),
        "ehr models": partial(results_table, "ehr"), "ehr labels": partial(label_table, "ehr"),
        "chem models": partial(results_table, "chem"), "chem labels": partial(label_table, "chem"),
    },
}  # fmt: skip
"""The generated tables of each page, by name."""


def filled(page: Path) -> str:
    """Return a page's text with each generated table in its place."""
    text = page.read_text(encoding="utf-8")
    for name, make in PAGES[page].items():
        table = make()
        block = f"<!-- {name}: generated by docs/generate.py -->\n{table}\n<!-- end of {name} -->"
        text, count = re.subn(rf"<!-- {name}: .*?<!-- end of {name} -->", lambda _, b=block: b, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{page.name} needs one place for the table of {name}, found {count}")
    return text


def main() -> None:
    """Write the tables, or with --check exit with 1 where a page differs from the code."""
    for page in PAGES:
        text = filled(page)
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
        elif text != page.read_text(encoding="utf-8"):
            sys.exit(f"{page.name}'s tables are not those of the code; run `make fix`")


if __name__ == "__main__":
    main()
