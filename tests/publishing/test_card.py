"""The card: front matter that the Hub reads, sections that people read, and the same numbers in both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from medhub.evaluation import Report
from medhub.publishing import check_card
from medhub.publishing.card import pipeline_tag
from medhub.publishing.page import read_page
from medhub.results import NOTICE

ODD = "<img src=x onerror=alert(1)> | **bold** [x](javascript:alert(1))\n---\nlicense: mit\n# Title"


def test_the_hub_reads_the_front_matter(trained: Any) -> None:
    card = ModelCard.load(trained.folder / "README.md")
    data = card.data.to_dict()
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "medhub"
    assert data["pipeline_tag"] == "text-classification"
    assert data["tags"] == ["medhub", "example", "rhythm", "intervals"]
    assert data["medhub"]["split_sha256"] == trained.splits.split_sha256
    assert [result.metric_type for result in card.data.eval_results] == list(trained.task.metrics)


def test_every_place_gives_the_reports_numbers(trained: Any) -> None:
    report = Report.from_dict(json.loads((trained.folder / "evaluation.json").read_text()))
    assert report == trained.report
    expected = {name: number.value for name, number in report.numbers.items()}
    card = ModelCard.load(trained.folder / "README.md")
    assert {result.metric_type: result.metric_value for result in card.data.eval_results} == expected
    (file,) = (trained.folder / ".eval_results").glob("*.yaml")
    entries = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert {entry.task_id: entry.value for entry in entries} == expected
    for number in report.numbers.values():
        assert str(number) in card.text


def test_a_reader_finds_what_makes_the_numbers_again(trained: Any) -> None:
    text = (trained.folder / "README.md").read_text()
    for said in (
        NOTICE, "medhub train example/rhythm --data beats --seed 0", trained.report.command, trained.report.commit,
        trained.splits.data_sha256, trained.splits.split_sha256, "1 min 23 s", "| `epochs` | `3` |",
        'medhub.from_pretrained("heart-rhythm")', f"{trained.calibration.ece_before:.3f}",
    ):  # fmt: skip
        assert said in text, said


def test_intended_use_and_limits_stand_before_the_numbers_and_once(trained: Any) -> None:
    headings = [line for line in (trained.folder / "README.md").read_text().splitlines() if line.startswith("##")]
    assert headings[:4] == ["## Intended use", "## Limits", "## How to load", "## Numbers"]
    assert headings[-5:] == ["## About the task", "### Preprocess", "### Build", "### Train", "### Evaluate"]


def test_the_data_are_named_with_their_own_licence_and_their_faults(trained: Any) -> None:
    dropped, notes = {"not a series": 3, "duplicate": 0}, ["two recordings of one patient may differ by a day"]
    text = trained.write(data={**trained.splits.summary(), "dropped": dropped, "notes": notes})
    assert "| Licence of the data | CC-BY-NC-4.0 (the weights have their own: apache-2.0) |" in text
    assert "| Split | group: a patient stands in one part only; seed 0 |" in text
    assert "<https://example.org/beats_1>" in text
    assert "- 3 rows: not a series" in text
    assert "duplicate" not in text
    assert "two recordings of one patient" in text
    assert ModelCard(text).data.to_dict()["datasets"] == ["beats"]
    assert check_card(trained.folder) == []


def test_data_that_ask_to_share_alike_give_the_model_their_licence(trained: Any) -> None:
    datasets = trained.task.module("data").DATASETS
    datasets["beats"] = replace(datasets["beats"], model_licence="cc-by-sa-4.0")
    assert "license: cc-by-sa-4.0" in trained.write()


def test_data_without_a_public_source_are_said_to_be_so(trained: Any) -> None:
    data = {**trained.splits.summary(), "dataset": None, "version": None, "licence": None}
    text = trained.write(data=data, report=replace(trained.report, dataset="own data"))
    assert "No public data set" in text
    assert "datasets" not in ModelCard(text).data.to_dict()
    assert check_card(trained.folder) == []


def test_what_a_user_named_stays_text(trained: Any) -> None:
    data = {**trained.splits.summary(), "notes": [ODD], "dropped": {ODD: 2}, "group_by": ODD}
    labels = {ODD: {"examples": 4, "positive": 2, "auroc": 0.5}}
    report = replace(trained.report, dataset=ODD, labels=labels)
    text = trained.write(data=data, report=report, train_command=f"medhub train x --data '{ODD}'\n```\n<b>")
    card = ModelCard(text)
    assert card.data.to_dict()["license"] == "apache-2.0"
    page = read_page(card.text)
    assert list(page.sections)[-1] == "About the task"  # the code block did not swallow the rest
    outside_code = "".join(part for i, part in enumerate(card.text.split("````")) if i % 2 == 0)
    assert "<img" not in outside_code
    assert "<b>" not in outside_code
    assert "**bold**" not in outside_code
    assert "[x](" not in outside_code
    assert "\n# Title" not in outside_code


@pytest.mark.parametrize(
    ("old", "new", "lacking"),
    [
        (NOTICE, "All is well.", "the notice"),
        ("## Limits", "## Praise", "'Limits'"),
        ("license: apache-2.0\n", "", "'license'"),
        ("model-index:", "model-indexes:", "model-index"),
        ("| auroc | ", "| auroc | 0.999 better than ", "the numbers of evaluation.json"),
        ("medhub evaluate runs/heart-rhythm", "make it so", "command"),
    ],
)
def test_what_a_card_lacks_is_told(trained: Any, old: str, new: str, lacking: str) -> None:
    assert check_card(trained.folder) == []
    path = trained.folder / "README.md"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    missing = check_card(trained.folder)
    assert len(missing) == 1
    assert lacking in missing[0]


def test_a_folder_without_card_or_report_is_incomplete(trained: Any, tmp_path: Path) -> None:
    assert check_card(tmp_path / "nothing") == ["there is no README.md"]
    (trained.folder / "evaluation.json").unlink()
    assert check_card(trained.folder) == ["there is no evaluation.json"]
    (trained.folder / "evaluation.json").write_text("[1, 2]")
    assert "cannot be read" in check_card(trained.folder)[0]


def test_a_page_is_taken_apart_by_headings_outside_code() -> None:
    page = read_page(
        "# Title\n<!-- note\n## no heading -->\nIntro\n## Train\n```bash\n## a comment\n```\n### More\n## Limits\nNone."
    )
    assert page.introduction == "Intro"
    assert page.sections == {"Train": "```bash\n## a comment\n```\n### More", "Limits": "None."}
    assert page.without("Limits") == "Intro\n\n### Train\n\n```bash\n## a comment\n```\n#### More"


@pytest.mark.parametrize(
    ("auto_class", "tag"),
    [
        ("AutoModelForImageClassification", "image-classification"),
        ("AutoModelForObjectDetection", "object-detection"),
        ("AutoModelForTokenClassification", "token-classification"),
        ("AutoModelForSequenceClassification", "text-classification"),
        ("AutoModelForCausalLM", "text-generation"),
        ("AutoModel", "feature-extraction"),
    ],
)
def test_the_pipeline_tag_is_the_hubs_name_for_the_auto_class(auto_class: str, tag: str) -> None:
    assert pipeline_tag(auto_class) == tag
