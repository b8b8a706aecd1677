"""The pages in a real browser: by keyboard and mouse, on a desk and on a telephone, with and without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web_client import PASSWORD, card, give_passwords, make

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install playwright")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
CONTRAST = """() => {
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
    const opaque = element => {
        for (; element; element = element.parentElement) {
            const color = parse(getComputedStyle(element).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || element.closest(".hidden, .skip, script")) continue;
        if (!element.checkVisibility()) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(opaque(element))].sort((x, y) => y - x);
        const ratio = (a + .05) / (b + .05);
        if (ratio < 4.5) found.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return found;
}"""
"""Collects the texts whose contrast with what is behind them is under 4.5 (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(served: Any, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page as somebody or a stranger; none may find fault with scripts, styles or addresses."""
    contexts, faults = [], []

    def open_page(who: str | None = None, **more: Any) -> Any:
        context = chromium.new_context(base_url=served.url, **{"viewport": DESK, **more})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        if who:
            sign_in(page, who)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="module", autouse=True)
def content(served: Any) -> None:
    give_passwords(served)
    long = "a-model-with-a-name-that-does-not-fit-on-a-telephone-however-one-holds-it-up-to-the-light"
    for name, task in (("tox", "chem/toxicity"), (long, "ehr/prediction")):
        wide = b"\n| " + b" | ".join(b"column%d" % i for i in range(30)) + b" |\n" + b"|-" * 30 + b"|\n"
        code = b"\n```\n" + b"x" * 300 + b"\n```\n" + b"y" * 300 + b"\n"
        make(served, f"alice/{name}", {"README.md": card(name, task=task) + wide + code, "long.txt": b"z" * 3000})
    make(served, "radiology/nodules", {"README.md": card("nodules", task="imaging/detection")})


def sign_in(page: Any, who: str) -> None:
    page.goto("/login")
    page.get_by_label("Name", exact=True).fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").first.click()
    page.wait_for_url(lambda url: "/login" not in url)


def test_from_signing_in_to_a_model_and_a_discussion_about_it(visit: Callable[..., Any]) -> None:
    page = visit()
    page.goto("/alice/tox")
    page.get_by_label("Name", exact=True).fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/alice/tox")
    page.get_by_role("link", name="Models", exact=True).first.click()
    page.get_by_label("Search in names and cards").fill("alice/tox")
    page.get_by_role("button", name="Search").click()
    assert page.locator("article h2").all_inner_texts() == ["alice/tox"]
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("navigation", name="Filters").get_by_role("link", name="Imaging", exact=True).click()
    assert page.locator("article h2").all_inner_texts() == ["radiology/nodules"]
    page.goto("/")
    page.get_by_role("link", name="alice/tox").click()
    assert page.get_by_text("For research only; not a medical device.").first.is_visible()
    page.get_by_role("link", name="Discussions").click()
    page.get_by_role("link", name="New discussion").click()
    page.get_by_label("Title").fill("How does it do on salts?")
    page.get_by_label("Text").fill("What of **besylates**?")
    page.get_by_role("button", name="Open", exact=True).click()
    assert page.locator("article strong").last.inner_text() == "besylates"


def test_a_token_is_made_and_the_fields_follow_its_kind(visit: Callable[..., Any]) -> None:
    page = visit("alice")
    page.goto("/settings/tokens")
    assert not page.get_by_text("Only for", exact=True).is_visible()
    page.get_by_label("Fine-grained").check()
    assert page.get_by_text("Only for", exact=True).is_visible()
    page.get_by_label("Read", exact=False).first.check()
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Make the token").click()
    assert page.locator(".secret code").first.inner_text().startswith("hf_")
    page.get_by_role("button", name="Revoke laptop").click()
    assert page.get_by_role("status").inner_text() == "The token is revoked."


def test_access_is_asked_for_and_granted_without_scripts(visit: Callable[..., Any]) -> None:
    alice = visit("alice", java_script_enabled=False)
    alice.goto("/radiology/nodules/settings")
    alice.get_by_label("Reading the files").select_option("manual")
    alice.get_by_role("button", name="Save").click()
    carol = visit("carol", java_script_enabled=False, viewport=TELEPHONE)
    carol.goto("/radiology/nodules")
    carol.get_by_label("What you need the files for").fill("Validation")
    carol.get_by_role("button", name="Ask for access").click()
    assert carol.get_by_role("status").inner_text() == "Your request was sent to the owners."
    alice.goto("/radiology/nodules/settings")
    assert alice.get_by_text("Validation").is_visible()
    alice.get_by_role("button", name="Accept").click()
    carol.get_by_role("link", name="Files").click()
    carol.get_by_role("link", name="README.md").click()
    assert "Tells which toxicities" in carol.locator("pre").inner_text()
    carol.locator("header summary").click()
    carol.get_by_role("button", name="Sign out").click()
    assert carol.get_by_role("status").inner_text() == "You are signed out."


def test_code_is_copied(visit: Callable[..., Any], served: Any) -> None:
    page = visit("alice")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url)
    page.goto("/alice/tox")
    page.locator(".copyable").nth(1).hover()
    page.locator(".copy").nth(1).click()
    assert page.evaluate("navigator.clipboard.readText()") == (
        'import medhub\nmodel = medhub.from_pretrained("alice/tox")'
    )


def test_the_keyboard_suffices(visit: Callable[..., Any]) -> None:
    page = visit("alice")
    page.goto("/alice/tox")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.innerText.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert {"tox", "Files", "History"} <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_on_a_telephone_and_can_be_read(visit: Callable[..., Any], scheme: str) -> None:
    page = visit("root", viewport=TELEPHONE, color_scheme=scheme)
    page.goto("/models")
    (long,) = [link for link in page.locator("article h2 a").all() if "telephone" in link.inner_text()]
    name = long.get_attribute("href")
    tails = ["", "/tree/main", "/blob/main/long.txt", "/commits/main", "/commit/main", "/discussions/new", "/settings"]
    others = ["/", "/settings/tokens", "/settings/profile", "/new", "/device", "/radiology", "/audit?check=true"]
    for path in [*(f"{name}{tail}" for tail in tails), *others]:
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{path} is {wide} pixels too wide"
        assert page.evaluate(CONTRAST) == [], path


def test_a_model_is_tried(visit: Callable[..., Any], served: Any, untrained: Path) -> None:
    from medhub.registry import get

    make(served, "alice/tried", {path.name: path.read_bytes() for path in untrained.iterdir()})
    page = visit("bob")
    page.goto("/alice/tried")
    page.get_by_role("link", name="Try it").click()
    assert page.get_by_role("heading", name="The demo is starting").is_visible()
    page.locator("iframe").wait_for(timeout=240_000)
    demo = page.frame_locator("iframe")
    demo.get_by_role("button", name="Predict").first.wait_for(timeout=60_000)
    demo.get_by_role(
        "button", name=next(iter(get("chem/toxicity").module("demo").examples())), exact=True
    ).first.click()
    demo.get_by_text(re.compile(r"(halogen|nitro) \d+ %")).first.wait_for(timeout=60_000)
    frame = page.frames[1]
    assert frame.evaluate("window.origin") == "null"
    assert frame.evaluate("(() => { try { return parent.document.title } catch { return 'out of reach' } })()") == (
        "out of reach"
    )
    with page.expect_download() as download:
        demo.locator("a[download]").first.click()
    assert "." in download.value.suggested_filename


def test_a_demo_without_scripts_says_what_to_do(visit: Callable[..., Any], served: Any, untrained: Path) -> None:
    page = visit("bob", java_script_enabled=False, viewport=TELEPHONE)
    make(served, "alice/plain", {path.name: path.read_bytes() for path in untrained.iterdir()})
    page.goto("/alice/plain/try")
    assert page.get_by_role("status").is_visible()
    page.get_by_role("alert").wait_for(timeout=240_000)
    assert "medhub demo alice/plain" in page.get_by_role("alert").inner_text()
