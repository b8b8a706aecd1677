"""Cards: front matter from strangers, the rules of form and of medicine, titles and summaries."""

from __future__ import annotations

import json
import math
import re
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData
from hypothesis import assume, given, settings, strategies

import medhub
from medhub.server import cards, frontmatter
from medhub.server.errors import BadRequest

ZOO = sorted((Path(medhub.__file__).parents[1] / "zoo").glob("*/README.md"))
SOUND = """\
---
license: mit
pipeline_tag: image-classification
---
# T

For research only.

## Intended use

Sorting X-rays for a study.
"""
SOUND_DATA = "---\nlicense: mit\n---\n# T\n\nAll images were de-identified by hand.\n"
ANSWER = "A text that says so."
RESULT = "{task: {type: t}, dataset: {type: d, name: d}, metrics: [{type: f1, value: .nan}]}"
BOMB = "a: &a [1, 2]\n" + "".join(f"{b}: &{b} [{f'*{a},' * 10}]\n" for a, b in pairwise("abcdefg"))
# NUL is left out of what is read, so that two names could become one
NAMES = strategies.text(strategies.characters(exclude_characters="\0", exclude_categories=["Cs"]))
PLAIN = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.text(max_size=20)
    | strategies.integers(-(10**17), 10**17) | strategies.floats(allow_nan=False, allow_infinity=False),
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def front(block: str) -> dict[str, Any]:
    return cards.front_matter(f"---\n{block}\n---\n")


def lacks(text: str, kind: str = "model") -> list[str]:
    """Return the names of the rules that a card breaks, after checking that a policy moves them and nothing else."""
    warned, refused = cards.validate(text, kind, policy="warn"), cards.validate(text, kind, policy="refuse")
    missing = [rule.message for rule in cards.MEDICINE if rule.message in warned.warnings]
    assert refused.errors == warned.errors + missing
    assert [text for text in warned.warnings if text != cards.EMPTY] == missing
    return [rule.name for rule in cards.FORM + cards.MEDICINE if rule.message in refused.errors]


@pytest.mark.parametrize("readme", ZOO, ids=lambda path: path.parent.name)
def test_cards_of_the_zoo_lack_nothing(readme: Path) -> None:
    text = readme.read_text()
    assert cards.validate(text, "model", policy="refuse") == cards.Findings([], [])
    assert cards.front_matter(text) == yaml.safe_load(text.split("---\n")[1])
    card = cards.read_card(text)
    assert (card.title, card.summary[:7]) == (readme.parent.name, "Tells: ")


def test_the_card_that_transformers_writes_is_warned_about() -> None:
    written = ModelCard.from_template(ModelCardData(tags=[], library_name="transformers"), model_description="A model.")
    assert lacks(str(written)) == ["intended-use", "task", "licence", "not-a-device"]
    table = DatasetCard.from_template(DatasetCardData(pretty_name="Scans"))
    assert lacks(str(table), "dataset") == ["licence", "de-identification"]
    assert cards.read_card(str(table)).title == "Scans"


@pytest.mark.parametrize(
    "text", ["", "# Hello", "---\n---\n# Hello", "---\n\n---\n", "---\n# only a comment\n---\n", "--- \nno end"]
)
def test_empty_front_matter_is_warned_about(text: str) -> None:
    found = cards.validate(text, "space", policy="refuse")
    assert found == cards.Findings([], ["empty or missing yaml metadata in repo card"])


def test_line_ends_and_marks_before() -> None:
    for text in ("\ufeff---\r\na: 1\r\n---\r\nbelow", "\n\n---  \na: 1\n---  \nbelow", "---\na: 1\n---"):
        assert cards.front_matter(text) == {"a": 1}
    assert cards.read_card("---\na: |\n  x\n  --- y\n---\nbelow").text.strip() == "below"


