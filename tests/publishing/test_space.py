"""What a Space consists of. That one is pushed and runs is shown against a real Hub."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest
from huggingface_hub import SpaceCard

from medhub.errors import ModelNotFound
from medhub.publishing import render_space

pytest.importorskip("gradio", reason="the extra 'demo' is not installed")


@pytest.mark.parametrize(
    ("name", "extras", "said"),
    [
        ("clintox-toxicity", "chem,demo", "`clintox-toxicity`: the toxicities"),
        (None, "all", "each on a page of its own"),
    ],
)
def test_a_space_says_what_it_needs_and_what_it_is(name: str | None, extras: str, said: str, tmp_path: Path) -> None:
    folder = render_space(name, tmp_path / "space")
    card = SpaceCard.load(folder / "README.md")
    needed = (folder / "requirements.txt").read_text().splitlines()
    assert needed == [f"medhub[{extras}]=={version('medhub')}", f"gradio=={card.data.sdk_version}"]
    assert card.data.models is None  # a model of the zoo is no repository
    assert said in card.text
    assert "Not a medical device" in card.text
    app = (folder / "app.py").read_text()
    assert "$" not in app
    assert ast.get_docstring(ast.parse(app))


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="did you mean 'clintox-toxicity'"):
        render_space("clintox-toxicty", tmp_path / "space")
    assert not (tmp_path / "space").exists()
