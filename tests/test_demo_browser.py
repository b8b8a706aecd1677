"""The demos in a real browser: every task by mouse, one by keyboard, on a desk and on a telephone, light and dark."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from medhub.checks.subject import Subject
from medhub.predictor import Predictor
from medhub.registry import get, tasks, zoo_index

pytest.importorskip("gradio", reason="the extra 'demo' is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install playwright")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
PATIENCE = 120_000
"""Milliseconds until the page has what a test waits for; a model is loaded when it is first asked."""
CONTRAST = """() => {
    const light = color => color.map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const parse = text => {  // any colour that CSS knows, as red, green, blue and opacity
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const opaque = element => {
        for (; element; element = element.parentElement) {
            const color = parse(getComputedStyle(element).backgroundColor);
            if (color[3] === 255) return color.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll(OURS)) {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const parent = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !parent.checkVisibility()) continue;
            const [a, b] = [light(parse(getComputedStyle(parent).color).slice(0, 3)), light(opaque(parent))]
                .sort((x, y) => y - x);
            const ratio = (a + .05) / (b + .05);
            if (ratio < 4.5) found.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
        }
    }
    return found;
}""".replace("OURS", json.dumps(".prose, .gallery-item, .block label > span"))
"""Collects the texts whose contrast with what is behind them is under 4.5 (WCAG 2.2, 1.4.3).

Looked at are our own words and the names of inputs and examples. Placeholders, hints and the white on Predict are in
the colours of Gradio's own theme, and repeat or soften what the labels say.
"""

WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FASTA = b">uploaded\nGIGKFLHSAKKFGKAFVGEIMNS\n"
PAIR = b">one\nMKVLEELLSAKKFGHWA\n>other\nMKVLEDLLSAKRFGWA\n"
DNA = ">pasted\nCAGGAGCCAGGGCTGGGCATAAAAGTCAGGGCAGAGCCATCTATTGCTTACATTTGCTTCTGACACAACT\n"
RECORD = b"""subject_id,time,code,value,unit
7,,SEX/M,,
7,1950-02-01T00:00:00,MEDS_BIRTH,,
7,2024-03-01T08:00:00,VISIT/inpatient,,
7,2024-03-01T09:00:00,LOINC/2160-0,1.4,mg/dL
7,2024-03-01T09:00:00,PHYSIONET/HR,92,
7,2024-03-01T09:00:00,SUPPORT/heart rate,92,
7,2024-03-01T10:00:00,ICD9CM/250.02,,
7,2024-03-01T12:00:00,DRUG/insulin,,
7,2024-09-01T08:00:00,VISIT/inpatient,,
7,2024-09-01T09:00:00,LOINC/2160-0,1.9,mg/dL
7,2024-09-01T09:00:00,PHYSIONET/HR,95,
"""


@dataclass(frozen=True)
class Given:
    """What a test gives a demo, and where the answer stands."""

    model: str
    shown: str
    """A selector of what must be there, and hold something, once the model has answered."""
    good: bytes | str
    """A file's content, or words for the field of text."""
    wrong: bytes | str
    sentence: str
    """What the predictor says of the wrong one."""
    file: str = ""
    """The name of the good file; of the wrong one, the name that the sentence begins with."""


def _dicom() -> bytes:
    """Return the scan that pydicom's wheel carries, as if it were a radiograph, which the model asks for."""
    pydicom = pytest.importorskip("pydicom", reason="the extra 'imaging' is not installed")
    from pydicom.data import get_testdata_file

    scan = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    scan.Modality = "CR"
    buffer = io.BytesIO()
    scan.save_as(buffer)
    return buffer.getvalue()


def _nifti() -> bytes:
    """Return the volume that nibabel's wheel carries."""
    found = importlib.util.find_spec("nibabel")
    if found is None or found.origin is None:
        pytest.skip("the extra 'imaging' is not installed")
    return (Path(found.origin).parent / "tests" / "data" / "anatomical.nii").read_bytes()


def _png() -> bytes:
    """Return a grey picture with two bright squares."""
    import numpy as np
    import PIL.Image

    pixels = np.full((96, 128, 3), 120, np.uint8)
    pixels[20:50, 20:50] = pixels[60:80, 80:110] = 220
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


