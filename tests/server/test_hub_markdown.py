"""Cards and comments become HTML that runs nothing, asks nobody, and stays within its frame."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medhub.server.tables import Repo
from medhub.server.web.markdown import LIMIT, render

REPO = Repo(kind="dataset", namespace="alice", name="scans")
INSIDE = re.compile(r"(?:/(?!/)[A-Za-z0-9_.~%/-]*)?")
PICTURE = re.compile(r"(?:/datasets/alice/scans/resolve/main/(?!\.\.)[A-Za-z0-9_.~%/-]+)?")
ACTIVE = frozenset(
    ("script", "style", "iframe", "object", "embed", "form", "input", "button", "link", "meta", "base", "svg", "math",
     "template", "textarea", "video", "audio", "source", "picture", "select")
)  # fmt: skip
ATTRIBUTES = {
    "href",
    "src",
    "alt",
    "title",
    "width",
    "height",
    "rel",
    "align",
    "colspan",
    "rowspan",
    "scope",
    "start",
    "open",
}


class Reader(HTMLParser):
    """Collects what a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def assert_harmless(html: str) -> None:
    for tag, attributes in Reader(html).tags:
        assert tag not in ACTIVE, html
        assert set(attributes) <= ATTRIBUTES | ({"class"} if tag == "div" else set()), html
        assert attributes.get("class", "scroll") == "scroll", html
        assert PICTURE.fullmatch(attributes.get("src") or ""), html
        address = attributes.get("href") or ""
        assert INSIDE.fullmatch(address) or re.match(r"(?:https?://|mailto:)", address, re.IGNORECASE), html


HOSTILE = [
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<p onclick=alert(1) style='position:fixed;inset:0' id=content class=notice>x</p>",
    "<style>body { display: none }</style><link rel=stylesheet href=https://evil.example/x.css>",
    "<form action=/logout method=post><input name=form_key><button>Win</button></form>",
    "<iframe src=/settings/tokens></iframe><object data=x></object><embed src=x>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href=https://evil.example>",
    "[x](javascript:alert(1)) <a href='JaVaScRiPt:alert(1)'>y</a> <a href=' java\tscript:alert(1)'>z</a>",
    "[x](data:text/html;base64,PHNjcmlwdD4=) <a href='&#106;avascript:alert(1)'>y</a> [v](vbscript:x)",
    "<img src='data:image/png;base64,iVBORw0KGgo='> ![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "![pixel](https://tracker.example/p.png) <img src=//tracker.example/p.png> ![x](http://127.0.0.1/x.png)",
    "<img src=x onerror=alert(1) srcset='https://tracker.example/1x 1x' loading=eager>",
    "<picture><source srcset=https://tracker.example/a.png><img src=a.png></picture>",
    "<video src=https://tracker.example poster=https://tracker.example/p.png></video>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!-- <script>alert(1)</script> --><!--><img src=x onerror=alert(1)>-->",
    "[up](../../../settings/tokens) ![up](../../../etc/passwd) ![up](..%2f..%2fsecret.png) [w](\\\\evil.example\\x)",
    "[a](//[bad) ![b](//[bad) <a href='//evil.example'>c</a> <a href='/\\evil.example'>d</a> ![r](/logout)",
    "<a href='https://evil.example' target=_top ping=https://tracker.example>x</a>",
    "[x]: javascript:alert(1)\n\n[x] ![x][x]",
    "a\0b <b\0>c</b> [\0](\0) \ufeff \u202e",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str) -> None:
    assert_harmless(render(text, repo=REPO))
    assert_harmless(render(text))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([*HOSTILE, "<", ">", "`", "\n\n", "| a |\n|-|\n", "**", "[", "](", ")", "<div>", '"', "&"])
    )
)
def test_no_mixture_of_hostile_texts_comes_through(parts: list[str]) -> None:
    assert_harmless(render("".join(parts), repo=REPO))


def test_pictures_come_from_the_repository_alone() -> None:
    html = render(
        "![a b](img/a%20b.png) ![c](./x/../c.png) ![out](../c.png) ![abs](/alice/x/resolve/main/c.png)", repo=REPO
    )
    assert [tag["src"] for name, tag in Reader(html).tags if name == "img" and "src" in tag] == [
        "/datasets/alice/scans/resolve/main/img/a%20b.png",
        "/datasets/alice/scans/resolve/main/c.png",
    ]
    assert "src" not in render("![a](a.png)")  # without a repository there is nowhere to take it from


def test_relative_links_lead_to_the_files_page_at_the_revision() -> None:
    html = render("[l](LICENSE) [d](/alice/other) [h](https://pubmed.example/1)", repo=REPO, revision="refs/pr/1")
    assert [tag["href"] for name, tag in Reader(html).tags if name == "a"] == [
        "/datasets/alice/scans/blob/refs%2Fpr%2F1/LICENSE",
        "/alice/other",
        "https://pubmed.example/1",
    ]
    assert html.count('rel="nofollow noopener noreferrer"') == 3


def test_tables_code_and_headings() -> None:
    html = render("# One\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nx < 1\n```\n\n~~old~~")
    assert "<h1" not in html  # the page has its own first heading
    for piece in ("<h2>One</h2>", '<div class="scroll"><table>', "<td>1</td>", "<code>x &lt; 1\n</code>", "<s>old</s>"):
        assert piece in html


@pytest.mark.parametrize("piece", ["<div>", "> ", "![", "<ul><li>"])
def test_text_made_to_be_slow_or_deep_is_bounded(piece: str) -> None:
    began = time.process_time()
    html = render(piece * 200_000)
    assert time.process_time() - began < 10
    assert len(html) < 30 * LIMIT
