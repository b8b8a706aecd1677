"""The pages for people: what they show, to whom, and what their forms do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import lfs_client
import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from web_client import PASSWORD, Browser, Page, card, give_passwords, make, put

from medhub.server import accounts, devices, discussions, repositories
from medhub.server.hub import open_hub
from medhub.server.routes.dependencies import COOKIE
from medhub.server.serve import running
from medhub.server.settings import Settings
from medhub.server.tables import AuditRecord, Repo, Token, now
from medhub.server.web import catalogue, files, markdown, overview, pages
from medhub.server.web.diffs import split_diff
from medhub.server.web.sessions import local

RESEARCH = "For research only; not a medical device."
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@pytest.fixture(scope="module", autouse=True)
def passwords(served: Any) -> None:
    give_passwords(served)


@pytest.fixture(scope="module")
def carol(browse: Callable[..., Browser]) -> Browser:
    return browse("carol")


@pytest.fixture(scope="module")
def root(browse: Callable[..., Browser]) -> Browser:
    return browse("root")


@pytest.fixture(scope="module")
def stranger(browse: Callable[..., Browser]) -> Browser:
    return browse()


@pytest.fixture(scope="module")
def tox(served: Any) -> Repo:
    return make(
        served, "alice/tox", {"README.md": card("tox"), "config.json": b'{"a": 1}\n', "sub/x.bin": b"\0\1\2" * 9}
    )


# signing in and out


def test_signing_in_goes_on_to_where_one_wanted_to_go(served: Any, browse: Callable[..., Browser], tox: Repo) -> None:
    browser = browse()
    page = browser.get("/alice/tox/tree/main?x=1")
    assert page.path.startswith("/login?next=")
    assert page.form("/login")["next"] == "/alice/tox/tree/main?x=1"
    page = Page(browser.client.post("/login", data=page.form("/login") | {"name": "alice", "password": PASSWORD}))
    assert (page.status, page.path) == (200, "/alice/tox/tree/main?x=1")


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
     "evil.example", "/\n/evil.example", "http:evil.example", "///evil.example", " //evil.example", "", None],
)  # fmt: skip
def test_no_address_leads_away_from_the_hub(address: str | None) -> None:
    assert local(address) == "/"


def test_a_session_cookie_is_out_of_reach(served: Any, browse: Callable[..., Browser]) -> None:
    for scheme, secure in (("http", False), ("https", True)):
        browser = browse()
        form = browser.get("/login").form("/login") | {"name": "alice", "password": PASSWORD}
        answer = browser.client.post("/login", data=form, headers={"X-Forwarded-Proto": scheme}, follow_redirects=False)
        (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{COOKIE}=hf_")]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=604800" in cookie
        assert ("Secure" in cookie) == secure


def test_wrong_passwords_are_refused_and_then_held_up(served: Any, browse: Callable[..., Browser]) -> None:
    browser = browse()
    form = browser.get("/login").form("/login") | {"name": "nobody", "password": "wrong"}
    found = [Page(browser.client.post("/login", data=form)) for _ in range(11)]
    assert [page.status for page in found] == [401] * 10 + [429]
    assert found[0].alert == "the name or the password is wrong"
    assert found[0].form("/login")["name"] == "nobody"


def test_a_token_opens_a_session_that_ends_with_it(served: Any, browse: Callable[..., Browser]) -> None:
    with served.hub.database.write() as session:
        user = accounts.get_account(session, "bob")
        token, secret = accounts.create_token(session, user, "laptop", role="write", lifetime=timedelta(days=1))
    browser = browse()
    assert browser.submit("/login", "/login", name="", token=secret).path == "/"
    with served.hub.database.read() as session:
        opened = session.execute(select(Token).where(Token.parent_id == token.id)).scalar_one()
    assert opened.role == "session"
    assert opened.expires <= token.expires
    with served.hub.database.write() as session:
        session.execute(delete(Token).where(Token.id == token.id))
    assert browser.get("/").path == "/login"


def test_a_token_with_fewer_rights_opens_no_session(served: Any, browse: Callable[..., Browser]) -> None:
    page = browse().submit("/login", "/login", name="", token=served.tokens["carol"])
    assert page.status == 403
    assert "role write" in page.alert


def test_signing_out_ends_the_session_for_good(served: Any, browse: Callable[..., Browser]) -> None:
    browser = browse("alice")
    secret = browser.client.cookies[COOKIE]
    page = browser.submit("/settings/profile", "/logout")
    assert page.status_line == "You are signed out."
    assert COOKIE not in browser.client.cookies
    browser.client.cookies.set(COOKIE, secret)
    assert browser.get("/").path == "/login"


def test_an_expired_session_is_none(served: Any, browse: Callable[..., Browser]) -> None:
    browser = browse("alice")
    with served.hub.database.write() as session:
        ended = update(Token).where(Token.role == "session", Token.expires > now() + timedelta(days=6.99))
        session.execute(ended.where(Token.hash == accounts._hash(browser.client.cookies[COOKIE])).values(expires=now()))
    assert browser.get("/new").path == "/login?next=%2Fnew"


def test_an_access_token_is_no_session_cookie(served: Any, browse: Callable[..., Browser]) -> None:
    browser = browse()
    browser.client.cookies.set(COOKIE, served.tokens["alice"])
    assert browser.get("/").path == "/login"


# forms come from the Hub's own pages


def _post_paths() -> list[str]:
    routes = [route for topic in pages.TOPICS for route in topic.router.routes]
    paths = [route.path for route in routes if "POST" in route.methods]  # type: ignore[attr-defined]
    values = {"kind": "", "namespace": "alice", "name": "tox", "number": "1"}
    return [re.sub(r"\{(\w+):\w+\}", lambda match: values[match[1]], path) for path in paths]


@pytest.mark.parametrize("path", _post_paths())
def test_every_form_needs_the_key_of_its_session(
    served: Any, tox: Repo, alice: Browser, bob: Browser, stranger: Browser, path: str
) -> None:
    foreign = bob.get("/settings/profile").form("/logout")["form_key"]
    visit = stranger.get("/login").form("/login")["form_key"]
    other_purpose = served.hub.signer.sign("other", {"for": "x"}, seconds=60)
    for data in ({}, {"form_key": ""}, {"form_key": foreign}, {"form_key": visit}, {"form_key": other_purpose}):
        answer = alice.client.post(path, data=data, follow_redirects=False)
        assert answer.status_code == 403, (path, data)


def test_a_strangers_key_is_none_of_a_sessions(served: Any, browse: Callable[..., Browser], alice: Browser) -> None:
    """The id of a session's token is no secret; who visits under that name gets a key that is worth nothing there."""
    with served.hub.database.read() as session:
        secret = alice.client.cookies[COOKIE]
        token = session.execute(select(Token).where(Token.hash == accounts._hash(secret))).scalar_one()
    browser = browse()
    browser.client.cookies.set("medhub_visit", token.id)
    forged = browser.get("/login").form("/login")["form_key"]
    assert alice.client.post("/logout", data={"form_key": forged}).status_code == 403


