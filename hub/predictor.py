"""`from_pretrained`: a name in, a model that takes raw files and returns typed results out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch

from medhub.errors import ConfigError, InputError, ModelNotFound, ProcessorError, suggest
from medhub.modeling import MedModel
from medhub.processing import Processor
from medhub.registry import Task, find, get_by_model_type, zoo_models
from medhub.results import Explanation, Prediction, Provenance

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
MODEL_FILES = (CONFIG_FILE, WEIGHTS_FILE, "processor.json", "README.md", "*.json", ".eval_results/*")
"""What is fetched of a Hub repository: never code, never a pickle."""


def from_pretrained(
    name: str | os.PathLike[str], *, revision: str | None = None, device: str | None = None
) -> Predictor:
    """Load a model by name: a folder, a model of the zoo ("tox21-toxicity"), or a Hub repository ("org/name").

    The repository is sought at HF_ENDPOINT, huggingface.co unless set. `device` is a torch device; the default is a
    GPU where there is one. Raises ModelNotFound with the nearest name, and other LoadErrors for a folder whose config,
    weights and processor do not belong together.
    """
    folder = model_folder(name, revision=revision)
    task = get_by_model_type(_model_type(folder))
    # float32 whatever the file stores: half precision is for storage, and slow on a CPU
    model = task.model_class.from_pretrained(folder, dtype=torch.float32)
    processor = task.processor_class.load(folder)
    if model.config.processor_sha256 != processor.sha256:
        raise ProcessorError(
            f"{folder}/processor.json is not the one that the weights were trained with (config.json says "
            f"{str(model.config.processor_sha256)[:12]}, found {processor.sha256[:12]}); restore it, or train anew"
        )
    weights = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    place = find(task.id)
    provenance = Provenance(
        model=str(name), task=task.id, weights_sha256=weights, processor_sha256=processor.sha256,
        plugin=place.distribution, version=place.version,
    )  # fmt: skip
    # a task whose models do more than predict has a predictor of its own
    kind = task.module("predictor").PREDICTOR if task.has_module("predictor") else Predictor
    return kind(task, model, processor, provenance=provenance, device=device)


class Predictor:
    """A model with its processor: raw inputs in, typed results out."""

    def __init__(
        self,
        task: Task,
        model: MedModel,
        processor: Processor,
        *,
        provenance: Provenance | None = None,
        device: str | None = None,
    ) -> None:
        self.task = task
        self.model = model.eval()
        torch.nn.Module.to(model, device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.processor = processor
        self.provenance = provenance

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        return f"<Predictor {self.task.id} {self.model.config.architecture}, {size:,} parameters>"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(self.model.config.id2label.values())

    @overload
    def predict(self, inputs: Sequence[Any], *, explain: bool = ..., batch_size: int = ...) -> list[Prediction]: ...
    @overload
    def predict(self, inputs: Any, *, explain: bool = ..., batch_size: int = ...) -> Prediction: ...
    def predict(self, inputs: Any, *, explain: bool = False, batch_size: int = 64) -> Any:
        """Return the typed result of one raw input, or a list of results for a list of inputs (or a file of many).

        With `explain`, each result also says which parts of its input spoke for the result. Raises InputError at the
        first input that cannot be used, naming its place; `predict_each` goes on instead.
        """
        many, raws = self._spread(inputs)
        results = []
        for number, result in enumerate(self.predict_each(raws, explain=explain, batch_size=batch_size)):
            if isinstance(result, InputError):
                raise type(result)(f"input {number + 1} of {len(raws)}: {result}") if many else result
            results.append(result)
        return results if many else results[0]

    def predict_each(
        self, inputs: Iterable[Any], *, explain: bool = False, batch_size: int = 64
    ) -> Iterator[Prediction | InputError]:
        """Yield, for each raw input in order, its result, or the InputError that says why it has none."""
        for raws in _chunks(inputs, batch_size):
            samples = [self._read(raw) for raw in raws]
            usable = [sample for sample in samples if not isinstance(sample, InputError)]
            results = iter(self._predict_samples(usable, explain=explain) if usable else ())
            for sample in samples:
                yield sample if isinstance(sample, InputError) else next(results)

    def explain(self, raw: Any, label: str | None = None) -> Explanation:
        """Say which parts of one raw input spoke for `label` (None: the label the model thinks most likely)."""
        sample = self.processor.read(raw)
        if label is None:
            label = _top_label(self.predict(raw))
        if label not in self.labels:
            raise InputError(f"the model has no label {label!r}{suggest(label, self.labels)} Labels: {self.labels}")
        return self.processor.explain(self.model, sample, label)

    def save(self, folder: str | os.PathLike[str], *, half: bool = False) -> Path:
        """Write config.json, model.safetensors and processor.json into `folder`, all or none, and return it.

        With `half` the weights are stored in 16 bits; a model is always loaded in 32.
        """
        folder = Path(folder)
        self.model.config.processor_sha256 = self.processor.sha256
        with _staging(folder) as staged:
            (deepcopy(self.model).half() if half else self.model).save_pretrained(staged)
            self.processor.save(staged)
        return folder

    def _spread(self, inputs: Any) -> tuple[bool, list[Any]]:
        if isinstance(inputs, list | tuple):
            return True, [*inputs]
        spread = self.processor.inputs(inputs)
        return (False, [inputs]) if spread is None else (True, spread)

    def _read(self, raw: Any) -> Any:
        try:
            sample = self.processor.read(raw)
            return sample, self.processor.features(sample)
        except InputError as error:
            return error

    def _predict_samples(self, samples: list[Any], *, explain: bool) -> list[Prediction]:
        batch = self.processor.collate(self.processor.stack([features for _, features in samples]))
        with torch.inference_mode():
            outputs = self.model(**{name: tensor.to(self.model.device) for name, tensor in batch.items()})
        parsed = [sample for sample, _ in samples]
        results = []
        for sample, found in zip(parsed, self.processor.results(parsed, outputs, self.model.config), strict=True):
            result = replace(found, provenance=self.provenance)
            if explain:
                explanation = self.processor.explain(self.model, sample, _top_label(result))
                result = replace(result, explanation=explanation)
            results.append(result)
        return results


def model_folder(name: str | os.PathLike[str], *, revision: str | None = None) -> Path:
    """Return the local folder of a model by name, fetching a Hub repository first; raise ModelNotFound."""
    if Path(name).is_dir():
        return Path(name)
    text = os.fspath(name)
    zoo = zoo_models()
    if text in zoo:
        return zoo[text]
    if text.count("/") == 1 and not text.startswith((".", "/", "~")):
        return _fetch_repository(text, revision=revision)
    raise ModelNotFound(
        f"no model {text!r}: it is neither a folder, nor a model of the zoo{suggest(text, zoo)} "
        f"Zoo: {', '.join(zoo) or 'empty'}; a Hub repository is named org/name"
    )


def hub_endpoint() -> str:
    """Return the Hub that org/name means now: HF_ENDPOINT, huggingface.co unless set."""
    from huggingface_hub import constants

    # the client reads the variable once, when it is imported; a program may come to its own Hub later
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def _fetch_repository(repo: str, *, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    place = hub_endpoint()
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=[*MODEL_FILES], endpoint=place))
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"no repository {repo!r} at {place}; check the name, log in with `hf auth login` where it is "
            "private, or set HF_ENDPOINT to your own Hub"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelNotFound(
            f"repository {repo!r} could not be fetched from {place} and is not in the cache: {error}; "
            "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or give a folder"
        ) from error


def _model_type(folder: Path) -> str:
    path = folder / CONFIG_FILE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
    except FileNotFoundError:
        raise ModelNotFound(f"{folder} holds no {CONFIG_FILE}; a model folder is what `medhub train` writes") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a model's config: {error!r}; restore it from where the model came") from error


def _top_label(result: Prediction) -> str:
    return max(result.bars(), key=result.bars().__getitem__)


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Give an empty folder whose files then move into `folder` one by one, none of them if the block raises."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    try:
        yield staged
        for path in sorted(staged.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
