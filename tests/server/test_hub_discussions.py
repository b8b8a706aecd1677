"""Discussions and pull requests by the unmodified client: all that it can do, who may, what must not happen."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from sqlalchemy import delete, func, select, update

from medhub.server import accounts, audit, discussions, events
from medhub.server.access import Principal
from medhub.server.errors import Conflict, Forbidden
from medhub.server.storage.git import Author, Delete, Put
from medhub.server.tables import AccessRequest, Account, Discussion, DiscussionEvent, Repo

AUTHOR = Author("alice", "alice@hospital.example")


@pytest.fixture(scope="module")
def model(served) -> str:
    """A public model of alice's that all tests share which need no files of their own."""
    return make(served, "alice/shared")


def make(served, name: str, *, visibility: str = "public", **files: bytes) -> str:
    served.api(name.split("/")[0]).create_repo(name, visibility=visibility)
    put(served, name, "refs/heads/main", **files)
    return name


def repo_of(served, name: str) -> Repo:
    with served.hub.database.read() as session:
        return session.execute(select(Repo).where(Repo.path == name.lower())).scalar_one()


def principal(served, who: str) -> Principal:
    with served.hub.database.read() as session:
        return accounts.authenticate(session, served.tokens[who])


def put(served, name: str, ref: str, **files: bytes | None) -> str:
    """Commit files, or delete those that are None, as a push would; "_" stands for "." in names."""
    repo = repo_of(served, name)
    paths = {path.replace("_", "."): data for path, data in files.items()}
    changes = [Delete(path) if data is None else Put(path, data) for path, data in paths.items()]
    sha = served.hub.git.open(repo.id).commit(ref, changes, parent=None, author=AUTHOR, message=f"put {sorted(paths)}")
    with served.hub.database.write() as session:
        discussions.note_commit(session, repo.id, ref, sha, f"put {sorted(paths)}", principal(served, "alice"))
    return sha


def read(served, name: str, ref: str, path: str) -> bytes | None:
    git = served.hub.git.open(repo_of(served, name).id)
    entry = git.entry(git.head(ref), path)
    return git.read(entry.oid) if entry else None


def status_of(call: Any, *arguments: Any, **more: Any) -> int:
    """Return the status with which the Hub refuses a call of the client."""
    with pytest.raises(HfHubHTTPError) as refusal:
        call(*arguments, **more)
    return refusal.value.response.status_code


def test_a_discussion_from_its_beginning_to_its_end(served, model: str) -> None:
    alice, bob = served.api("alice"), served.api("bob")
    opened = bob.create_discussion(model, title="  Which scanner?  ", description="Siemens or **GE**?")
    assert (opened.title, opened.status, opened.author, opened.is_pull_request) == (
        "Which scanner?",
        "open",
        "bob",
        False,
    )
    assert opened.url == f"{served.url}/alice/shared/discussions/{opened.num}"
    answer = alice.comment_discussion(model, opened.num, comment="Both. <script>alert(1)</script>")
    assert (answer.author, answer.content) == ("alice", "Both. <script>alert(1)</script>")
    assert "<script" not in answer.rendered
    assert "Both." in answer.rendered
    edited = alice.edit_discussion_comment(model, opened.num, comment_id=answer.id, new_content="Both, and Philips.")
    assert edited.edited
    assert edited.content == "Both, and Philips."
    assert edited.last_edited_by == "alice"
    assert [earlier["raw"] for earlier in edited.edit_history] == ["Both. <script>alert(1)</script>"]
    renamed = bob.rename_discussion(model, opened.num, new_title="Scanners")
    assert (renamed.old_title, renamed.new_title) == ("Which scanner?", "Scanners")
    closed = bob.change_discussion_status(model, opened.num, new_status="closed", comment="Thanks!")
    assert closed.new_status == "closed"
    found = bob.get_discussion_details(model, opened.num)
    kinds = ["comment", "comment", "title-change", "comment", "status-change"]
    assert [event.type for event in found.events] == kinds
    assert found.status == "closed"
    assert found.title == "Scanners"
    assert found.events[0].content == "Siemens or **GE**?"
    assert "<strong>GE</strong>" in found.events[0].rendered
    assert found.diff is None
    assert found.target_branch is None
    alice.change_discussion_status(model, opened.num, new_status="open")
    assert bob.get_discussion_details(model, opened.num).status == "open"


