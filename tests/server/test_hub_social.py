"""Likes and overviews by the unmodified client; above all, that no number tells of what the caller may not see."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from sqlalchemy import delete, select

from medhub.server import accounts
from medhub.server.tables import Account, Discussion, Like, Repo


@pytest.fixture(scope="module")
def repos(served) -> dict[str, str]:
    """A public and a private model of alice's, a private data set of radiology's, a public space of bob's."""
    alice, bob = served.api("alice"), served.api("bob")
    alice.create_repo("alice/open", visibility="public")
    alice.create_repo("alice/closed")
    alice.create_repo("radiology/scans", repo_type="dataset")
    bob.create_repo("bob/demo", repo_type="space", space_sdk="static", visibility="public")
    with served.hub.database.read() as session:
        return {repo.full_name: repo.id for repo in session.execute(select(Repo)).scalars()}


def like(served, who: str | None, path: str, method: str = "POST") -> Any:
    with served.client(who) as client:
        return client.request(method, f"/api/{path}/like")


def likes_of(served, repo_id: str) -> int:
    with served.hub.database.read() as session:
        return session.get_one(Repo, repo_id).likes


def status_of(call: Any, *arguments: Any, **more: Any) -> int:
    with pytest.raises(HfHubHTTPError) as refusal:
        call(*arguments, **more)
    return refusal.value.response.status_code


def test_likes_are_counted_once_and_taken_back(served, repos: dict[str, str]) -> None:
    for who in ("bob", "bob", "alice"):
        assert like(served, who, "models/alice/open").status_code == 200
    assert likes_of(served, repos["alice/open"]) == 2
    assert [user.username for user in served.api("bob").list_repo_likers("alice/open")] == ["alice", "bob"]
    assert served.api("bob").list_liked_repos().models == ["alice/open"]
    for _ in range(2):
        served.api("bob").unlike("alice/open")
    assert likes_of(served, repos["alice/open"]) == 1
    assert served.api("bob").list_liked_repos().total == 0
    served.api("alice").unlike("alice/open")
    assert likes_of(served, repos["alice/open"]) == 0


