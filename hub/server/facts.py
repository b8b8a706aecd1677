"""Facts: what a repository's card, configuration and weights tell, and the tags it is found by (protocol, section 3.3).

Strangers wrote all of it: what cannot be read tells nothing, and no fact is larger than the row of a list may be.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from medhub.server import cards, contents, frontmatter
from medhub.server.errors import BadRequest
from medhub.server.storage.git import Entry

if TYPE_CHECKING:
    from medhub.server.hub import Hub
    from medhub.server.tables import Repo

LARGEST_README = 4 << 20
LARGEST_CONFIG = 1 << 20
LARGEST_HEADER = 4 << 20
"""Bytes of one safetensors header; 10,000 tensors take a quarter of it."""
LARGEST_HEADERS = 64 << 20
"""Bytes of all headers of a model."""
LARGEST_CARD = 1 << 16
"""Bytes of JSON that the row keeps of a card; longer fields, such as schemas of many tables, stay in the README."""
LONGEST_WORD = 128
MOST_TAGS = 300
LONGEST_TEXT = 1 << 13

WORD = re.compile(r"[\w.-]{1,100}")
TASK = re.compile(r"([a-z0-9_-]{1,40})/[a-z0-9_-]{1,80}")
ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")
DTYPES = frozenset(
    ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64",
     "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
)  # fmt: skip
MODEL_FORMATS = {
    "safetensors": "safetensors", "gguf": "gguf", "onnx": "onnx", "tflite": "tflite", "keras": "keras",
    "pt": "pytorch", "pth": "pytorch", "ckpt": "pytorch", "joblib": "joblib",
}  # fmt: skip
DATASET_FORMATS = {
    "parquet": "parquet", "arrow": "arrow", "csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "txt": "text",
    "png": "image", "jpg": "image", "jpeg": "image", "tif": "image", "tiff": "image", "wav": "audio", "flac": "audio",
    "dcm": "dicom", "nii": "nifti", "nrrd": "nrrd", "mha": "metaimage", "svs": "slide", "edf": "edf", "h5ad": "anndata",
    "fasta": "fasta", "fa": "fasta", "fastq": "fastq", "vcf": "vcf", "sdf": "sdf", "smi": "smiles",
}  # fmt: skip
"""What the extensions stand for that are counted; `.gz` behind them is skipped."""


def read(
    hub: Hub, repo: Repo, sha: str, touched: Collection[str], *,
    card: Mapping[str, Any], known: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return the card and the facts at a commit; what comes of no file in `touched` is taken over from before."""
    card, found = dict(card), dict(known)
    if "README.md" in touched:
        card, told = _read_card(_read_file(hub, repo, sha, "README.md", LARGEST_README))
        found |= told
    if repo.kind == "model" and "config.json" in touched:
        found["config"] = _read_config(_read_file(hub, repo, sha, "config.json", LARGEST_CONFIG))
    if repo.kind == "model" and any(map(_is_weights, touched)):
        found["safetensors"] = _count_parameters(hub, repo, sha)
    config = found.get("config") or {}
    found["library_name"] = _word(card.get("library_name")) or ("transformers" if "model_type" in config else None)
    found["pipeline_tag"] = _word(card.get("pipeline_tag"))
    found["sdk"] = _word(card.get("sdk")) if repo.kind == "space" else None
    found["medhub"] = _read_medhub(cards.Card(card, ""))
    return card, {name: value for name, value in found.items() if value}


def count_extensions(new: Iterable[Entry], gone: Iterable[Entry], *, known: Mapping[str, int]) -> dict[str, int]:
    """Return how many files there are of each format, after some came and some went."""
    counts = Counter(known)
    counts.update(_extensions(new))
    counts.subtract(_extensions(gone))
    return {extension: count for extension, count in sorted(counts.items()) if count > 0}


def tags(kind: str, card: Mapping[str, Any], facts: Mapping[str, Any], extensions: Iterable[str]) -> list[str]:
    """Return what a repository is found by: words of its card, "license:mit", "dataset:x", "task:chem/toxicity" ..."""
    return list(dict.fromkeys(_tags(kind, card, facts, extensions)))[:MOST_TAGS]


def search_text(facts: Mapping[str, Any], tags: Iterable[str]) -> str:
    """Return what search looks through beside the name, in lower case."""
    return " ".join([facts.get("title", ""), facts.get("description", ""), *tags]).lower().strip()[:LONGEST_TEXT]


