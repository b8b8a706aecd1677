"""What visitors upload, so that it can go when they leave."""

from __future__ import annotations

import shutil
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio


class Uploads:
    """Remembers which visitor uploaded which file, and deletes a file when the last of them has left.

    Gradio keeps an upload under the hash of its content, so that two visitors may have uploaded one and the same file.
    """

    def __init__(self) -> None:
        self._owners: defaultdict[Path, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def watch(self, components: Iterable[Any]) -> None:
        """Take note of everything that is uploaded into these components."""
        for component in components:
            if isinstance(component, gradio.File):
                component.upload(
                    self.note, inputs=[component], show_progress="hidden", queue=False, api_visibility="private"
                )

    def note(self, paths: str | list[str] | None, request: gradio.Request) -> None:
        """Remember that this visitor uploaded the files."""
        with self._lock:
            for path in [paths] if isinstance(paths, str) else paths or ():
                self._owners[Path(path)].add(str(request.session_hash))

    def forget(self, request: gradio.Request) -> None:
        """Delete what this visitor uploaded and nobody else did."""
        with self._lock:
            for path, owners in [*self._owners.items()]:
                owners.discard(str(request.session_hash))
                if not owners:
                    del self._owners[path]
                    shutil.rmtree(path.parent, ignore_errors=True)