def test_a_cookie_is_no_key_to_calls_that_change(served: Any, alice: Browser, tox: Repo) -> None:
    assert alice.client.get("/api/whoami-v2").json()["name"] == "alice"
    for method, path, body in (
        ("POST", "/api/repos/create", {"name": "forged"}),
        ("DELETE", "/api/repos/delete", {"name": "tox", "organization": "alice"}),
        ("PUT", "/api/models/alice/tox/settings", {"visibility": "private"}),
        ("POST", "/api/models/alice/tox/discussions", {"title": "forged", "description": ""}),
        ("POST", "/api/models/alice/tox/like", {}),
    ):
        assert alice.client.request(method, path, json=body).status_code == 401, path


def test_a_form_may_not_be_endless(alice: Browser) -> None:
    key = alice.get("/new").form("/new")["form_key"]
    assert alice.client.post("/new", data={"form_key": key, "name": "x" * 300_000}).status_code == 413


# what is private looks like what is missing


def test_private_looks_like_missing(served: Any, bob: Browser, stranger: Browser, alice: Browser) -> None:
    make(served, "alice/veiled", {"README.md": card("veiled")}, visibility="private")
    assert alice.get("/alice/veiled").status == 200
    for tail in ("", "/tree/main", "/blob/main/README.md", "/commits/main", "/discussions", "/discussions/1",
                 "/settings", "/discussions/new"):  # fmt: skip
        private, missing = (bob.get(f"/alice/{name}{tail}") for name in ("veiled", "absent"))
        assert private.status == missing.status == 404
        assert _without_key(private.text.replace("veiled", "absent")) == _without_key(missing.text)
        for name in ("veiled", "absent"):
            path = f"/alice/{name}{tail}"
            assert parse_qs(urlsplit(stranger.get(path).path).query) == {"next": [path]}
    for path in ("/", "/alice", "/models?search=veiled", "/models?task=chem/toxicity"):
        assert "alice/</span>veiled" not in bob.get(path).text


def test_an_open_hub_shows_strangers_what_is_public(tmp_path: Path) -> None:
    hub = open_hub(Settings(data=tmp_path / "hub", port=0, anonymous=True))
    try:
        with hub.database.write() as session:
            accounts.create_account(session, "alice")
            token, _ = accounts.create_token(session, accounts.get_account(session, "alice"), "t", role="write")
            principal = accounts.principal_of_token(session, token.id)
        for name, visibility in (("seen", "public"), ("veiled", "private")):
            repositories.create(hub, principal, kind="model", name=name, visibility=visibility)
        with running(hub) as url, httpx.Client(base_url=url, headers={"Accept": "text/html"}) as client:
            page = Page(client.get("/alice/seen"))
            assert page.status == 200
            assert not page.all("form", method="post")
            assert [client.get(f"/alice/{name}").status_code for name in ("veiled", "absent")] == [404, 404]
            assert "seen" in client.get("/").text
            assert "veiled" not in client.get("/").text
            assert client.get("/settings/tokens").headers["location"] == "/login?next=%2Fsettings%2Ftokens"
    finally:
        hub.database.close()