def test_a_hidden_comment_is_gone_from_the_database_too(served, model: str) -> None:
    bob = served.api("bob")
    number = bob.create_discussion(model, title="Oops", description="nothing").num
    slip = bob.comment_discussion(model, number, comment="patient Erika Mustermann, 1964")
    bob.edit_discussion_comment(model, number, comment_id=slip.id, new_content="patient E. Mustermann")
    with pytest.warns(UserWarning, match="irreversible"):
        hidden = served.api("alice").hide_discussion_comment(model, number, comment_id=slip.id)
    assert hidden.hidden
    assert hidden.content == ""
    assert hidden.edit_history == []
    with served.hub.database.read() as session:
        kept = session.execute(select(DiscussionEvent).where(DiscussionEvent.id == slip.id)).scalar_one()
        assert "Mustermann" not in str(kept.data)
        assert not [line for line in audit.lines(session) if "Mustermann" in str(line)]
    assert status_of(bob.edit_discussion_comment, model, number, comment_id=slip.id, new_content="again") == 409


def test_pages_and_filters_agree_with_a_count_by_hand(served) -> None:
    name, rng = make(served, "alice/many"), random.Random(3)
    repo, expected = repo_of(served, name), []
    with served.hub.database.write() as session:
        people = {who: accounts.get_account(session, who).id for who in ("alice", "bob")}
        for number in range(1, 3 * discussions.PAGE):
            pull = rng.random() < 0.5
            status = rng.choice(["open", "closed", "merged", "draft"] if pull else ["open", "closed"])
            author = rng.choice(list(people))
            session.add(
                Discussion(repo_id=repo.id, number=number, title=f"title {number}", status=status, pull_request=pull,
                           author_id=people[author], author=author, base="refs/heads/main" if pull else None)
            )  # fmt: skip
            expected.append((number, pull, status, author))
    shown = {"open": {"open", "draft"}, "closed": {"closed", "merged"}}
    for type_ in (None, "all", "discussion", "pull_request"):
        for status_ in (None, "all", "open", "closed"):
            for author_ in (None, "alice", "bob", "nobody"):
                found = served.api("bob").get_repo_discussions(
                    name, discussion_type=type_, discussion_status=status_, author=author_
                )
                wanted = [
                    number
                    for number, pull, status, author in expected
                    if type_ in (None, "all", {True: "pull_request", False: "discussion"}[pull])
                    and (status_ in (None, "all") or status in shown[status_])
                    and author_ in (None, author)
                ]
                assert [one.num for one in found] == wanted[::-1], (type_, status_, author_)