BARS, PICTURE = "table.figures td:nth-child(3)", ".image-container img"
NO_IMAGE = "notes.txt is none of DICOM, NIfTI, PNG and JPEG; convert it to one of them"
NO_RECORD = "notes.csv has no column 'subject_id'. Columns: a, b; needed: subject_id, time, code"
EMPTY = "notes.txt, line 1: record 'empty' is empty; add its sequence or remove it"
NO_SMILES = "'C1CC' is not a valid SMILES: unclosed ring; correct it"
GIVEN: dict[str, Callable[[], Given]] = {
    "imaging/classification": lambda: Given("chest-xray-pneumonia", BARS, _dicom(), b"x", NO_IMAGE, "scan.dcm"),
    "imaging/detection": lambda: Given("blood-cells-yolo", PICTURE, _png(), b"x", NO_IMAGE, "smear.png"),
    "imaging/segmentation": lambda: Given("hippocampus-unet3d", PICTURE, _nifti(), b"x", NO_IMAGE, "brain.nii"),
    "genomics/alignment": lambda: Given(
        "protein-aligner", PICTURE, PAIR, b"no sequences", "notes.txt, line 1: text before the first '>'", "pair.fasta"
    ),
    "genomics/classification": lambda: Given(
        "promoter-gru", BARS, DNA, "CAGG1TAA", "'1' at position 5 is no nucleotide; correct it"
    ),
    "genomics/prediction": lambda: Given(
        "protein-secondary-structure", PICTURE, FASTA, b">empty\n", EMPTY, "one.fasta"
    ),
    "ehr/prediction": lambda: Given("icu-mortality", BARS, RECORD, b"a,b\n1,2\n", NO_RECORD, "events.csv"),
    "ehr/recommendation": lambda: Given("diabetes-treatment", BARS, RECORD, b"a,b\n1,2\n", NO_RECORD, "events.csv"),
    "ehr/clustering": lambda: Given("patient-groups", BARS, RECORD, b"a,b\n1,2\n", NO_RECORD, "events.csv"),
    "chem/function": lambda: Given("antimicrobial-peptides", BARS, FASTA, b">empty\n", EMPTY, "one.fasta"),
    "chem/toxicity": lambda: Given("tox21-toxicity", BARS, "CC(=O)Oc1ccccc1C(=O)O", "C1CC", NO_SMILES),
    "chem/optimization": lambda: Given("", PICTURE, "CC(=O)Oc1ccccc1C(=O)O", "C1CC", NO_SMILES),
}
"""By task; without the name of a model an untrained one is served, since the zoo has none."""


