"""Cards: what a README.md says of its repository, and what form and medicine ask of it (protocol, section 3.6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Literal

from markdown_it import MarkdownIt

from medhub.server import frontmatter
from medhub.server.errors import BadRequest

LONGEST_TEXT = 1 << 16
"""Characters of Markdown that are looked at; text made to be slow takes a quarter of a second for them."""
LONGEST_SUMMARY = 250
SHOWN = {"text", "code_inline", "softbreak", "hardbreak"}
"""Parts of a line of Markdown that are text; not so pictures, HTML and comments."""
EMPTY = "empty or missing yaml metadata in repo card"
"""The warning that the clients' users know from huggingface.co."""

PLACEHOLDER = re.compile(r"\[?more information needed\]?|\[optional\]|\bn/a\b|\btodo\b|\btbd\b", re.IGNORECASE)
INTENDED_USE = re.compile(r"\b(?:intended|direct) uses?\b|^uses?\b", re.IGNORECASE)
DISCLAIMER = re.compile(
    r"not an? (?:\w+ )?medical device|research (?:use |purposes )?only|only for research"
    r"|not (?:intended )?for (?:clinical|diagnos)",
    re.IGNORECASE,
)
DE_IDENTIFIED = re.compile(
    r"de-?identif|anonymi[sz]|pseudonymi[sz]|synthetic|simulated"
    r"|\b(?:no|not|without)\b[^.]{0,40}\b(?:patient|personal|person|people)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Findings:
    """What a validation found: `errors` refuse the card, `warnings` do not."""

    errors: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class Card:
    """A card: its front matter as plain JSON values, and the Markdown below."""

    data: dict[str, Any]
    text: str

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """The texts without markup, comments and code, each behind its kind: h1 to h6, p, th, td, or q(uoted)."""
        return _blocks(self.text[:LONGEST_TEXT])

    @property
    def title(self) -> str:
        """What the repository calls itself: in the front matter, or in the first heading."""
        named = self.data.get("pretty_name") or self.data.get("title")
        if isinstance(named, str):
            return _cut(named)
        return _cut(next((text for kind, text in self.blocks if kind == "h1"), ""))

    @property
    def summary(self) -> str:
        """The first sentence about the repository: of the front matter's description, or of the first paragraph."""
        described = self.data.get("description")
        texts = [described] if isinstance(described, str) else [text for kind, text in self.blocks if kind == "p"]
        said = next((text for text in texts if _says_something(text)), "")
        sentence = re.match(r".{20,}?[.!?](?=\s)", said)
        return _cut(sentence[0] if sentence else said)

    def section(self, heading: re.Pattern[str]) -> str:
        """Return the texts below the headings that match, down to the next heading of their level."""
        texts, level = [], ""
        for kind, text in self.blocks:
            if kind[0] == "h" and (not level or kind <= level):
                level = kind if heading.search(text) else ""
            elif level and kind[0] != "h":
                texts.append(text)
        return " ".join(texts)

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Whether the text says what the pattern matches, in one block."""
        return any(pattern.search(text) for _, text in self.blocks)

    def medical(self, name: str) -> Any:
        """Return a field that stands at the top of the front matter or under `medhub`."""
        below = self.data.get("medhub")
        return self.data.get(name) or (below.get(name) if isinstance(below, dict) else None)


@dataclass(frozen=True)
class Rule:
    """What cards of these kinds of repositories have to fulfil; `message` says what is wrong and how to cure it."""

    name: str
    kinds: tuple[str, ...]
    message: str
    check: Callable[[Card], bool]


def read_card(text: str) -> Card:
    """Read a README. Raises BadRequest for front matter that is not YAML, not a mapping, or too much."""
    block, below = frontmatter.split(text)
    return Card(frontmatter.read(block), below)


def front_matter(text: str) -> dict[str, Any]:
    """Return a README's front matter as plain JSON values, empty where there is none. Raises as `read_card`."""
    return read_card(text).data


def validate(text: str, kind: str, *, policy: Literal["warn", "refuse"]) -> Findings:
    """Check a README of a repository of this kind; under the policy "refuse" what medicine asks for is an error."""
    try:
        card = read_card(text)
    except BadRequest as error:
        return Findings([str(error)], [])
    errors, missing = (
        [rule.message for rule in rules if kind in rule.kinds and not rule.check(card)] for rules in (FORM, MEDICINE)
    )
    warnings = [] if card.data else [EMPTY]
    return Findings(errors + missing, warnings) if policy == "refuse" else Findings(errors, warnings + missing)


def summary(text: str) -> str:
    """Return the first sentence that a README says about its repository, empty where it says none."""
    try:
        return read_card(text).summary
    except BadRequest:
        return ""


def _one(name: str) -> Callable[[Card], bool]:
    return lambda card: isinstance(card.data.get(name), str | None)


def _some(name: str) -> Callable[[Card], bool]:
    return lambda card: isinstance(card.data.get(name), str) or _each(card.data.get(name), str)


def _each(value: Any, kind: type) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, kind) for one in value))