def test_a_pull_request_is_a_draft_then_open_then_merged(served) -> None:
    name = make(served, "alice/pulled", a_txt=b"one\n")
    alice, bob = served.api("alice"), served.api("bob")
    number = bob.create_pull_request(name, title="Better numbers").num
    ref = f"refs/pr/{number}"
    draft = bob.get_discussion_details(name, number)
    assert (draft.status, draft.git_reference, draft.target_branch) == ("draft", ref, "refs/heads/main")
    assert (draft.conflicting_files, draft.diff, draft.merge_commit_oid) == ([], "", None)
    sha = put(served, name, ref, a_txt=b"two\n", b_txt=b"new\n")
    assert status_of(alice.merge_pull_request, name, number) == 403
    bob.change_discussion_status(name, number, new_status="open")
    put(served, name, "refs/heads/main", c_txt=b"meanwhile\n")
    opened = bob.get_discussion_details(name, number)
    assert "-one" in opened.diff
    assert "+two" in opened.diff
    assert "meanwhile" not in opened.diff
    assert [(event.oid, event.summary) for event in opened.events if event.type == "commit"] == [
        (sha, "put ['a.txt', 'b.txt']")
    ]
    assert status_of(bob.merge_pull_request, name, number) == 403
    alice.merge_pull_request(name, number, comment="Well done")
    merged = bob.get_discussion_details(name, number)
    assert merged.status == "merged"
    assert merged.diff == opened.diff
    assert [event.type for event in merged.events[-2:]] == ["comment", "status-change"]
    assert merged.events[-1].new_status == "merged"
    assert merged.events[-1].author == "alice"
    git = served.hub.git.open(repo_of(served, name).id)
    assert git.head("refs/heads/main") == merged.merge_commit_oid
    landed = git.get_commit(merged.merge_commit_oid)
    assert (landed.title, landed.author) == (f"Better numbers (#{number})", "alice")
    assert sha in landed.parents
    assert [read(served, name, "refs/heads/main", path) for path in ("a.txt", "b.txt", "c.txt")] == [
        b"two\n", b"new\n", b"meanwhile\n",
    ]  # fmt: skip
    with served.hub.database.read() as session:
        lines = [line for line in audit.lines(session) if line["repo"] == f"model {name}"]
        assert session.get_one(Repo, repo_of(served, name).id).indexed == merged.merge_commit_oid
    actions = [line["action"] for line in lines if line["action"].startswith(("pull.", "discussion."))]
    assert actions == ["pull.open", "discussion.open", "pull.merge"]
    assert [line["commit"] for line in lines if line["action"] == "pull.merge"] == [merged.merge_commit_oid]
    assert status_of(alice.merge_pull_request, name, number) == 409
    assert status_of(bob.change_discussion_status, name, number, new_status="closed") == 409


def test_conflicts_are_listed_and_change_nothing(served) -> None:
    name = make(served, "alice/conflicting", a_txt=b"one\n", b_txt=b"one\n", c_txt=b"one\n")
    alice = served.api("alice")
    number = alice.create_pull_request(name, title="Mine").num
    alice.change_discussion_status(name, number, new_status="open")
    put(served, name, f"refs/pr/{number}", a_txt=b"two\n", b_txt=b"same\n", c_txt=None)
    head = put(served, name, "refs/heads/main", a_txt=b"three\n", b_txt=b"same\n", c_txt=b"four\n")
    assert alice.get_discussion_details(name, number).conflicting_files == ["a.txt", "c.txt"]
    with pytest.raises(HfHubHTTPError) as refusal:
        alice.merge_pull_request(name, number)
    assert refusal.value.response.status_code == 409
    assert refusal.value.response.json()["files"] == ["a.txt", "c.txt"]
    assert served.hub.git.open(repo_of(served, name).id).head("refs/heads/main") == head
    found = alice.get_discussion_details(name, number)
    assert found.status == "open"
    assert found.merge_commit_oid is None
    assert not [event for event in found.events if getattr(event, "new_status", "") == "merged"]


def test_upload_with_a_pull_request(served) -> None:
    """The two ways in which the client makes one while it uploads."""
    name = make(served, "alice/uploaded", a_txt=b"one\n")
    alice, bob = served.api("alice"), served.api("bob")
    done = bob.upload_file(
        repo_id=name, path_or_fileobj=b"two\n", path_in_repo="b.txt", create_pr=True, commit_message="Add b"
    )
    found = alice.get_discussion_details(name, done.pr_num)
    assert (found.title, found.status, found.author) == ("Add b", "open", "bob")
    assert [event.oid for event in found.events if event.type == "commit"] == [done.oid]
    alice.merge_pull_request(name, done.pr_num)
    number = bob.create_pull_request(name, title="By hand").num
    by_hand = bob.upload_file(repo_id=name, path_or_fileobj=b"3\n", path_in_repo="c.txt", revision=f"refs/pr/{number}")
    found = alice.get_discussion_details(name, number)
    assert found.status == "draft"
    assert [event.oid for event in found.events if event.type == "commit"] == [by_hand.oid]
    assert set(alice.list_repo_files(name)) >= {"a.txt", "b.txt"}
    assert "c.txt" not in alice.list_repo_files(name)
    assert "c.txt" in alice.list_repo_files(name, revision=f"refs/pr/{number}")