@contextmanager
def serving(folder: Path, *name: str) -> Iterator[str]:
    """Run `medhub demo` in a process of its own; uploads go under the folder. The `with` block gets the URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "medhub.cli", "demo", *name], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, env={**os.environ, "GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        yield next(line for line in process.stderr if line.startswith("demo: ")).split()[1]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers keep what is uploaded."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def gallery(uploads: Path) -> Iterator[str]:
    """The URL of the gallery, which has a page for every model of the zoo."""
    with serving(uploads) as url:
        yield url


@pytest.fixture(scope="module")
def untrained(uploads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an untrained model of the task for which the zoo has none."""
    pytest.importorskip("rdkit", reason="the extra 'chem' is not installed")
    network = Subject(get("chem/optimization")).network("vae")
    folder = Predictor(network.task, network.model(), network.processor).save(tmp_path_factory.mktemp("m") / "model")
    with serving(uploads, str(folder)) as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; it may neither complain on the console nor ask another host."""
    contexts, faults = [], []

    def open_page(url: str, **more: Any) -> Any:
        context = chromium.new_context(**{"viewport": DESK, **more})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: faults.append(sent.url) if foreign(sent.url) else None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def foreign(url: str) -> bool:
    """Whether a request goes to another machine."""
    return re.match(r"(http://127\.0\.0\.1:|data:|blob:)", url) is None


def answered(page: Any) -> Any:
    """Wait for an answer, and return where it is said."""
    refusal = page.get_by_test_id("toast-body")
    page.locator(".downloads a[download]").or_(refusal).first.wait_for()
    assert not refusal.count(), refusal.inner_text()
    return page.locator(".block.said")


def give(page: Any, content: bytes | str, name: str) -> None:
    """Upload a file into the first component for files, or write into the first field of text."""
    if isinstance(content, str):
        page.get_by_role("textbox").first.fill(content)
        return
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "", "buffer": content})
    page.get_by_role("button", name="Predict", exact=True).wait_for()
    page.locator(".file-preview").first.wait_for()


@pytest.mark.parametrize("task", GIVEN)
def test_a_visitor_tries_a_model(
    task: str, visit: Callable[..., Any], request: pytest.FixtureRequest, uploads: Path
) -> None:
    given = GIVEN[task]()
    url = f"{request.getfixturevalue('gallery')}{given.model}" if given.model else request.getfixturevalue("untrained")
    page = visit(url)
    page.get_by_role("button", name=next(iter(get(task).module("demo").examples())), exact=True).click()
    said = answered(page)
    assert said.locator("h2").inner_text()
    assert page.get_by_text("For research only. Not a medical device").first.is_visible()
    shown = page.locator(given.shown).first
    shown.wait_for()
    assert shown.evaluate("e => e.tagName === 'IMG' ? e.complete && e.naturalWidth > 0 : e.innerText.includes('%')")
    assert page.get_by_role("img", name="What spoke for").count() == 0, "an explanation is one click more"

    predict, explain = (page.get_by_role("button", name=n, exact=True) for n in ("Predict", "Predict and explain"))
    page.reload()
    predict.wait_for()
    give(page, given.good, given.file)
    explain.click()
    answered(page)
    page.get_by_role("img", name="What spoke for").wait_for()
    with page.expect_download() as download:
        page.locator(".downloads a[download]").last.click()
    assert download.value.suggested_filename.startswith("result.")
    assert Path(download.value.path()).stat().st_size > 100

    page.reload()
    predict.wait_for()
    give(page, given.wrong, given.sentence.split(maxsplit=1)[0].rstrip(","))
    predict.click()
    refusal = page.get_by_test_id("toast-body")
    refusal.wait_for()
    text = refusal.inner_text()
    assert given.sentence in text
    assert str(uploads) not in text, "where the server keeps a file is nobody's business"
    assert page.locator(".downloads").count() == 0, "what an earlier input gave does not stand beside a refused one"


def test_every_task_is_tried() -> None:
    assert {*zoo_index().values()} <= {*GIVEN} <= {*tasks()}
    assert len(GIVEN) == 12


def test_the_gallery_is_searched_and_leads_to_a_model(gallery: str, visit: Callable[..., Any]) -> None:
    page = visit(gallery)
    cards = page.locator(".models a")
    cards.first.wait_for()
    assert cards.count() == len(zoo_index())
    assert not page.get_by_text("Home", exact=True).is_visible()
    page.get_by_label("Search").fill("nuclear receptors")
    page.wait_for_function("document.querySelectorAll('.models a').length === 1")
    cards.first.click()
    page.wait_for_url("**/tox21-toxicity")
    page.get_by_role("button", name="aspirin", exact=True).click()
    assert "CC(=O)Oc1ccccc1C(=O)O" in answered(page).inner_text()
    page.get_by_role("link", name="All models").click()
    cards.first.wait_for()
    page.get_by_label("Search").fill("zebrafish")
    page.get_by_text("No model has all of these words").wait_for()


def test_what_was_uploaded_goes_when_the_visitor_does(gallery: str, visit: Callable[..., Any], uploads: Path) -> None:
    page = visit(f"{gallery}antimicrobial-peptides")
    page.get_by_role("button", name="Predict", exact=True).wait_for()
    give(page, b">secret\nGIGKFLHSAKK\n", "secret-of-a-patient.fasta")
    page.get_by_role("button", name="Predict", exact=True).click()
    answered(page)
    assert [*uploads.rglob("secret-of-a-patient.fasta")]
    page.goto("about:blank")
    for _ in range(PATIENCE // 500):
        if not [*uploads.rglob("secret-of-a-patient.fasta")]:
            return
        page.wait_for_timeout(500)
    raise AssertionError("the upload is still on the server")


def test_the_keyboard_suffices(gallery: str, visit: Callable[..., Any]) -> None:
    page = visit(f"{gallery}tox21-toxicity")
    page.get_by_role("button", name="Predict", exact=True).wait_for()

    def tab_to(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).innerText.trim()") == name:
                return
        raise AssertionError(f"the keyboard does not reach {name}")

    tab_to("SMILES of one molecule")
    page.keyboard.type("CCO")
    tab_to("Predict")
    page.keyboard.press("Enter")
    said = answered(page)
    assert said.locator("h2").inner_text().startswith("CCO")
    assert said.get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_on_a_telephone_and_can_be_read(gallery: str, visit: Callable[..., Any], scheme: str) -> None:
    page = visit(gallery, viewport=TELEPHONE, color_scheme=scheme)
    page.locator(".models a").first.wait_for()
    assert page.evaluate(WIDE) == 0
    assert page.evaluate(CONTRAST) == []
    for model in ("tox21-toxicity", "protein-aligner", "icu-mortality", "hippocampus-unet3d"):
        page.goto(f"{gallery}{model}")
        page.locator("button.gallery-item").first.click()
        answered(page)
        assert page.evaluate(WIDE) == 0, model
        assert page.evaluate(CONTRAST) == [], model


def test_inputs_and_pictures_have_names(gallery: str, visit: Callable[..., Any]) -> None:
    for model in ("promoter-gru", "patient-groups", "blood-cells-yolo"):
        page = visit(f"{gallery}{model}")
        page.locator("button.gallery-item").first.wait_for()
        for button in page.locator(".block > .upload-container").all():
            assert (button.get_attribute("aria-label") or "").endswith(": choose or drop files")
        for field in page.locator("textarea, input[type=number]").all():
            assert field.evaluate("e => e.labels?.[0]?.innerText || e.getAttribute('aria-label')")
        page.locator("button.gallery-item").first.click()
        answered(page)
        for picture in page.locator(".image-container img").all():
            assert len(picture.get_attribute("alt") or "") > 20
