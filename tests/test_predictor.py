"""from_pretrained and predict: what comes back, where names lead, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

import medhub
from medhub.checks.subject import Subject
from medhub.errors import ConfigError, InputError, ModelNotFound, ProcessorError, UnknownTask, WeightsError
from medhub.predictor import Predictor
from medhub.registry import get

SMILES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CCN(CC)CC"]


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Path:
    """A saved model: untrained, but whole."""
    network = Subject(get("chem/toxicity")).network("dnn")
    return Predictor(network.task, network.model(), network.processor).save(tmp_path / "model")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_one_input_gives_one_result_and_a_list_gives_a_list(folder: Path) -> None:
    model = medhub.from_pretrained(folder)
    one, many = model.predict(SMILES[0]), model.predict(SMILES)
    assert many[0].input == one.input
    assert len(many) == len(SMILES)
    assert json.loads(one.to_json())["probabilities"] == one.probabilities


def test_an_input_gets_the_same_answer_alone_and_among_others(folder: Path) -> None:
    model = medhub.from_pretrained(folder)
    for alone, among in zip([model.predict(text) for text in SMILES], model.predict(SMILES, batch_size=3), strict=True):
        for label, probability in alone.probabilities.items():
            assert among.probabilities[label] == pytest.approx(probability, abs=1e-6)


def test_a_result_says_what_made_it(folder: Path) -> None:
    model = medhub.from_pretrained(folder)
    provenance = model.predict(SMILES[0]).provenance
    assert provenance.task == "chem/toxicity"
    assert provenance.processor_sha256 == model.processor.sha256
    assert len(provenance.weights_sha256) == 64
    assert provenance.plugin == "medhub"


def test_a_bad_input_is_named_with_its_place(folder: Path) -> None:
    with pytest.raises(InputError, match=r"input 2 of 3.*C1CC"):
        medhub.from_pretrained(folder).predict(["CCO", "C1CC", "CC"])


def test_the_rest_is_predicted_when_asked_for(folder: Path) -> None:
    results = [*medhub.from_pretrained(folder).predict_each(["CCO", "not a molecule", "CC"], batch_size=2)]
    assert isinstance(results[1], InputError)
    assert [type(result).__name__ for result in results] == ["ToxicityPrediction", "InputError", "ToxicityPrediction"]


def test_an_explanation_comes_on_demand(folder: Path) -> None:
    model = medhub.from_pretrained(folder)
    assert model.predict(SMILES[2]).explanation is None
    explained = model.predict(SMILES[2], explain=True)
    assert explained.explanation.label in explained.probabilities
    assert explained.to_picture().width > 100
    with pytest.raises(InputError, match="no label"):
        model.explain(SMILES[2], label="no such label")


def test_saving_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    again = medhub.from_pretrained(folder).save(tmp_path / "again")
    for name in ("config.json", "model.safetensors", "processor.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_failed_save_leaves_the_old_folder_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = medhub.from_pretrained(folder)
    with torch.no_grad():
        next(model.model.parameters()).add_(1)

    def full_disk(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(model.processor), "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        model.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_changed_processor_is_refused(folder: Path) -> None:
    values = json.loads((folder / "processor.json").read_text())
    key = next(key for key, value in values.items() if isinstance(value, int) and not isinstance(value, bool))
    edit(folder / "processor.json", **{key: values[key] + 1})
    with pytest.raises(ProcessorError, match="not the one that the weights were trained with"):
        medhub.from_pretrained(folder)


def test_a_missing_processor_is_refused(folder: Path) -> None:
    (folder / "processor.json").unlink()
    with pytest.raises(ProcessorError, match=r"has no processor\.json"):
        medhub.from_pretrained(folder)


def test_an_odd_key_in_the_processor_is_refused(folder: Path) -> None:
    edit(folder / "processor.json", radus=3)
    with pytest.raises(ProcessorError, match="radus"):
        medhub.from_pretrained(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        medhub.from_pretrained(folder)


def test_a_model_of_an_unknown_task_is_refused(folder: Path) -> None:
    edit(folder / "config.json", model_type="medhub_chem_toxicty")
    with pytest.raises(UnknownTask, match="did you mean 'medhub_chem_toxicity'"):
        medhub.from_pretrained(folder)


def test_a_config_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json is not a model's config"):
        medhub.from_pretrained(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"holds no config\.json"):
        medhub.from_pretrained(tmp_path)


def test_an_unknown_name_lists_the_zoo() -> None:
    with pytest.raises(ModelNotFound, match="neither a folder, nor a model of the zoo"):
        medhub.from_pretrained("tox21-toxicty")


def test_a_repository_that_cannot_be_reached_says_where_it_was_sought() -> None:
    with pytest.raises(ModelNotFound, match=r"'some-hospital/some-model' could not be fetched from http"):
        medhub.from_pretrained("some-hospital/some-model")


def test_a_result_is_written_as_data_or_as_a_picture(folder: Path, tmp_path: Path) -> None:
    result = medhub.from_pretrained(folder).predict("CCO")
    assert json.loads(result.save(tmp_path / "result.json").read_text()) == result.to_dict()
    with PIL.Image.open(result.save(tmp_path / "result.png")) as picture:
        assert picture.format == "PNG"
    with pytest.raises(InputError, match=r"Formats: \.json, \.png"):
        result.save(tmp_path / "result.docx")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["result.json", "result.png"]