def test_a_merge_that_a_crash_left_half_done_can_be_repeated(served) -> None:
    """What a kill between git and the database leaves: the base has the commits, the pull request is open."""
    name = make(served, "alice/crashed", a_txt=b"one\n")
    alice = served.api("alice")
    number = alice.create_pull_request(name, title="Half").num
    alice.change_discussion_status(name, number, new_status="open")
    put(served, name, f"refs/pr/{number}", a_txt=b"two\n")
    git = served.hub.git.open(repo_of(served, name).id)
    sha = git.merge("refs/heads/main", f"refs/pr/{number}", author=AUTHOR, message="killed behind this")
    alice.merge_pull_request(name, number)
    assert alice.get_discussion_details(name, number).merge_commit_oid == sha == git.head("refs/heads/main")


def test_a_pull_request_that_a_crash_left_without_a_ref_is_closed_for_good(served, model: str) -> None:
    repo = repo_of(served, model)
    with served.hub.database.write() as session:
        number = (
            1 + session.execute(select(func.max(Discussion.number)).where(Discussion.repo_id == repo.id)).scalar_one()
        )
        session.add(
            Discussion(repo_id=repo.id, number=number, title="left over", status="closed", pull_request=True,
                       author_id=principal(served, "alice").id, author="alice", base="refs/heads/main")
        )  # fmt: skip
    alice = served.api("alice")
    assert status_of(alice.change_discussion_status, model, number, new_status="open") == 409
    assert alice.get_discussion_details(model, number).diff == ""
    served.hub.git.open(repo.id).set_ref(
        f"refs/pr/{number + 1}", put(served, model, "refs/heads/main", x=b""), expected=None
    )
    assert alice.create_pull_request(model, title="Anew").num == number + 1, (
        "nor does a ref without a row stand in the way"
    )


def test_merging_at_the_same_time_merges_once(served) -> None:
    name = make(served, "alice/raced", a_txt=b"one\n")
    repo, alice = repo_of(served, name), principal(served, "alice")
    made = discussions.open_pull_request(served.hub, alice, repo, title="Race", description="", draft=False)
    put(served, name, f"refs/pr/{made.number}", a_txt=b"two\n")
    results: list[Any] = []

    def merge() -> None:
        try:
            results.append(discussions.merge(served.hub, alice, repo, made.number).merge_commit)
        except Conflict as refusal:
            results.append(refusal.status)

    threads = [threading.Thread(target=merge) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    head = served.hub.git.open(repo.id).head("refs/heads/main")
    assert len(results) == 6
    assert set(results) <= {head, 409}
    assert head in results
    with served.hub.database.read() as session:
        history = events.events(session, discussions.find(session, repo, made.number))
    assert [event.data for event in history if event.type == "status-change"] == [{"status": "merged"}]


def test_numbers_are_unique_when_many_open_at_once(served) -> None:
    name = make(served, "alice/crowded")
    numbers: list[int] = []

    def open_some(who: str, pull: bool) -> None:
        api = served.api(who)
        numbers.extend(api.create_discussion(name, title="Crowd", pull_request=pull).num for _ in range(4))

    threads = [
        threading.Thread(target=open_some, args=(who, pull)) for who in ("alice", "bob") for pull in (True, False)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 17))
    pulls = served.hub.git.open(repo_of(served, name).id).pulls()
    listed = served.api().get_repo_discussions(name, discussion_type="pull_request")
    assert sorted(map(int, pulls)) == sorted(one.num for one in listed)