@pytest.mark.parametrize(
    ("block", "broken"),
    [
        ("license: [a, b]\nlanguage: no", []),
        ("license: 1", ["license"]),
        ("license: {a: b}", ["license"]),
        ("language: [en, 1]", ["language"]),
        ("tags: ct", ["tags"]),
        ("tags: [ct, 2024]", ["tags"]),
        ("datasets: [1]\nbase_model: {}\nmetrics: 1.5", ["datasets", "base_model", "metrics"]),
        ("library_name: [a]\npipeline_tag: true", ["library_name", "pipeline_tag"]),
        ("model-index: 1", ["model-index"]),
        ("model-index: [{name: m}]", ["model-index"]),
        ("model-index: [{name: m, results: []}]", []),
        ("model-index: [{name: m, results: [{}]}]", ["model-index"]),
        ("model-index: [{name: m, results: [{task: {type: t}, dataset: {type: d}, metrics: []}]}]", ["model-index"]),
        (f"model-index: [{{name: m, results: [{RESULT.replace(', value: .nan', '')}]}}]", ["model-index"]),
        (f"model-index: [{{name: m, results: [{RESULT}]}}]", []),
    ],
)  # fmt: skip
def test_form(block: str, broken: list[str]) -> None:
    text = f"---\n{block}\n---\n"
    assert [name for name in lacks(text) if name in {rule.name for rule in cards.FORM}] == broken
    assert not broken or cards.validate(text, "model", policy="warn").errors


def test_form_of_other_kinds() -> None:
    assert lacks("---\nsdk: flask\n---\n", "space") == ["sdk"]
    assert lacks("---\nsdk: gradio\n---\n", "space") == []
    assert "configs" in lacks("---\nconfigs: [a]\n---\n", "dataset")
    assert lacks("---\nmodel-index: 1\nlicense: mit\n---\nsynthetic", "dataset") == []


@pytest.mark.parametrize(
    ("without", "lacking"),
    [
        ("", []),
        ("license: mit\n", ["licence"]),
        ("pipeline_tag: image-classification\n", ["task"]),
        ("For research only.", ["not-a-device"]),
        ("## Intended use", ["intended-use"]),
        ("Sorting X-rays for a study.", ["intended-use"]),
    ],
)
def test_what_medicine_asks_of_a_model(without: str, lacking: list[str]) -> None:
    assert lacks(SOUND.replace(without, "")) == lacking


def test_medical_facts_can_stand_in_several_places() -> None:
    assert lacks(SOUND.replace("pipeline_tag: image-classification", "modality: CT")) == []
    assert lacks(SOUND.replace("pipeline_tag: image-classification", "medhub: {task: imaging/detection}")) == []
    assert lacks(SOUND.replace("## Intended use", "## Uses\n\n### Direct use")) == []
    assert lacks(SOUND.replace("Sorting X-rays for a study.", "<!-- Sorting X-rays for a study. -->")) == [
        "intended-use"
    ]
    assert (
        lacks(SOUND.replace("## Intended use", "## Other").replace("license", "intended_use: sorting\nlicense")) == []
    )
    for said in (
        "This is not a medical device.",
        "Not an approved medical device",
        "not intended for clinical use",
        "**Research use only**",
    ):
        assert lacks(SOUND.replace("For research only.", said)) == []
    assert lacks(SOUND_DATA, "dataset") == []
    for said in ("synthetic patients", "It contains no personal data.", "pseudonymised records", "Anonymized"):
        assert lacks(SOUND_DATA.replace("de-identified", said), "dataset") == []
    assert lacks(SOUND_DATA.replace("de-identified", "labelled"), "dataset") == ["de-identification"]


@given(PLAIN.filter(lambda value: isinstance(value, dict)))
def test_what_yaml_writes_is_read(value: dict[str, Any]) -> None:
    # 0E0 is text in YAML 1.1, which PyYAML writes bare, and a number in YAML 1.2 and in the browsers' readers
    assume(not re.search(r'"[-+]?[0-9.]+[eE][-+]?[0-9]{1,3}"', json.dumps(value)))
    # YAML 1.1 folds these as line ends where they are not escaped
    breaks = any(mark in json.dumps(value) for mark in (r"\u0085", r"\u2028", r"\u2029"))
    written = yaml.safe_dump(value, allow_unicode=not breaks)
    assert frontmatter.read(written) == json.loads(json.dumps(value).replace(r"\u0000", ""))