def _tags(kind: str, card: Mapping[str, Any], facts: Mapping[str, Any], extensions: Iterable[str]) -> Iterator[str]:
    config, medhub = facts.get("config", {}), facts.get("medhub", {})
    yield from _words(card.get("tags"))
    yield from _words(
        [facts.get("library_name"), facts.get("pipeline_tag"), config.get("model_type"), facts.get("sdk")]
    )
    for name in ("task", "area", "modality"):
        yield from _words(medhub.get(name), prefix=f"{name}:")
    for prefix, name in (
        ("license:", "license"), ("language:", "language"), ("dataset:", "datasets"), ("base_model:", "base_model"),
        ("task_categories:", "task_categories"), ("size_categories:", "size_categories"),
    ):  # fmt: skip
        yield from _words(card.get(name), prefix=prefix)
    if kind == "model":
        yield from _words(card.get("language"))
    yield from _words(facts.get("arxiv"), prefix="arxiv:")
    formats, prefix = (MODEL_FORMATS, "") if kind == "model" else (DATASET_FORMATS, "format:")
    if kind != "space":
        yield from sorted(prefix + formats[extension] for extension in extensions if extension in formats)


def _words(value: Any, *, prefix: str = "") -> list[str]:
    values = value if isinstance(value, list) else [value]
    words = (one.strip() for one in values if isinstance(one, str))
    return [prefix + word for word in words if 0 < len(word) <= LONGEST_WORD]


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and WORD.fullmatch(value) else None


def _extensions(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        extension = entry.path.lower().removesuffix(".gz").rpartition(".")[2]
        if entry.kind == "file" and (extension in MODEL_FORMATS or extension in DATASET_FORMATS):
            yield extension


def _read_card(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    text = data.decode(errors="replace")
    try:
        card = cards.read_card(text)
    except BadRequest:
        card = cards.Card({}, frontmatter.split(text)[1])
    papers = list(dict.fromkeys(ARXIV.findall(text)))[:20]
    return _bounded(card.data), {"title": card.title, "description": card.summary, "arxiv": papers}


def _bounded(card: Mapping[str, Any]) -> dict[str, Any]:
    kept, room = {}, LARGEST_CARD
    for name, value in card.items():
        size = len(json.dumps({name: value}))
        if size <= room:
            kept[name] = value
            room -= size
    return kept


def _read_config(data: bytes) -> dict[str, Any]:
    config = _json(data)
    names = config.get("architectures")
    words = {name: _word(config.get(name)) for name in ("model_type", "architecture")}
    found = {
        "architectures": [name for name in names[:20] if _word(name)] if isinstance(names, list) else None,
        **words,
    }
    return {name: value for name, value in found.items() if value}


def _read_medhub(card: cards.Card) -> dict[str, Any]:
    """Return task, area and modality as MedHub's cards tell them, for listings by these."""
    task, modality = card.medical("task"), _words(card.medical("modality"))
    found = TASK.fullmatch(task) if isinstance(task, str) else None
    return ({"task": found[0], "area": found[1]} if found else {}) | ({"modality": modality} if modality else {})


def _is_weights(path: str) -> bool:
    return "/" not in path and path.endswith(".safetensors")


def _count_parameters(hub: Hub, repo: Repo, sha: str) -> dict[str, Any]:
    """Return how many weights the safetensors files at the root have, by type; nothing where one is unsound."""
    counts: Counter[str] = Counter()
    room = LARGEST_HEADERS
    for entry in hub.git.open(repo.id).tree(sha) or []:
        if entry.kind != "file" or not _is_weights(entry.path):
            continue
        length = int.from_bytes(_read(hub, repo, entry, 0, 8), "little")
        room -= length
        if not 2 <= length <= LARGEST_HEADER or room < 0:
            return {}
        found = _count_tensors(_json(_read(hub, repo, entry, 8, 8 + length)), most=8 * entry.size)
        if found is None:
            return {}
        counts.update(found)
    return {"parameters": dict(sorted(counts.items())), "total": counts.total()} if counts else {}


def _count_tensors(header: Mapping[str, Any], *, most: int) -> Counter[str] | None:
    """Return how many weights a header tells of, by type; None where it is wrong, or tells of more than `most`."""
    counts: Counter[str] = Counter()
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = (tensor.get("dtype"), tensor.get("shape")) if isinstance(tensor, dict) else (None, None)
        if not isinstance(dtype, str) or dtype not in DTYPES or not isinstance(shape, list) or len(shape) > 32:
            return None
        if not all(type(length) is int and 0 <= length <= most for length in shape):
            return None
        counts[dtype] += math.prod(shape)
        if counts[dtype] > most:
            return None
    return counts


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_file(hub: Hub, repo: Repo, sha: str, path: str, largest: int) -> bytes:
    entry = hub.git.open(repo.id).entry(sha, path)
    return _read(hub, repo, entry, 0, largest) if entry and entry.kind == "file" and entry.size <= largest else b""


def _read(hub: Hub, repo: Repo, entry: Entry, start: int, stop: int) -> bytes:
    """Return the bytes [start, stop) of a file, empty where the store does not have them."""
    try:
        return contents.read_entry(hub, repo, entry, start, stop)
    except KeyError:
        return b""
