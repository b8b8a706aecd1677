"""FHIR R4: bundles as JSON and bulk exports as NDJSON, resource by resource."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medhub.errors import InputError

from ..findings import Findings
from .elements import text
from .resources import Resources
from .stream import Event, Stream, Subjects, gather

SUFFIXES = (".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz")


def is_fhir(path: Path) -> bool:
    """Whether a path is a file, or a folder with files, that by their names may be FHIR."""
    return bool(_files(path))


def stream_fhir(path: Path) -> Stream:
    """Return the events of a Bundle, of NDJSON, or of a folder of such files."""
    subjects, findings = Subjects(), Findings()
    events = _events(_files(path), findings)
    return Stream(title=path.name, batches=gather(events, subjects), subjects=subjects, findings=findings)


def stream_bundle(bundle: Mapping[str, Any]) -> Stream:
    """Return the events of a Bundle, or of a single resource, that is in memory."""
    subjects, findings = Subjects(), Findings()
    events = Resources(findings).events(_entries(bundle, "the bundle"), file="")
    return Stream(title="the bundle", batches=gather(events, subjects), subjects=subjects, findings=findings)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if path.name.lower().endswith(SUFFIXES) else []
    return sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES))


def _events(files: list[Path], findings: Findings) -> Iterator[Event]:
    resources = Resources(findings)
    for file in files:
        if ".ndjson" in file.name.lower() or file.name.lower().endswith(".jsonl"):
            yield from resources.events(_lines(file), file=file.name, stream=True)
        else:
            yield from resources.events(_entries(_parse(_content(file), file.name), file.name), file=file.name)


def _entries(bundle: Any, file: str) -> Iterator[tuple[int, str | None, Mapping[str, Any]]]:
    """Yield number, full address and resource of a Bundle's entries; of a single resource, itself."""
    kind = text(bundle, "resourceType")
    if not kind:
        raise InputError(f"{file} is no FHIR: it has no resourceType; give a Bundle, or NDJSON with a resource a line")
    if kind != "Bundle":
        yield 1, None, bundle
        return
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise InputError(f"{file}: entry of the Bundle is no list; give a whole Bundle")
    for number, entry in enumerate(entries, start=1):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if not isinstance(resource, Mapping) or not text(resource, "resourceType"):
            raise InputError(f"{file}, entry {number}: there is no resource with a resourceType; give a whole Bundle")
        yield number, text(entry, "fullUrl") or None, resource


def _lines(path: Path) -> Iterator[tuple[int, str | None, Mapping[str, Any]]]:
    """Yield number, no address and resource of NDJSON's lines."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    resource = _parse(line, f"{path.name}, line {number}")
                    for _, address, one in _entries(resource, f"{path.name}, line {number}"):
                        yield number, address, one
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}; give a whole text file") from error


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}; give a whole text file") from error


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is not JSON: {error}; give FHIR as JSON, not as XML") from error