@settings(max_examples=300)
@given(strategies.text(alphabet=strategies.sampled_from("ab01:-[]{},&*!?|>'\"#%@`\n\t .~<\\ä\0"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadRequest):
        json.dumps(front(text), allow_nan=False)
    for kind in ("model", "dataset", "space"):
        cards.validate(f"---\n{text}\n---\n{text}", kind, policy="refuse")
    assert len(cards.summary(text)) <= cards.LONGEST_SUMMARY


def test_words_mean_what_yaml_1_2_says() -> None:
    assert front("a: no\nb: 2024-01-31\nc: 1:30\nd: 012\ne: 'true'\nf: 1_000\ng: !!str 5\n1: x") == {
        "a": "no", "b": "2024-01-31", "c": "1:30", "d": "012", "e": "true", "f": "1_000", "g": "5", "1": "x",
    }  # fmt: skip
    assert front("a: true\nb: ~\nc:\nd: .inf\ne: 1e3\nf: -.5\ng: -7") == {
        "a": True, "b": None, "c": None, "d": None, "e": 1000.0, "f": -0.5, "g": -7,
    }  # fmt: skip
    assert front("a: &x [1, {b: c}]\nd: *x") == {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}
    assert all(math.isfinite(value) for value in front("a: 1e999\nb: 9\n").values() if value is not None)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("- a", "has to be a mapping|write a mapping"),
        ("a: 1\na: 2", "twice"),
        ("? [a]\n: b", "is no name"),
        ("a: !!python/object/apply:os.system [id]", "tag"),
        ("a: !!binary YQ==", "tag"),
        ("a: !!int 1:1", "tag"),
        ("a: &x [*x]", "stands for nothing"),
        ("a: *x", "stands for nothing"),
        ("a: [", "not YAML.*line 3"),
        ("a: \x01", "control characters"),
        ("[" * 100_000, "nested"),
        ("- " * 100_000, "nested"),
        ("a: [" + "1," * 100_001 + "]", "more than 100000 values"),
        (BOMB, "more than 100000 values"),
        ("a: " + "x" * (1 << 20), "more than 1048576 characters"),
    ],
    ids=lambda value: value[:20],
)  # fmt: skip
def test_what_is_refused(block: str, said: str) -> None:
    started = time.perf_counter()
    with pytest.raises(BadRequest, match=said):
        front(block)
    (error,) = cards.validate(f"---\n{block}\n---\n", "model", policy="warn").errors
    assert len(error) < 300
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("piece", ["[", "![", "*a ", "> ", "<!--", "a\\n"])
def test_slow_markdown_is_cut(piece: str) -> None:
    started = time.perf_counter()
    cards.validate(piece * (1_000_000 // len(piece)), "model", policy="warn")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "title", "summary"),
    [
        ("# A *fine* model\n\nIt finds lungs in scans. It is slow.\n", "A fine model", "It finds lungs in scans."),
        ("---\ntitle: T\ndescription: Finds many lungs\n---\n# Other", "T", "Finds many lungs"),
        ("> Not a device at all.\n\n![x](y)\n\n<b>\n\n- **Tells:** a child's age", "", "Tells: a child's age"),
        ("```\nlong code is no text\n```\n- **By:** [More Information Needed]\n\nA text that says so.", "", ANSWER),
        ("word " * 100, "", ("word " * 50)[:249].rpartition(" ")[0] + "…"),
        ("", "", ""),
        ("---\n[\n---\n", "", ""),
    ],
)  # fmt: skip
def test_title_and_summary(text: str, title: str, summary: str) -> None:
    assert cards.summary(text) == summary
    if "[\n" not in text:
        assert cards.read_card(text).title == title
