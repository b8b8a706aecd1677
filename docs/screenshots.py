"""Take docs/demos/*.webp: the gallery and a demo of every task, on a desk and on a telephone, an example explained.

Only the demos' own examples are shown, which are drawn, invented or published. Chromium must be at /usr/bin/chromium.
Run: python docs/screenshots.py [MODEL ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
from playwright.sync_api import sync_playwright

DEMOS = Path(__file__).resolve().parent / "demos"
CHROMIUM = "/usr/bin/chromium"
GALLERY = "gallery"
EXAMPLE_OF = {
    GALLERY: "",
    "breast-ultrasound": "an ultrasound scan, drawn",
    "blood-cells-yolo": "a blood smear, drawn",
    "nuclei-unet": "nuclei in fluorescence, drawn",
    "protein-aligner": "haemoglobin and myoglobin",
    "promoter-gru": "promoter of beta-globin",
    "protein-secondary-structure": "ubiquitin",
    "icu-mortality": "a worsening patient, invented",
    "diabetes-treatment": "a kidney that fails, invented",
    "patient-groups": "a septic patient, invented",
    "antimicrobial-peptides": "magainin 2, of a frog's skin",
    "tox21-toxicity": "flutamide",
}
"""What is shown of each."""
SIZES = {"desktop": (1280, 1000), "phone": (390, 844)}
MOST_HEIGHT = {"desktop": 1500, "phone": 2000}
"""Pixels after which a picture ends; what follows is the model's card, closed."""
MOST_BYTES = 60_000
PATIENCE = 120_000
"""Milliseconds for a prediction, on a machine that has other things to do."""


def main(names: list[str]) -> None:
    """Take the pictures of all, or of those named."""
    DEMOS.mkdir(exist_ok=True)
    with gallery() as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name in names or EXAMPLE_OF:
            for size, (width, height) in SIZES.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.set_default_timeout(PATIENCE)
                page.goto(url if name == GALLERY else f"{url}{name}")
                if name == GALLERY:
                    page.get_by_label("Search").wait_for()
                else:
                    explain(page, EXAMPLE_OF[name])
                save(page.screenshot(full_page=True), DEMOS / f"{name}-{size}.webp", most_height=MOST_HEIGHT[size])
                page.close()
        browser.close()


@contextmanager
def gallery() -> Iterator[str]:
    """Serve the gallery in a process of its own; the `with` block gets its URL."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "medhub.cli", "demo"], env={**os.environ, "GRADIO_TEMP_DIR": folder},
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            yield next(line for line in process.stderr if line.startswith("demo: ")).split()[1]
        finally:
            process.terminate()
            process.wait()
            process.stderr.close()


def explain(page: Any, example: str) -> None:
    """Run an example, and have its result explained."""
    page.get_by_role("button", name=example, exact=True).click()
    page.get_by_text("Download the result").wait_for()
    page.get_by_role("button", name="Predict and explain").click()
    picture = page.get_by_role("img", name="spoke for")
    picture.wait_for()
    page.wait_for_function("[...document.images].every(image => image.complete)")


def save(screenshot: bytes, path: Path, *, most_height: int) -> None:
    """Write a picture as WebP, so well that it just stays under MOST_BYTES."""
    picture = PIL.Image.open(BytesIO(screenshot)).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, most_height)))
    for quality in range(80, 10, -10):
        picture.save(path, quality=quality, method=6)
        if path.stat().st_size <= MOST_BYTES:
            return
    raise SystemExit(f"{path.name} is over {MOST_BYTES} bytes however it is written; show less of the page")


if __name__ == "__main__":
    main(sys.argv[1:])
