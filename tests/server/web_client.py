"""A browser without a screen or scripts: it keeps cookies, follows redirects, and sends the forms that it finds."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import httpx
from lfs_client import principal

from medhub.server import accounts, commits, repositories
from medhub.server.storage.git import Put
from medhub.server.tables import Repo

PASSWORD = "correct horse battery"
CARD = """\
---
license: apache-2.0
library_name: medhub
medhub: {{task: {task}, modality: {modality}}}
model-index:
- name: {name}
  results:
  - task: {{type: classification}}
    dataset: {{name: Tox21, type: tox21, split: test}}
    metrics: [{{type: auroc, value: 0.8517}}, {{type: brier_score, value: 0.057}}]
---
# {name}

Tells which toxicities to expect.

## Intended use

Research on compounds. Not a medical device.
"""


class Element(dict[str, str]):
    """An element of a page: its attributes, its `tag`, and the `inside` of it as text."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        super().__init__(attributes)
        self.tag = tag
        self.inside = ""
        self.around: list[Element] = []

    def within(self, tag: str) -> Element | None:
        """Return the innermost element of this tag around it."""
        return next((one for one in reversed(self.around) if one.tag == tag), None)


class Page(HTMLParser):
    """A page that was loaded: its address, status, headers and elements."""

    VOID = frozenset({"input", "img", "link", "meta", "br", "hr", "wbr", "path", "rect", "circle"})

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
        self.status, self.text = response.status_code, response.text
        self.path = response.url.raw_path.decode()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        element.around = list(self._open)
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.inside += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of this tag that have these attributes."""
        return [one for one in self.elements if one.tag == tag and attributes.items() <= one.items()]

    def form(self, action: str) -> dict[str, str]:
        """Return what the form with this action would send as it stands."""
        (form,) = [one for one in self.all("form") if one.get("action", "").endswith(action)][:1]
        inputs = [one for one in self.elements if one.within("form") is form and one.tag == "input" and "name" in one]
        sent = [one for one in inputs if one.get("type") != "radio" or "checked" in one]
        return {"action": form["action"]} | {one["name"]: one.get("value", "") for one in sent}

    @property
    def alert(self) -> str:
        """What the page complains of."""
        return " ".join(one.inside.strip() for one in self.elements if one.get("role") == "alert")

    @property
    def status_line(self) -> str:
        """What the page says was done."""
        return " ".join(one.inside.strip() for one in self.elements if one.get("role") == "status")


class Browser:
    """One person's browser, or a stranger's."""

    def __init__(self, served: Any, who: str | None = None) -> None:
        headers = {"Accept": "text/html,*/*"}
        self.client = httpx.Client(
            base_url=served.url, headers=headers, timeout=60, trust_env=False, follow_redirects=True
        )
        if who:
            page = self.submit("/login", "/login", name=who, password=PASSWORD)
            assert page.status == 200, page.text

    def close(self) -> None:
        """Close its connections."""
        self.client.close()

    def get(self, path: str) -> Page:
        """Load a page, through redirects."""
        return Page(self.client.get(path))

    def submit(self, path: str, action: str, **fields: str) -> Page:
        """Load a page, fill in the form whose action ends so, send it, and load what comes of it."""
        form = self.get(path).form(action)
        return Page(self.client.post(form.pop("action"), data={**form, **fields}))


def give_passwords(served: Any) -> None:
    """Let everybody sign in with PASSWORD."""
    with served.hub.database.write() as session:
        for name in served.tokens:
            accounts.set_password(accounts.get_account(session, name), PASSWORD)


def make(served: Any, full_name: str, files: dict[str, bytes] | None = None, **more: Any) -> Repo:
    """Make a repository with these files, public and alice's unless said otherwise, and return its row."""
    namespace, name = full_name.split("/")
    who = more.pop("who", "alice")
    given = {"kind": "model", "visibility": "public", **more}
    repo = repositories.create(served.hub, principal(served, who), namespace=namespace, name=name, **given)
    return put(served, repo, files, who=who) if files else repo


def put(served: Any, repo: Repo, files: dict[str, bytes], *, who: str = "alice", revision: str = "main") -> Repo:
    """Commit files; return the repository's row as it is then."""
    operations = [Put(path, data) for path, data in files.items()]
    commits.commit(served.hub, principal(served, who), repo, revision, operations, summary=f"Put {', '.join(files)}")
    with served.hub.database.read() as session:
        return session.get_one(Repo, repo.id)


def card(name: str, *, task: str = "chem/toxicity", modality: str = "molecule") -> bytes:
    """Return a model's README."""
    return CARD.format(name=name, task=task, modality=modality).encode()