def _has(value: Any, **kinds: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in kinds.items())


def _sound_model_index(card: Card) -> bool:
    models = card.data.get("model-index") or []
    return isinstance(models, list) and all(
        _has(model, name=str, results=list) and all(map(_sound_result, model["results"])) for model in models
    )


def _sound_result(result: Any) -> bool:
    return (
        _has(result, task=dict, dataset=dict, metrics=list)
        and _has(result["task"], type=str)
        and _has(result["dataset"], type=str, name=str)
        and all(_has(metric, type=str) and "value" in metric for metric in result["metrics"])
    )


ALL = ("model", "dataset", "space")
FORM = (
    Rule("model-index", ("model",), "model-index has to be a list of mappings with a name and results, each result "
         "with task.type, dataset.type, dataset.name and metrics, each metric with type and value", _sound_model_index),
    Rule("license", ALL, "license has to be an identifier such as apache-2.0, or a list of them", _some("license")),
    Rule("language", ALL, "language has to be a code such as en, or a list of codes", _some("language")),
    Rule("tags", ALL, "tags has to be a list of words", lambda card: _each(card.data.get("tags"), str)),
    Rule("datasets", ALL, "datasets has to be a name, or a list of names", _some("datasets")),
    Rule("base_model", ("model",), "base_model has to be a name, or a list of names", _some("base_model")),
    Rule("metrics", ("model",), "metrics has to be a name, or a list of names", _some("metrics")),
    Rule("library_name", ("model",), "library_name has to be one word, such as medhub", _one("library_name")),
    Rule("pipeline_tag", ("model",), "pipeline_tag has to be one word, such as image-classification",
         _one("pipeline_tag")),
    Rule("configs", ("dataset",), "configs has to be a list of mappings",
         lambda card: _each(card.data.get("configs"), dict)),
    Rule("sdk", ("space",), "sdk has to be gradio, docker, static or streamlit",
         lambda card: card.data.get("sdk") in (None, "gradio", "docker", "static", "streamlit")),
)  # fmt: skip
"""What clients need in order to read a card at all."""
MEDICINE = (
    Rule("intended-use", ("model",), "the card does not say what the model is meant for; add a section `Intended use`",
         lambda card: bool(card.medical("intended_use")) or _says_something(card.section(INTENDED_USE))),
    Rule("task", ("model",), "the card names neither task nor modality; set pipeline_tag, modality or medhub.task",
         lambda card: bool(card.data.get("pipeline_tag") or card.medical("modality") or card.medical("task"))),
    Rule("licence", ("model", "dataset"), "the card names no licence; set license, for example to apache-2.0",
         lambda card: bool(card.data.get("license"))),
    Rule("not-a-device", ("model",), "the card does not say that the model is not a medical device, or is for research "
         "only; add that sentence", lambda card: card.says(DISCLAIMER)),
    Rule("de-identification", ("dataset",), "the card does not say how the data were de-identified, or that they tell "
         "of no patient; add that sentence", lambda card: card.says(DE_IDENTIFIED)),
)  # fmt: skip
"""What a reader in a hospital has to find on a card."""


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def _blocks(markdown: str) -> list[tuple[str, str]]:
    blocks, quoted = [], 0
    for opening, token in pairwise(_markdown().parse(markdown)):
        quoted += {"blockquote_open": 1, "blockquote_close": -1}.get(opening.type, 0)
        if token.type == "inline":
            parts = [child.content or " " for child in token.children or () if child.type in SHOWN]
            blocks.append(("q" if quoted else opening.tag, " ".join("".join(parts).split())))
    return blocks


def _says_something(text: str) -> bool:
    said = PLACEHOLDER.sub("", text).strip()
    return len(said) >= 15 and not said.endswith(":")  # "Developed by: [More Information Needed]"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1].rpartition(" ")[0] + "…"
