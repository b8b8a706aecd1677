"""Spaces: a model's demo, or the gallery of all, as a repository that huggingface.co or another Hub of Spaces runs."""

from __future__ import annotations

import json
import os
import re
from importlib.metadata import version
from pathlib import Path
from string import Template

from huggingface_hub import HfApi, SpaceCardData

from medhub.errors import PublishError
from medhub.predictor import hub_endpoint, model_folder
from medhub.publishing.card import CARD_FILE
from medhub.publishing.push import upload
from medhub.registry import Task, get_by_model_type
from medhub.results import NOTICE

APP_FILE = "app.py"
REQUIREMENTS_FILE = "requirements.txt"
FILES = (APP_FILE, CARD_FILE, REQUIREMENTS_FILE)
PYTHON = "3.11"
GALLERY = "medhub-gallery"
DEMO_LINE = re.compile(r"^\*\*Demo:\*\* .*\n\n", re.MULTILINE)


def render_space(name: str | None, folder: str | os.PathLike[str]) -> Path:
    """Write a Space into `folder` and return it: app.py, README.md with its front matter, and requirements.txt.

    `name` is a model of the zoo or org/name on a Hub; None makes the gallery. Raises PublishError for a folder's path,
    which the Space's machine would not have, and ModelNotFound.
    """
    folder = Path(folder)
    task = None if name is None else _task(name)
    title = GALLERY if name is None else f"{Path(name).name}-demo"
    extras = f"{task.extra},demo" if task and task.extra else "all" if task is None else "demo"
    gradio = version("gradio")
    card = SpaceCardData(
        title=title, sdk="gradio", sdk_version=gradio, python_version=PYTHON, app_file=APP_FILE, license="apache-2.0",
        tags=["medhub", *(task.id.split("/") if task else ())], models=[name] if name and "/" in name else None,
    )  # fmt: skip
    what = f"`{name}`: {task.summary}." if task else "All models of MedHub's zoo, each on a page of its own."
    files = {
        APP_FILE: Template(_template("gallery" if name is None else "model")).substitute(name=name),
        CARD_FILE: f"---\n{card.to_yaml()}\n---\n\n# {title}\n\n> **{NOTICE}**\n\n{what}\n",
        # Gradio's version stands in both places: a Space whose two differ is not built
        REQUIREMENTS_FILE: f"medhub[{extras}]=={version('medhub')}\ngradio=={gradio}\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def push_space(folder: str | os.PathLike[str], repo_id: str, *, model: str | None = None, private: bool = True) -> str:
    """Push a rendered Space to org/name, link it on the card of `model`, and return its address.

    Only the card of a repository, org/name, can be changed. Raises PublishError as `push` does.
    """
    address = upload(folder, repo_id, [*FILES], private=private, kind="space", message="Upload demo with MedHub")
    if model and "/" in model:
        _link(model, repo_id, address)
    return address


def _task(name: str) -> Task:
    if Path(name).is_dir():
        raise PublishError(
            f"{name} is a folder of this machine, which a Space cannot read; push it first (`medhub push {name} "
            "org/name`), and make the Space of org/name"
        )
    config = json.loads((model_folder(name) / "config.json").read_text(encoding="utf-8"))
    return get_by_model_type(config["model_type"])


def _template(kind: str) -> str:
    here = Path(__file__).resolve().parents[1]
    # inside a wheel spaces/ lies in the package, in a checkout beside it
    spaces = next(folder for folder in (here / "spaces", here.parent / "spaces") if folder.is_dir())
    return (spaces / kind / APP_FILE).read_text(encoding="utf-8")


def _link(model: str, space: str, address: str) -> None:
    """Put the demo's address under the notice of a model's card, in place of an earlier one."""
    hub = HfApi(endpoint=hub_endpoint())
    path = Path(hub.hf_hub_download(model, CARD_FILE))
    text = path.read_text(encoding="utf-8")
    notice = f"> **{NOTICE}**\n\n"
    linked = DEMO_LINE.sub("", text).replace(notice, f"{notice}**Demo:** [{space}]({address})\n\n", 1)
    if linked != text:
        hub.upload_file(
            path_or_fileobj=linked.encode(), path_in_repo=CARD_FILE, repo_id=model, commit_message="Link the demo"
        )
