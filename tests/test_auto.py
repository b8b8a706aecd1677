"""transformers' own entry points work unchanged on every registered task."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

import medhub.auto
from medhub.checks.subject import Network, Subject
from medhub.predictor import Predictor
from medhub.registry import get, tasks, zoo_index, zoo_models

BUILT_IN = [id for id in tasks() if medhub.find(id).distribution == "medhub"]
NETWORKS = [(id, architecture) for id in BUILT_IN for architecture in get(id).config_class.ARCHITECTURES]


@pytest.mark.parametrize(("id", "architecture"), NETWORKS)
def test_the_tasks_auto_class_loads_a_saved_folder(id: str, architecture: str, tmp_path: Path, cache: Path) -> None:
    network = Subject(get(id)).network(architecture)
    model = network.model()
    Predictor(network.task, model, network.processor).save(tmp_path)
    loaded = getattr(transformers, network.task.auto_class).from_pretrained(tmp_path).eval()
    batch = network.batch([0, 1, 2])
    with torch.inference_mode():
        assert torch.equal(loaded(**batch)["logits"], model(**batch)["logits"])


@pytest.mark.parametrize("id", BUILT_IN)
def test_transformers_trainer_trains_our_models_unchanged(id: str, tmp_path: Path, cache: Path) -> None:
    network = Subject(get(id)).network(get(id).config_class.ARCHITECTURES[0])
    losses = trainer_losses(network, tmp_path)
    assert losses[-1] < losses[0]


def trainer_losses(network: Network, folder: Path) -> list[float]:
    """Train with transformers.Trainer, nothing overridden, and return the logged losses."""
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=30, per_device_train_batch_size=16, learning_rate=1e-2, logging_steps=10,
        report_to=[], save_strategy="no", use_cpu=True, seed=0, disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=network.model(),
        args=arguments,
        train_dataset=network.features,
        data_collator=lambda examples: network.processor.collate(network.processor.stack(examples)),
    )
    trainer.train()
    return [record["loss"] for record in trainer.state.log_history if "loss" in record]


@pytest.mark.parametrize("name", sorted(zoo_models()))
def test_the_auto_class_loads_the_zoo(name: str) -> None:
    task = get(zoo_index()[name])
    model = getattr(transformers, task.auto_class).from_pretrained(zoo_models()[name], dtype=torch.float32)
    ours = medhub.from_pretrained(name).model
    for (key, one), (_, other) in zip(model.state_dict().items(), ours.state_dict().items(), strict=True):
        assert torch.equal(one, other.cpu()), key