def test_who_may_do_what(served) -> None:
    """bob wrote it; carol reads with a token that only reads; alice owns; dave is anybody with an account."""
    name = make(served, "alice/rights", a_txt=b"one\n")
    with served.hub.database.write() as session:
        dave = accounts.create_account(session, "dave")
        served.tokens["dave"] = accounts.create_token(session, dave, "t", role="write")[1]
    alice, bob, carol, dave_api = (served.api(who) for who in ("alice", "bob", "carol", "dave"))
    number = bob.create_pull_request(name, title="Rights").num
    said = bob.comment_discussion(name, number, comment="mine")
    assert carol.get_discussion_details(name, number).title == "Rights"
    assert status_of(carol.comment_discussion, name, number, comment="x") == 403
    assert status_of(carol.create_discussion, name, title="Carol") == 403
    dave_api.comment_discussion(name, number, comment="anybody may")
    for call in (
        lambda api: api.rename_discussion(name, number, new_title="Other"),
        lambda api: api.change_discussion_status(name, number, new_status="closed"),
        lambda api: api.edit_discussion_comment(name, number, comment_id=said.id, new_content="not mine"),
        lambda api: api.merge_pull_request(name, number),
    ):
        assert status_of(call, dave_api) == 403
        assert status_of(call, carol) == 403
    with pytest.warns(UserWarning, match="irreversible"):
        assert status_of(dave_api.hide_discussion_comment, name, number, comment_id=said.id) == 403
    assert (
        status_of(alice.edit_discussion_comment, name, number, comment_id=said.id, new_content="her words in his mouth")
        == 403
    )
    alice.rename_discussion(name, number, new_title="By the owner")
    alice.change_discussion_status(name, number, new_status="open")
    alice.merge_pull_request(name, number)


@pytest.mark.parametrize(("permission", "may"), [("repo.content.read", False), ("repo.write", True)])
def test_a_fine_grained_token_takes_part_only_where_it_may_write(
    served, model: str, permission: str, may: bool
) -> None:
    other = make(served, f"alice/scoped-{may}".lower())
    scopes = [{"type": "model", "name": other, "permissions": [permission]}]
    with served.hub.database.write() as session:
        bob = accounts.get_account(session, "bob")
        secret = accounts.create_token(session, bob, "fine", role="fineGrained", scopes=scopes)[1]
    served.tokens["fine"] = secret
    api = served.api("fine")
    if may:
        assert api.create_discussion(other, title="In scope").author == "bob"
    else:
        assert status_of(api.create_discussion, other, title="In scope") == 403
        assert status_of(api.create_pull_request, other, title="In scope") == 403
        repo, fine = repo_of(served, other), principal(served, "fine")
        with pytest.raises(Forbidden):
            discussions.open_pull_request(served.hub, fine, repo, title="By a commit", description="", draft=False)
    assert status_of(api.create_discussion, model, title="Out of scope") == 403


def test_a_gated_repository_shows_its_discussions_but_not_its_files(served) -> None:
    name = make(served, "alice/gated-talk", a_txt=b"one\n")
    alice, bob = served.api("alice"), served.api("bob")
    number = alice.create_pull_request(name, title="Weights").num
    put(served, name, f"refs/pr/{number}", a_txt=b"secret weights\n")
    assert "secret weights" in bob.get_discussion_details(name, number).diff
    alice.update_repo_settings(name, gated="manual")
    seen = bob.get_discussion_details(name, number)
    assert seen.title == "Weights"
    assert seen.diff is None
    assert status_of(bob.comment_discussion, name, number, comment="x") == 403
    assert status_of(bob.create_discussion, name, title="Question") == 403
    with served.hub.database.write() as session:
        repo = repo_of(served, name)
        session.add(AccessRequest(repo_id=repo.id, user_id=principal(served, "bob").id, status="accepted"))
    assert "secret weights" in bob.get_discussion_details(name, number).diff
    bob.comment_discussion(name, number, comment="thanks")