def _without_key(text: str) -> str:
    return re.sub(r'name="form_key" value="[^"]*"', "", text)


# lists


def test_the_front_page_lists_searches_and_filters(served: Any, alice: Browser, tox: Repo) -> None:
    make(served, "radiology/nodules", {"README.md": card("nodules", task="imaging/detection", modality="CT")})
    front = alice.get("/")
    assert {"alice/tox", "radiology/nodules"} <= set(_listed(front))
    areas = {one.inside.strip(): unescape(one["href"]) for one in front.all("a") if "area=" in one.get("href", "")}
    assert areas["Chemistry"] == "/models?area=chem"
    assert _listed(alice.get(areas["Imaging"])) == ["radiology/nodules"]
    assert _listed(alice.get("/models?task=chem/toxicity&license=apache-2.0&search=alice/TOX")) == ["alice/tox"]
    assert _listed(alice.get("/models?search=alice/tox&area=imaging")) == []
    page = alice.get("/models?area=chem&sort=likes")
    assert page.form("/models")["area"] == "chem"  # searching on stays within the filter
    (chosen,) = [one for one in page.all("a") if one.get("aria-current") == "true"]
    assert unescape(chosen["href"]) == "/models?sort=likes"


def test_lists_go_on_to_the_next_page(served: Any, alice: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        make(served, f"alice/many{number}", {"README.md": card("many")}, kind="dataset")
    monkeypatch.setattr(catalogue, "PAGE", 2)
    found, path = [], "/datasets?search=many"
    while path:
        page = alice.get(path)
        found += _listed(page)
        path = next((unescape(one["href"]) for one in page.all("a", rel="next")), "")
    assert sorted(found) == [f"alice/many{number}" for number in range(5)]


@pytest.mark.parametrize("query", ["sort=x", "cursor=x", "cursor=W10="])
def test_an_address_that_cannot_be_says_why(alice: Browser, query: str) -> None:
    page = alice.get(f"/models?{query}")
    assert page.status == 400
    assert page.alert


def _listed(page: Page) -> list[str]:
    return [one.inside.strip() for one in page.all("a") if one["href"].count("/") >= 2 and "/" in one.inside]


# a repository


def test_the_card_page_tells_what_to_know_before_loading(served: Any, alice: Browser, tox: Repo) -> None:
    page = alice.get("/alice/tox")
    assert page.text.count(RESEARCH) >= 2  # above the card, and at the foot
    assert [one.inside for one in page.all("pre")] == [
        f"export HF_ENDPOINT={served.url}",
        'import medhub\nmodel = medhub.from_pretrained("alice/tox")',
    ]
    assert [one.inside for one in page.all("caption")] == ["Tox21, test split"]
    cells = [one.inside for one in page.all("th", scope="row") + page.all("td")]
    assert cells == ["AUROC", "Brier score", "0.852", "0.057"]
    facts = dict(zip([e.inside for e in page.all("dt")], [e.inside for e in page.all("dd")], strict=True))
    assert facts["Licence"] == "apache-2.0"
    assert facts["Modality"] == "molecule"
    assert facts["Intended use"] == "Research on compounds. Not a medical device."
    assert "<h3>Intended use</h3>" in page.text
    assert page.text.count(">tox<") == 1  # the card's own title is left out


@pytest.mark.parametrize(
    ("kind", "files_", "line"),
    [
        ("model", {"README.md": b"---\nlibrary_name: transformers\n---\n"}, 'model = AutoModel.from_pretrained("{}")'),
        ("model", {"README.md": b"# bare\n"}, 'folder = snapshot_download("{}")'),
        ("dataset", {"README.md": b"# rows\n"}, 'data = load_dataset("{}")'),
        ("space", {}, 'folder = snapshot_download("{}", repo_type="space")'),
    ],
)
def test_how_to_load_what_medhub_did_not_make(
    served: Any, alice: Browser, kind: str, files_: dict[str, bytes], line: str
) -> None:
    name = f"alice/load-{kind}-{len(str(files_))}"
    repo = make(served, name, files_, kind=kind, sdk="gradio" if kind == "space" else None)
    page = alice.get(f"/{ {'model': '', 'dataset': 'datasets/', 'space': 'spaces/'}[kind] }{repo.full_name}")
    assert page.all("pre")[1].inside.splitlines()[1] == line.format(repo.full_name)


def test_a_hostile_card_stays_in_its_frame(served: Any, alice: Browser) -> None:
    evil = "'\"><script>alert(1)</script><img src=https://tracker.example/x>"
    text = f"""---
license: "{evil.replace('"', "")}"
tags: ["<b>tag</b>", "area:\\"><i>"]
medhub: {{task: "chem/x", modality: "<u>CT</u>"}}
model-index:
- {{name: x, results: [{{dataset: {{name: "<i>D</i>", split: 7}}, metrics: [{{name: "<s>M", value: "<a>1"}}]}}]}}
---
{evil}

<style>main {{ display: none }}</style>
<form action=/logout method=post><button>Win</button></form>
![x](https://tracker.example/p.png)
"""
    repo = make(served, "alice/hostile", {"README.md": text.encode(), "<img src=x onerror=a>.txt": b"<script>x"})
    discussions.open_discussion(
        served.hub, lfs_client.principal(served), repo, title=evil, description=f"{evil}<svg onload=a>"
    )
    for tail in ("", "/tree/main", "/blob/main/%3Cimg%20src%3Dx%20onerror%3Da%3E.txt", "/commits/main", "/discussions",
                 "/discussions/1", "/commit/main", "/settings"):  # fmt: skip
        page = alice.get(f"/alice/hostile{tail}")
        assert page.status == 200, tail
        assert [one["src"] for one in page.all("script")] == [one["src"] for one in alice.get("/").all("script")]
        assert not page.all("style") + page.all("svg")
        assert all(one.get("src", "/").startswith("/") for one in page.all("img"))
        assert not [name for one in page.elements for name in one if name.startswith("on") or name == "style"]
        assert [one["action"] for one in page.all("form")].count("/logout") == 1
    assert alice.get("/models?search=hostile").status == 200


def test_files_are_listed_and_looked_into(served: Any, alice: Browser, tox: Repo) -> None:
    page = alice.get("/alice/tox/tree/main")
    assert {one.inside for one in page.all("th", scope="row")} == {".gitattributes", "README.md", "config.json", "sub/"}
    assert "9 B" in page.text
    assert alice.get("/alice/tox/blob/main/config.json").all("pre")[0].inside == '{"a": 1}\n'
    assert "this is not text" in alice.get("/alice/tox/blob/main/sub/x.bin").text
    assert alice.get("/alice/tox/tree/main/sub").all("th", scope="row")[-1].inside == "x.bin"
    for tail in ("tree/main/none", "tree/main/config.json", "blob/main/sub", "blob/main/..%2Fx", "blob/main/a%00b",
                 "tree/none", "commits/none", "commit/none", "blob/main/"):  # fmt: skip
        assert alice.get(f"/alice/tox/{tail}").status == 404, tail


def test_a_file_may_have_any_name(served: Any, alice: Browser) -> None:
    make(served, "alice/names", {"a?b#c%20d &amp; 'e' +.txt": b"1", "é/ü.md": b"2", "..x": b"3"})
    listed = {one.inside: one["href"] for one in alice.get("/alice/names/tree/main").all("a") if "main/" in one["href"]}
    listed |= {one.inside: one["href"] for one in alice.get(listed.pop("é/")).all("a") if "/blob/" in one["href"]}
    for name, content in {"a?b#c%20d &amp; 'e' +.txt": "1", "ü.md": "2", "..x": "3"}.items():
        assert alice.get(listed[name]).all("pre")[0].inside == content


def test_a_long_text_is_cut_and_a_picture_is_shown(served: Any, alice: Browser) -> None:
    long = "ä".encode() * files.PREVIEW
    make(served, "alice/long", {"long.txt": b"x" + long, "p.png": b"\x89PNG", "bad.txt": b"\xff\xfe"})
    page = alice.get("/alice/long/blob/main/long.txt")
    assert "Cut off here" in page.text
    assert len(page.all("pre")[0].inside.encode()) == files.PREVIEW - 1  # the cut went through a character
    (picture,) = alice.get("/alice/long/blob/main/p.png").all("img", alt="p.png")
    assert picture["src"] == "/alice/long/resolve/main/p.png"
    assert "this is not text" in alice.get("/alice/long/blob/main/bad.txt").text


def test_a_large_file_is_looked_into_where_the_repository_has_it(served: Any, alice: Browser, bob: Browser) -> None:
    data = b"id,label\n" * 1000
    repo = make(served, "alice/large", kind="dataset")
    with served.client("alice") as client:
        lfs_client.send(client, "datasets/alice/large", data)
    lfs_client.commit(served, repo, {"rows.csv": data}, large=True)
    page = alice.get("/datasets/alice/large/blob/main/rows.csv")
    assert page.all("pre")[0].inside.encode() == data
    assert lfs_client.sha256(data) in page.text
    thief = make(served, "bob/thief", who="bob", kind="dataset")
    lfs_client.commit(served, thief, {"rows.csv": data}, large=True)  # names what is not the repository's
    assert "this is not text" in bob.get("/datasets/bob/thief/blob/main/rows.csv").text


def test_history_and_what_a_commit_changed(served: Any, alice: Browser) -> None:
    repo = make(served, "alice/history", {"a.txt": b"one\n"})
    put(served, repo, {"a.txt": b"two <b>\n"})
    page = alice.get("/alice/history/commits/main")
    titles = [one.inside for one in page.all("a") if re.fullmatch(r"/alice/history/commit/[0-9a-f]{40}", one["href"])]
    assert titles == ["Put a.txt", "Put a.txt", "initial commit"]
    (changed, _, first) = [one["href"] for one in page.all("a") if "/commit/" in one["href"]]
    lines = [(one["class"], one.inside.strip("\n")) for one in alice.get(changed).all("span") if "class" in one]
    assert [line for line in lines if line[0] in {"added", "removed"}] == [("removed", "-one"), ("added", "+two <b>")]
    assert ".gitattributes" in alice.get(first).text


def test_a_renamed_repository_is_still_found(served: Any, alice: Browser) -> None:
    make(served, "alice/before", {"a.txt": b"x"})
    page = alice.submit("/alice/before/settings", "/settings/rename", name="after")
    assert page.path == "/alice/after/settings?notice=renamed"
    assert page.status_line.startswith("Renamed.")
    assert alice.get("/alice/before/blob/main/a.txt?q=1").path == "/alice/after/blob/main/a.txt?q=1"


def test_reading_pages_is_on_record(served: Any, bob: Browser, tox: Repo) -> None:
    for tail in ("tree/main", "blob/main/config.json", "commit/main"):
        bob.get(f"/alice/tox/{tail}")
    with served.hub.database.read() as session:
        mine = select(AuditRecord).where(AuditRecord.actor == "bob", AuditRecord.repo == "model alice/tox")
        found = session.execute(mine.order_by(AuditRecord.number)).scalars().all()
    assert [(line.action, line.path) for line in found[-3:]] == [
        ("tree.read", ""), ("file.read", "config.json"), ("commit.read", ""),
    ]  # fmt: skip
    assert all(re.fullmatch("[0-9a-f]{40}", line.commit) and line.address == "127.0.0.1" for line in found[-3:])


def test_likes(served: Any, bob: Browser, tox: Repo) -> None:
    page = bob.submit("/alice/tox", "/like")
    assert page.all("button", **{"aria-pressed": "true"})[0].inside == "Liked 1"
    assert bob.submit("/alice/tox", "/like").all("button", **{"aria-pressed": "false"})[0].inside == "Like 0"


# making, settings, access


def test_making_a_repository(alice: Browser, bob: Browser) -> None:
    page = alice.submit("/new", "/new", kind="space", namespace="radiology", name="fresh", sdk="gradio")
    assert (page.status, page.path) == (200, "/spaces/radiology/fresh")
    assert "Private" in page.text
    page = alice.submit("/new", "/new", kind="model", namespace="alice", name="a--b")
    assert page.status == 400
    assert page.form("/new")["name"] == "a--b"
    page = bob.submit("/new", "/new", kind="model", namespace="radiology", name="x")
    assert page.status == 403


def test_settings_are_for_admins(served: Any, bob: Browser, root: Browser) -> None:
    make(served, "radiology/set", visibility="private")
    assert bob.get("/radiology/set").status == 200
    assert bob.get("/radiology/set/settings").status == 403
    page = root.submit("/radiology/set/settings", "/settings/access", visibility="public", gated="auto")
    assert page.status_line == "Saved."
    with served.hub.database.read() as session:
        repo = session.execute(select(Repo).where(Repo.path == "radiology/set")).scalar_one()
    assert (repo.visibility, repo.gated) == ("public", "auto")
    key = bob.get("/settings/profile").form("/logout")["form_key"]
    for form in ("access", "rename", "delete", "request", "grant"):
        assert bob.client.post(f"/radiology/set/settings/{form}", data={"form_key": key}).status_code == 403


def test_deleting_takes_the_typed_name(served: Any, alice: Browser) -> None:
    make(served, "alice/doomed")
    page = alice.submit("/alice/doomed/settings", "/settings/delete", confirm="doomed")
    assert page.status == 400
    assert "nothing was deleted" in page.alert
    page = alice.submit("/alice/doomed/settings", "/settings/delete", confirm="alice/doomed")
    assert page.status_line == "The repository is deleted."
    assert alice.get("/alice/doomed").status == 404


def test_asking_for_access_and_granting_it(served: Any, alice: Browser, carol: Browser, bob: Browser) -> None:
    repo = make(served, "alice/gated", {"README.md": card("gated"), "w.txt": b"weights"})
    repositories.update(served.hub, lfs_client.principal(served), repo, gated="manual")
    assert "The files are gated" in carol.get("/alice/gated").text
    assert carol.get("/alice/gated/blob/main/w.txt").status == 403
    page = carol.submit("/alice/gated", "/access", reason="<b>Validation</b>")
    assert page.status_line == "Your request was sent to the owners."
    assert "You asked for access" in page.text
    page = alice.get("/alice/gated/settings")
    assert "&lt;b&gt;Validation&lt;/b&gt;" in page.text
    alice.submit("/alice/gated/settings", "/settings/request", status="accepted")
    assert carol.get("/alice/gated/blob/main/w.txt").all("pre")[0].inside == "weights"
    assert "The files are gated" not in carol.get("/alice/gated").text
    alice.submit("/alice/gated/settings", "/settings/request", status="rejected", answer="no ethics vote")
    assert "no ethics vote" in carol.get("/alice/gated").text
    assert alice.submit("/alice/gated/settings", "/settings/grant", user="bob").status_line == "Saved."
    assert bob.get("/alice/gated/blob/main/w.txt").status == 200
    assert alice.submit("/alice/gated/settings", "/settings/grant", user="nobody").status == 404


# discussions


def test_a_discussion(served: Any, alice: Browser, bob: Browser) -> None:
    make(served, "alice/talk", {"a.txt": b"x"})
    page = bob.submit(
        "/alice/talk/discussions/new", "/discussions", title="On salts", description="What of **besylates**?"
    )
    assert page.path == "/alice/talk/discussions/1"
    assert "<strong>besylates</strong>" in page.text
    page = alice.submit("/alice/talk/discussions/1", "/comment", text="`RDKit` keeps the drug.")
    assert "<code>RDKit</code>" in page.text
    assert alice.submit("/alice/talk/discussions/1", "/comment", text=" ").status == 400
    page = alice.submit("/alice/talk/discussions/1", "/hide")
    assert "This comment was hidden." in page.text
    page = bob.submit("/alice/talk/discussions/1", "/status", status="closed")
    assert "Discussion, closed" in page.text
    assert "On salts" in bob.get("/alice/talk/discussions?status=closed").text
    assert "On salts" not in bob.get("/alice/talk/discussions").text
    page = bob.submit("/alice/talk/discussions/new", "/discussions", title="x", description="kept text")
    assert page.status == 400
    assert "kept text" in page.text
    assert bob.get("/alice/talk/discussions/99").status == 404
    assert bob.get("/alice/talk/discussions?status=x").status == 400


def test_a_pull_request_from_draft_to_merge(served: Any, alice: Browser, bob: Browser) -> None:
    repo = make(served, "alice/pull", {"a.txt": b"one\n"})
    page = alice.submit("/alice/pull/discussions/new", "/discussions", title="A change", kind="pull")
    assert "Pull request, draft" in page.text
    assert "Nothing yet" in page.text
    put(served, repo, {"a.txt": b"two\n"}, revision="refs/pr/1")
    page = alice.submit("/alice/pull/discussions/1", "/status", status="open")
    assert [one.inside.strip() for one in page.all("span", **{"class": "added"})] == ["+two"]
    assert not [one for one in bob.get("/alice/pull/discussions/1").all("form") if one["action"].endswith("/merge")]
    page = alice.submit("/alice/pull/discussions/1", "/merge")
    assert "Pull request, merged" in page.text
    assert alice.get("/alice/pull/blob/main/a.txt").all("pre")[0].inside == "two\n"


# accounts


def test_a_token_is_shown_once_and_works(served: Any, alice: Browser) -> None:
    page = alice.submit("/settings/tokens", "/settings/tokens", name="ci", role="read", days="30")
    (secret,) = set(re.findall(r"hf_[A-Za-z]{34}", page.text))
    assert page.response.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {secret}"}
    told = httpx.get(served.url + "/api/whoami-v2", headers=headers).json()
    assert (told["name"], told["auth"]["accessToken"]["role"]) == ("alice", "read")
    page = alice.get("/settings/tokens")
    assert secret not in page.text
    (button,) = page.all("button", **{"aria-label": "Revoke ci"})
    form = button.within("form")
    token = next(one["value"] for one in page.all("input", name="token") if one.within("form") is form)
    assert alice.submit("/settings/tokens", "/revoke", token=token).status_line == "The token is revoked."
    assert httpx.get(served.url + "/api/whoami-v2", headers=headers).status_code == 401
    assert alice.submit("/settings/tokens", "/revoke", token=token).status == 404


def test_nobody_revokes_anothers_token(served: Any, alice: Browser) -> None:
    with served.hub.database.read() as session:
        bobs = session.execute(select(Token).where(Token.user_id == accounts.get_account(session, "bob").id)).scalars()
        token = next(one for one in bobs if one.role == "write")
    assert alice.submit("/settings/tokens", "/revoke", token=token.id).status == 404


def test_a_fine_grained_token_names_what_one_sees(served: Any, alice: Browser, bob: Browser) -> None:
    make(served, "alice/scoped", visibility="private")
    asked = {"name": "narrow", "role": "fineGrained", "type0": "model", "permission0": "repo.content.read"}
    page = alice.submit("/settings/tokens", "/settings/tokens", entity0="alice/scoped", **asked)
    (secret,) = set(re.findall(r"hf_[A-Za-z]{34}", page.text))
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(served.url + "/api/models/alice/scoped", headers=headers).status_code == 200
    assert "repo.content.read on model alice/scoped" in alice.get("/settings/tokens").text
    found = [
        bob.submit("/settings/tokens", "/settings/tokens", entity0=name, **asked)
        for name in ("alice/scoped", "alice/no")
    ]
    assert [page.status for page in found] == [404, 404]
    assert found[0].alert.replace("scoped", "no") == found[1].alert
    assert bob.submit("/settings/tokens", "/settings/tokens", **asked).status == 400  # no scope at all


def test_a_password_is_changed_by_who_knows_it(served: Any, browse: Callable[..., Browser]) -> None:
    with served.hub.database.write() as session:
        accounts.set_password(accounts.create_account(session, "dora"), PASSWORD)
    here, elsewhere = browse("dora"), browse("dora")
    new = {"new": "another long one", "again": "another long one"}
    assert here.submit("/settings/profile", "/settings/password", present="wrong", **new).status == 401
    assert (
        here.submit("/settings/profile", "/settings/password", present=PASSWORD, new="short", again="short").status
        == 400
    )
    assert (
        here.submit("/settings/profile", "/settings/password", present=PASSWORD, new="x" * 12, again="y" * 12).status
        == 400
    )
    page = here.submit("/settings/profile", "/settings/password", present=PASSWORD, **new)
    assert page.status_line.startswith("The password is set")
    assert elsewhere.get("/new").path == "/login?next=%2Fnew"


def test_the_profile(served: Any, carol: Browser) -> None:
    page = carol.submit("/settings/profile", "/settings/profile", fullname="Carol  Okafor", email="c@hospital.example")
    assert page.form("/settings/profile")["fullname"] == "Carol Okafor"
    assert "Carol Okafor" in carol.get("/carol").text
    assert carol.submit("/settings/profile", "/settings/profile", fullname="a<b>", email="").status == 400


def test_admins_of_an_organisation_say_who_belongs_to_it(served: Any, alice: Browser, bob: Browser) -> None:
    page = alice.submit("/radiology", "/members", user="carol", role="write")
    assert (page.path, page.status_line) == ("/radiology?notice=saved", "Saved.")
    assert "carol" in bob.get("/radiology").text
    assert not bob.get("/radiology").all("select")
    key = bob.get("/settings/profile").form("/logout")["form_key"]
    forged = {"form_key": key, "user": "bob", "role": "admin"}
    assert bob.client.post("/organizations/radiology/members", data=forged).status_code == 403
    assert alice.submit("/radiology", "/members", user="alice", role="read").status == 409  # the last admin
    alice.submit("/radiology", "/members", user="carol", role="")


def test_a_terminal_is_let_in(served: Any, alice: Browser) -> None:
    with served.hub.database.write() as session:
        device, code = devices.start(session)
    page = alice.get(f"/device?code={code}")
    assert page.form("/device")["code"] == code
    page = alice.submit(f"/device?code={code}", "/device", answer="approve")
    assert page.status_line.startswith("Approved.")
    assert devices.redeem(served.hub, device).startswith("hf_")
    assert alice.submit("/device", "/device", code="BBBB-BBBB", answer="approve").status == 404
    with served.hub.database.write() as session:
        device, code = devices.start(session)
    alice.submit(f"/device?code={code}", "/device", answer="deny")
    with pytest.raises(devices.OAuthError, match="refused"):
        devices.redeem(served.hub, device)


# the audit log


def test_the_audit_log_is_for_admins_and_tells_the_chains_state(
    served: Any, alice: Browser, root: Browser, tox: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alice.get("/audit").status == 403
    alice.get("/alice/tox/tree/main")
    page = root.get("/audit?repo=alice/tox&actor=alice")
    rows = [[cell.inside for cell in page.all("td")][i : i + 8] for i in range(0, len(page.all("td")), 8)]
    assert rows
    assert {(row[2], row[5]) for row in rows} == {("alice", "model alice/tox")}
    assert "The chain is whole" in root.get("/audit?check=true").text
    with served.hub.database.write() as session:
        session.execute(update(AuditRecord).where(AuditRecord.number == 2).values(note="altered"))
    assert "audit line 2 is not what was written" in root.get("/audit?check=true").alert


# what all pages have in common


@pytest.fixture(scope="module")
def crawled(served: Any, browse: Callable[..., Browser], tox: Repo, root: Browser) -> list[Page]:
    """One page of each kind, and the page of what is missing."""
    discussions.open_discussion(served.hub, lfs_client.principal(served), tox, title="Question", description="?")
    tails = ("", "/tree/main", "/blob/main/README.md", "/commits/main", "/commit/main", "/discussions",
             "/discussions/1", "/discussions/new", "/settings")  # fmt: skip
    paths = [f"/alice/tox{tail}" for tail in tails]
    paths += ["/", "/models?area=chem", "/datasets", "/spaces", "/new", "/device", "/settings/tokens",
              "/settings/profile", "/radiology", "/alice", "/audit?check=true", "/alice/none"]  # fmt: skip
    return [*map(root.get, paths), browse().get("/login")]


def test_every_page_has_the_headers_that_keep_it_safe(crawled: list[Page]) -> None:
    for page in crawled:
        headers = page.response.headers
        assert headers["content-security-policy"] == POLICY, page.path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert RESEARCH in page.text


def test_every_page_can_be_used_without_eyes_or_mouse(crawled: list[Page]) -> None:
    for page in crawled:
        where = f"on {page.path}"
        labelled = {one.get("for") for one in page.all("label")}
        fields = [one for tag in ("input", "select", "textarea") for one in page.all(tag)]
        for one in fields:
            named = one.get("id") in labelled or one.within("label")
            assert one.get("type") == "hidden" or named, f"{one} {where}"
        identities = [one["id"] for one in page.elements if "id" in one]
        assert len(identities) == len(set(identities)), where
        assert all("alt" in one for one in page.all("img")), where
        assert len(page.all("h1")) == 1, where
        assert len(page.all("main")) == len(page.all("header", **{"class": "site"})) == 1, where
        assert all(one.get("aria-label") for one in page.all("nav")), where
        assert all("scope" in one for one in page.all("th")), where
        assert all(one.inside.strip() or one.get("aria-label") for one in page.all("button") + page.all("a")), where
        assert page.elements[0]["lang"] == "en"
        assert page.all("a")[0]["href"] == "#content", where
        assert not [one for one in page.elements if {"style", "onclick"} & set(one)], where


def test_links_and_pictures_on_pages_lead_somewhere(crawled: list[Page], root: Browser) -> None:
    found = {unescape(one.get("href") or one["src"]) for page in crawled for tag in ("a", "link", "img", "script")
             for one in page.all(tag) if one.get("href") or one.get("src")}  # fmt: skip
    for address in sorted(found):
        assert address.startswith(("/", "?", "#")), address
        if address.startswith("/"):
            assert root.client.get(address).status_code == 200, address


def test_static_files_are_kept_by_browsers_and_nothing_else_is_served(alice: Browser) -> None:
    sheet = alice.get("/").all("link", rel="stylesheet")[0]["href"]
    answer = alice.client.get(sheet)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    for name in ("pages.py", "..%2Fpages.py", "%2e%2e%2fpages.py", "hub.css%00"):
        assert alice.client.get(f"/static/{name}").status_code == 404


def test_refusals_are_pages_for_people_and_json_for_programs(served: Any, alice: Browser) -> None:
    page = alice.get("/alice/tox/resolve/main/none")
    assert page.status == 404
    assert page.all("h1")[0].inside == "Nothing here"
    assert alice.get("/no/such/page/at/all").all("h1")
    assert alice.client.post("/models").headers["content-type"].startswith("text/html")
    answer = alice.client.get("/api/models/alice/none")
    assert answer.json()["error"]
    answer = httpx.get(served.url + "/alice/none")
    assert (answer.status_code, "error" in answer.json()) == (401, True)


# whatever a card holds

KEYS = st.sampled_from(["name", "type", "value", "results", "metrics", "dataset", "split", "medhub", "license"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@bounds(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["model-index", "license", "license_name", "medhub", "library_name"]), VALUES),
    VALUES,
)
def test_whatever_a_card_holds_can_be_shown(data: dict[str, Any], value: Any) -> None:
    repo = Repo(kind="model", namespace="a", name="b", card=data, facts={"safetensors": value, "description": value})
    row = overview.Row.of(repo, ["area:chem"])
    shown = [row.summary, *(text for fact in row.facts for text in fact)]
    shown += [text for one in overview.metrics(data) for pair in one.metrics for text in pair]
    assert all(isinstance(text, str) and len(text) <= overview.LONGEST for text in shown)


def test_a_diff_is_taken_apart() -> None:
    text = (
        "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-- a\n+++ b\n same\n"
        "\\ No newline at end of file\ndiff --git a/big b/big\nLarge files differ\n"
    )
    one, two = split_diff(text)
    assert (one.path, one.added, one.removed) == ("x", 1, 1)
    assert [kind for kind, _ in one.lines] == ["place", "removed", "added", "same", "note"]
    assert two.lines == [("note", "Large files differ")]
    assert split_diff("") == []


def test_a_card_that_is_too_long_says_so(served: Any, alice: Browser) -> None:
    make(served, "alice/book", {"README.md": b"word " * (markdown.LIMIT // 4)})
    assert "The card is cut off here." in alice.get("/alice/book").text