def test_liking_at_the_same_time_counts_right(served, repos: dict[str, str]) -> None:
    def toggle(who: str) -> None:
        for method in ("POST", "DELETE", "POST"):
            assert like(served, who, "spaces/bob/demo", method).status_code == 200

    threads = [threading.Thread(target=toggle, args=(who,)) for who in ("alice", "bob", "root") for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with served.hub.database.read() as session:
        kept = session.execute(select(Like).where(Like.repo_id == repos["bob/demo"])).scalars().all()
    assert likes_of(served, repos["bob/demo"]) == len(kept) == 3


def test_a_list_of_likes_shows_what_the_caller_may_see(served, repos: dict[str, str]) -> None:
    assert like(served, "alice", "models/alice/closed").status_code == 200
    assert like(served, "alice", "datasets/radiology/scans").status_code == 200
    assert like(served, "alice", "spaces/bob/demo").status_code == 200
    seen = {who: served.api(who).list_liked_repos("alice") for who in ("alice", "bob", "carol")}
    assert (seen["alice"].models, seen["alice"].datasets, seen["alice"].spaces) == (
        ["alice/closed"],
        ["radiology/scans"],
        ["bob/demo"],
    )
    assert (seen["bob"].models, seen["bob"].datasets, seen["bob"].spaces) == ([], ["radiology/scans"], ["bob/demo"])
    assert (seen["carol"].models, seen["carol"].datasets, seen["carol"].spaces) == ([], [], ["bob/demo"])
    numbers = {who: served.api(who).get_user_overview("alice").num_likes for who in ("alice", "bob", "carol")}
    assert numbers == {who: found.total for who, found in seen.items()} == {"alice": 3, "bob": 2, "carol": 1}


def test_overviews_count_what_the_caller_may_see(served, repos: dict[str, str]) -> None:
    with served.hub.database.write() as session:
        alice = accounts.get_account(session, "alice")
        for number, name in enumerate(("alice/open", "alice/closed", "radiology/scans"), 1):
            session.add(
                Discussion(repo_id=repos[name], number=number, title="t", status="open", pull_request=False,
                           author_id=alice.id, author="alice")
            )  # fmt: skip
    numbers = {}
    for who in ("alice", "bob", "carol", "root"):
        user, org = served.api(who).get_user_overview("ALICE"), served.api(who).get_organization_overview("radiology")
        numbers[who] = (user.num_models, user.num_datasets, user.num_discussions, org.num_datasets)
        assert (user.username, user.fullname, user.user_type, user.num_followers) == ("alice", "alice", "user", 0)
        assert [one.name for one in user.orgs] == ["radiology"]
        assert (org.name, org.fullname, org.num_users, org.num_models) == ("radiology", "Radiology", 2, 0)
    assert numbers == {"alice": (2, 0, 3, 1), "bob": (1, 0, 2, 1), "carol": (1, 0, 1, 0), "root": (2, 0, 3, 1)}


def test_a_deleted_repository_is_counted_nowhere(served, repos: dict[str, str]) -> None:
    api = served.api("alice")
    before = api.get_user_overview("alice")
    api.create_repo("alice/short", visibility="public")
    like(served, "alice", "models/alice/short")
    assert api.get_user_overview("alice").num_likes == before.num_likes + 1
    api.delete_repo("alice/short")
    after = api.get_user_overview("alice")
    assert (after.num_models, after.num_likes) == (before.num_models, before.num_likes)
    assert "alice/short" not in api.list_liked_repos().models


def test_members_and_empty_lists(served) -> None:
    api = served.api("carol")
    assert [user.username for user in api.list_organization_members("radiology")] == ["alice", "bob"]
    assert [
        *api.list_organization_followers("radiology"),
        *api.list_user_followers("bob"),
        *api.list_user_following("bob"),
    ] == []
    for call in (api.list_organization_members, api.list_organization_followers):
        assert status_of(lambda call=call: list(call("nobody"))) == 404
        assert status_of(lambda call=call: list(call("alice"))) == 404, "a user is no organisation"
    for call in (api.list_user_followers, api.list_user_following):
        assert status_of(lambda call=call: list(call("nobody"))) == 404
    for call in (api.get_user_overview, api.list_liked_repos):
        assert status_of(call, "nobody") == 404
        assert status_of(call, "radiology") == 404
    assert status_of(api.get_organization_overview, "alice") == 404


def test_lists_come_in_pages(served, repos: dict[str, str]) -> None:
    with served.hub.database.write() as session:
        org = accounts.create_account(session, "large", kind="org")
        for number in range(230):
            user = accounts.create_account(session, f"fan-{number}")
            accounts.set_role(session, org, user, "read")
            session.add(Like(user_id=user.id, repo_id=repos["alice/open"]))
        fan = accounts.get_account(session, "fan-7")
        for number in range(230):
            repo = Repo(
                kind="model",
                namespace_id=fan.id,
                namespace="fan-7",
                name=f"m{number}",
                path=f"fan-7/m{number}",
                visibility="public",
            )
            session.add(repo)
            session.flush()
            session.add(Like(user_id=fan.id, repo_id=repo.id))
    api, fans = served.api("carol"), sorted(f"fan-{number}" for number in range(230))
    assert [user.username for user in api.list_organization_members("large")] == fans
    assert [user.username for user in api.list_repo_likers("alice/open")] == fans
    liked = api.list_liked_repos("fan-7")
    assert sorted(liked.models) == sorted([*(f"fan-7/m{number}" for number in range(230)), "alice/open"])
    with served.client("carol") as client:
        for path in ("organizations/large/members", "models/alice/open/likers", "users/fan-7/likes"):
            assert len(client.get(f"/api/{path}").json()) == 100
            for cursor in ("x", "WzFd", "e30="):
                assert client.get(f"/api/{path}?cursor={cursor}").status_code == 400, (path, cursor)


def test_tokens_that_only_read_like_nothing(served, repos: dict[str, str]) -> None:
    scopes = [{"type": "model", "name": "alice/open", "permissions": ["repo.content.read"]}]
    with served.hub.database.write() as session:
        bob = accounts.get_account(session, "bob")
        served.tokens["fine"] = accounts.create_token(session, bob, "f", role="fineGrained", scopes=scopes)[1]
    before = likes_of(served, repos["alice/open"])
    for who, status in {"carol": 403, "fine": 403, None: 401}.items():
        for method in ("POST", "DELETE"):
            assert like(served, who, "models/alice/open", method).status_code == status
    assert likes_of(served, repos["alice/open"]) == before


def facts(answer: Any, repo: str) -> tuple[int, str, str | None]:
    """Return what an answer tells, with the repository's name taken out."""
    return answer.status_code, answer.text.replace(repo, "REPO"), answer.headers.get("X-Error-Code")


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_looks_like_missing(served, repos: dict[str, str], who: str | None) -> None:
    with served.client(who) as client:
        for method, path in (("POST", "like"), ("DELETE", "like"), ("GET", "likers")):
            there, absent = (
                facts(client.request(method, f"/api/models/{repo}/{path}"), repo)
                for repo in ("alice/closed", "alice/absent")
            )
            assert there == absent, (method, path)
            assert there[0] in (401, 403, 404), (method, path)


def test_a_closed_hub_tells_strangers_of_no_name(served) -> None:
    with served.client(None) as stranger:
        for kind, there, paths in (
            ("users", "alice", ("overview", "likes", "followers", "following")),
            ("organizations", "radiology", ("overview", "members", "followers")),
        ):
            for path in paths:
                answers = [stranger.get(f"/api/{kind}/{name}/{path}") for name in (there, "nobody")]
                assert answers[0].status_code == answers[1].status_code == 401
                assert answers[0].text == answers[1].text


def test_who_is_deleted_is_gone_from_lists(served, repos: dict[str, str]) -> None:
    with served.hub.database.write() as session:
        accounts.create_account(session, "eve")
        eve = accounts.get_account(session, "eve")
        session.add(Like(user_id=eve.id, repo_id=repos["alice/open"]))
    assert "eve" in [user.username for user in served.api("bob").list_repo_likers("alice/open")]
    with served.hub.database.write() as session:
        session.execute(delete(Account).where(Account.name == "eve"))
    assert "eve" not in [user.username for user in served.api("bob").list_repo_likers("alice/open")]