def facts(answer: Any, repo: str) -> tuple[int, str, str | None]:
    """Return what an answer tells, with the repository's name taken out."""
    return answer.status_code, answer.text.replace(repo, "REPO"), answer.headers.get("X-Error-Code")


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_looks_like_missing_by_every_route(served, who: str | None) -> None:
    name = f"alice/private-{who}".lower()
    make(served, name, visibility="private", a_txt=b"one\n")
    api = served.api("alice")
    number = api.create_pull_request(name, title="Hidden").num
    comment = api.comment_discussion(name, number, comment="hidden").id
    gets = ["", "?author=alice", f"/{number}", f"/{number}?diff=1", "/99"]
    posts = {
        "": [{"title": "hello"}, {"title": "hello", "pullRequest": True}, {"title": ""}, {}],
        f"/{number}/comment": [{"comment": "x"}, {}], f"/{number}/title": [{"title": "hello"}],
        f"/{number}/status": [{"status": "closed"}, {"status": "x"}], f"/{number}/merge": [{}], "/99/merge": [{}],
        f"/{number}/comment/{comment}/edit": [{"content": "x"}], f"/{number}/comment/{comment}/hide": [{}],
        f"/{number}/comment/x/hide": [{}],
    }  # fmt: skip
    calls = [("GET", path, None) for path in gets] + [("POST", path, body) for path in posts for body in posts[path]]
    with served.client(who) as client:
        for method, path, body in calls:
            there, absent = (
                facts(client.request(method, f"/api/models/{repo}/discussions{path}", json=body), repo)
                for repo in (name, "alice/absent")
            )
            assert there == absent, (method, path, body)
            assert there[0] in (401, 403, 404), (method, path, body)


def test_a_stranger_sees_nothing_of_a_closed_hub(served, model: str) -> None:
    with served.client(None) as stranger:
        for path in ("", "/1"):
            answer = stranger.get(f"/api/models/{model}/discussions{path}")
            assert (answer.status_code, answer.headers["X-Error-Code"]) == (401, "RepoNotFound")


@pytest.mark.parametrize(
    "body",
    [
        {"title": "ab"}, {"title": " ab \n "}, {"title": "x" * 201}, {"title": "nul\0nul"}, {"title": 7}, {},
        {"title": "fine", "description": "x" * (events.COMMENT + 1)}, {"title": "fine", "description": "nul\0"},
        {"title": "fine", "description": "\ud800"}, [], "title",
    ],
)  # fmt: skip
def test_what_cannot_be_a_discussion_is_refused(served, model: str, body: Any) -> None:
    with served.client("bob") as bob:
        before = bob.get(f"/api/models/{model}/discussions").json()["count"]
        content, headers = json.dumps(body), {"Content-Type": "application/json"}
        answer = bob.post(f"/api/models/{model}/discussions", content=content, headers=headers)
        assert answer.status_code == 400, answer.text
        assert len(answer.json()["error"]) < 300
        assert bob.get(f"/api/models/{model}/discussions").json()["count"] == before


