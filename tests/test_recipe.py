"""From a task's name to a folder that can be loaded, evaluated again, and pushed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import medhub
from medhub.errors import ConfigError, LoadError, SplitError, UnknownDataset
from medhub.recipe import RECIPE_FILE, Recipe, publish, read_recipe, reevaluate, run
from medhub.registry import get, tasks

RECIPE = Recipe(task="chem/toxicity", data="synthetic", architecture="dnn", settings={"epochs": 2})
BUILT_IN = [id for id in tasks() if medhub.find(id).distribution == "medhub"]


@pytest.fixture
def trained(tmp_path: Path, cache: Path) -> Path:
    run(RECIPE, tmp_path / "model")
    return tmp_path / "model"


def test_every_number_is_made_again(trained: Path) -> None:
    first = json.loads((trained / "evaluation.json").read_text())
    again = json.loads(json.dumps(reevaluate(trained).to_dict()))
    assert again["models"] == first["models"]
    assert again["split_sha256"] == first["split_sha256"]


def test_the_same_recipe_makes_the_same_weights(trained: Path, tmp_path: Path) -> None:
    run(read_recipe(trained), tmp_path / "again")
    for name in ("model.safetensors", "config.json", "processor.json"):
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes(), name


def test_training_may_start_from_another_models_weights(trained: Path, tmp_path: Path) -> None:
    said: list[str] = []
    still = replace(RECIPE, start=str(trained), settings={"epochs": 1, "learning_rate": 1e-12, "ema": 0.0})
    run(still, tmp_path / "next", say=said.append)
    first, then = (medhub.from_pretrained(folder).model.state_dict() for folder in (trained, tmp_path / "next"))
    for name in dict(medhub.from_pretrained(trained).model.named_parameters()):
        torch.testing.assert_close(then[name], first[name])
    assert any("0 are fresh" in line for line in said)
    assert f"--start {trained.name} " in read_recipe(tmp_path / "next").command


def test_a_start_with_nothing_in_common_is_refused(trained: Path, tmp_path: Path) -> None:
    stranger = replace(RECIPE, architecture="cnn", start=str(trained), config={"hidden_size": 24})
    with pytest.raises(LoadError, match="no weight of the name and shape"):
        run(stranger, tmp_path / "next")


def test_another_seed_makes_other_weights(trained: Path, tmp_path: Path) -> None:
    run(replace(RECIPE, seed=1), tmp_path / "other")
    assert (tmp_path / "other/model.safetensors").read_bytes() != (trained / "model.safetensors").read_bytes()


def test_the_folder_predicts_with_calibrated_decisions(trained: Path) -> None:
    result = medhub.from_pretrained(trained).predict("CCO")
    assert set(result.decisions.values()) <= {"yes", "no", "uncertain"}


def test_the_card_is_complete(trained: Path) -> None:
    from medhub.publishing import check_card

    assert check_card(trained) == []


def test_a_card_is_written_anew_without_training(trained: Path) -> None:
    before = (trained / "README.md").read_text()
    (trained / "README.md").unlink()
    publish(trained, reevaluate(trained))
    assert (trained / "README.md").read_text() == before


def test_half_the_bits_make_half_the_file_and_the_same_numbers(trained: Path, tmp_path: Path) -> None:
    run(replace(RECIPE, half=True), tmp_path / "half")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (trained, tmp_path / "half")]
    assert sizes[1] < 0.6 * sizes[0]
    assert "--half" in (tmp_path / "half/README.md").read_text()
    first = json.loads((tmp_path / "half/evaluation.json").read_text())
    again = json.loads(json.dumps(reevaluate(tmp_path / "half").to_dict()))
    assert again["models"] == first["models"]  # the card tells of the weights that were stored


def test_the_command_is_on_the_card(trained: Path) -> None:
    command = "medhub train chem/toxicity --data synthetic --architecture dnn --seed 0 --setting epochs=2"
    assert RECIPE.command == command
    assert command in (trained / "README.md").read_text()


def test_no_published_file_says_where_on_this_machine_something_lay(trained: Path) -> None:
    for name in ("README.md", "evaluation.json"):
        text = (trained / name).read_text()
        assert f"medhub evaluate {trained.name}" in text
        assert str(trained.parent) not in text
    own = Recipe(task="chem/toxicity", data="/clinic/ward 3/molecules.csv", start="/clinic/first")
    assert "--data molecules.csv --start first --seed 0" in own.command


def test_a_split_that_is_no_longer_the_same_is_refused(trained: Path) -> None:
    path = trained / RECIPE_FILE
    values = json.loads(path.read_text())
    values["data"]["split_sha256"] = "0" * 64
    path.write_text(json.dumps(values))
    with pytest.raises(SplitError, match="was trained on split 000000000000"):
        reevaluate(trained)


def test_a_folder_without_a_recipe_says_what_to_do(trained: Path) -> None:
    (trained / RECIPE_FILE).unlink()
    with pytest.raises(LoadError, match="name them with --data"):
        reevaluate(trained)


def test_a_recipe_with_an_odd_key_is_refused(trained: Path) -> None:
    values = json.loads((trained / RECIPE_FILE).read_text())
    values["recipe"]["sed"] = 1
    (trained / RECIPE_FILE).write_text(json.dumps(values))
    with pytest.raises(LoadError, match="did you mean 'seed'"):
        read_recipe(trained)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"config": {"drpout": 0.1}}, ConfigError, "did you mean 'dropout'"),
        ({"settings": {"epoch": 2}}, ConfigError, "did you mean 'epochs'"),
        ({"architecture": "dn"}, ConfigError, "did you mean 'dnn'"),
        ({"data": "clintx"}, UnknownDataset, "did you mean 'clintox'"),
        ({"split": "grop"}, SplitError, "did you mean 'group'"),
    ],
)
def test_a_misspelt_word_is_refused_before_anything_is_trained(
    change: dict[str, object], error: type[Exception], said: str, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(error, match=said):
        run(replace(RECIPE, **change), tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("id", BUILT_IN)
def test_every_task_runs_on_its_synthetic_data(id: str, tmp_path: Path, cache: Path) -> None:
    report = run(Recipe(task=id, data="synthetic", settings={"epochs": 1}), tmp_path / "model")
    assert set(report.numbers) == set(get(id).metrics)
    assert repr(medhub.from_pretrained(tmp_path / "model")).startswith(f"<Predictor {id}")