def test_hostile_addresses_and_bodies_are_refused(served, model: str) -> None:
    with served.client("bob") as bob:
        here = f"/api/models/{model}/discussions"
        for path in ("/0", "/999999999", f"/{2**31}", f"/{2**63}", f"/{10**30}"):
            assert bob.get(here + path).status_code == 404, path
        for query in ("p=-1", "p=x", f"p={2**63}", "type=x", "status=x"):
            assert bob.get(f"{here}?{query}").status_code == 400, query
        assert bob.get(f"{here}?p=1000000").json()["discussions"] == []
        headers = {"Content-Type": "application/json"}
        assert bob.post(here, content=b"x" * 2**20 + b"xx", headers=headers).status_code == 413
        assert bob.post(here, content=b"[" * 100_000, headers=headers).status_code == 400
        number = bob.post(here, json={"title": "Fine"}).json()["num"]
        assert bob.post(f"{here}/{number}/comment", json={"comment": " \n"}).status_code == 400
        for comment in ("x", "0" * 24, "%00", "a" * 5000):
            assert bob.post(f"{here}/{number}/comment/{comment}/hide").status_code == 404
        assert bob.post(f"{here}/{number}/merge", json={}).status_code == 403, "nor may bob merge"
        with served.client("alice") as alice:
            assert alice.post(f"{here}/{number}/merge").status_code == 400


def test_a_comment_belongs_to_its_discussion(served, model: str) -> None:
    bob = served.api("bob")
    one, other = (bob.create_discussion(model, title=title).num for title in ("One", "Other"))
    said = bob.comment_discussion(model, one, comment="here")
    assert status_of(bob.edit_discussion_comment, model, other, comment_id=said.id, new_content="there") == 404


def test_a_discussion_can_be_full_and_still_be_closed(served, model: str) -> None:
    bob, repo = served.api("bob"), repo_of(served, model)
    long, many = (bob.create_discussion(model, title=title).num for title in ("Long", "Many"))
    said = {"raw": "x" * events.TEXT, "updated": "2026-01-01T00:00:00+00:00", "editor": "bob"}
    said |= {"edited": False, "hidden": False, "history": []}
    with served.hub.database.write() as session:
        event = {"repo_id": repo.id, "type": "comment", "author_id": principal(served, "bob").id, "author": "bob"}
        session.add(DiscussionEvent(**event, number=long, data=said))
        small = said | {"raw": "x"}
        session.add_all(DiscussionEvent(**event, number=many, data=small) for _ in range(events.EVENTS))
    for number in (long, many):
        assert status_of(bob.comment_discussion, model, number, comment="more") == 409
        assert status_of(bob.rename_discussion, model, number, new_title="Other") == 409
        bob.change_discussion_status(model, number, new_status="closed")
        assert status_of(bob.change_discussion_status, model, number, new_status="open") == 409
        assert bob.get_discussion_details(model, number).status == "closed"


def test_a_deleted_author_is_told_as_deleted(served, model: str) -> None:
    with served.hub.database.write() as session:
        eve = accounts.create_account(session, "eve")
        served.tokens["eve"] = accounts.create_token(session, eve, "t", role="write")[1]
    number = served.api("eve").create_discussion(model, title="Goodbye").num
    with served.hub.database.write() as session:
        session.execute(delete(Account).where(Account.name == "eve"))
    found = served.api("bob").get_discussion_details(model, number)
    assert found.author == "deleted"
    assert [event.author for event in found.events] == ["deleted"]
    assert not list(served.api("bob").get_repo_discussions(model, author="eve"))


def test_a_pull_request_outlives_the_squash_of_its_base(served) -> None:
    name = make(served, "alice/squashed", a_txt=b"one\n")
    alice, repo = served.api("alice"), repo_of(served, name)
    number = alice.create_pull_request(name, title="Before").num
    alice.change_discussion_status(name, number, new_status="open")
    put(served, name, f"refs/pr/{number}", a_txt=b"two\n")
    git = served.hub.git.open(repo.id)
    git.squash("refs/heads/main", author=AUTHOR, message="all in one")
    found = alice.get_discussion_details(name, number)
    assert found.diff == ""
    assert isinstance(found.conflicting_files, list)
    with served.hub.database.write() as session:
        here = update(Discussion).where(Discussion.repo_id == repo.id, Discussion.number == number)
        session.execute(here.values(status="merged", merge_commit="1" * 40))
    assert alice.get_discussion_details(name, number).diff == "", "the merge itself was squashed away"
