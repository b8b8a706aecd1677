"""Branches, tags, commits and squashed histories with the unmodified client."""

from __future__ import annotations

import pytest
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RevisionNotFoundError

from medhub.server import audit


@pytest.fixture(scope="module")
def repo(served) -> str:
    api = served.api("alice")
    api.create_repo("alice/refs", private=False)
    for number in range(3):
        api.upload_file(
            repo_id="alice/refs", path_or_fileobj=str(number).encode(), path_in_repo="n.txt",
            commit_message=f"Step <{number}>", commit_description="why & how",
        )  # fmt: skip
    return "alice/refs"


def actions(served, repo: str) -> list[tuple[str, str]]:
    with served.hub.database.read() as session:
        return [(line["action"], line["path"]) for line in audit.lines(session) if line["repo"] == f"model {repo}"]


def test_branches(served, repo: str) -> None:
    api = served.api("alice")
    head = api.model_info(repo).sha
    first = api.list_repo_commits(repo)[-1].commit_id
    api.create_branch(repo, branch="next/one")
    api.create_branch(repo, branch="old", revision=first)
    assert {branch.name: branch.target_commit for branch in api.list_repo_refs(repo).branches} == {
        "main": head, "next/one": head, "old": first,
    }  # fmt: skip
    assert api.list_repo_refs(repo).branches[0].ref == "refs/heads/main"
    with pytest.raises(HfHubHTTPError, match="Reference refs/heads/old already exists") as refused:
        api.create_branch(repo, branch="old")
    assert refused.value.response.status_code == 409
    api.create_branch(repo, branch="old", exist_ok=True)
    with pytest.raises(RevisionNotFoundError):
        api.create_branch(repo, branch="from-nothing", revision="nothing")
    with pytest.raises(BadRequestError):
        api.create_branch(repo, branch="refs/pr/7")
    with pytest.raises(HfHubHTTPError, match=r"(?s)403.*Cannot delete refs/heads/main"):
        api.delete_branch(repo, branch="main")
    api.delete_branch(repo, branch="next/one")
    with pytest.raises(RevisionNotFoundError):
        api.delete_branch(repo, branch="next/one")
    assert actions(served, repo)[-1] == ("branch.delete", "next/one")
    assert ("branch.create", "next/one") in actions(served, repo)


def test_tags(served, repo: str) -> None:
    api = served.api("alice")
    first = api.list_repo_commits(repo)[-1].commit_id
    api.create_tag(repo, tag="v1", tag_message="The first")
    api.create_tag(repo, tag="v0", revision=first)
    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags}
    assert tags == {"v0": first, "v1": api.model_info(repo).sha}, "an annotated tag leads to its commit"
    assert api.model_info(repo, revision="v0").sha == first
    with pytest.raises(HfHubHTTPError, match="Tag reference exists already") as refused:
        api.create_tag(repo, tag="v1")
    assert refused.value.response.status_code == 409
    api.create_tag(repo, tag="v1", exist_ok=True)
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo, tag="v9", revision="nothing")
    with pytest.raises(BadRequestError):
        api.create_tag(repo, tag="a..b")
    api.delete_tag(repo, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(repo, tag="v1")


def test_commits(served, repo: str) -> None:
    commits = served.api("bob").list_repo_commits(repo, formatted=True)
    assert [commit.title for commit in commits] == ["Step <2>", "Step <1>", "Step <0>", "initial commit"]
    assert (commits[0].message, commits[0].formatted_message) == ("why & how", "why &amp; how")
    assert commits[0].formatted_title == "Step &lt;2&gt;"
    assert commits[0].authors == ["alice"]
    assert served.api("bob").list_repo_commits(repo)[0].formatted_title is None
    with pytest.raises(RevisionNotFoundError):
        served.api("bob").list_repo_commits(repo, revision="nothing")


def test_long_histories_come_in_pages_that_a_new_commit_does_not_shift(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/long")
    for number in range(52):
        api.upload_file(
            repo_id="alice/long", path_or_fileobj=str(number).encode(), path_in_repo="n", commit_message=f"c{number}"
        )
    with served.client("alice") as client:
        first = client.get("/api/models/alice/long/commits/main")
        assert len(first.json()) == 50
        api.upload_file(repo_id="alice/long", path_or_fileobj=b"new", path_in_repo="n")
        rest = client.get(first.links["next"]["url"])
        assert [commit["title"] for commit in rest.json()] == ["c1", "c0", "initial commit"]
        assert "next" not in rest.links
        for cursor in ("x", "WzFd", "WyJhIiwgLTFd"):
            assert client.get(f"/api/models/alice/long/commits/main?cursor={cursor}").status_code == 400
    assert len(api.list_repo_commits("alice/long")) == 54


def test_super_squash(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/squashed")
    api.upload_file(repo_id="alice/squashed", path_or_fileobj=b"\x00" * 20_000, path_in_repo="w.safetensors")
    api.upload_file(repo_id="alice/squashed", path_or_fileobj=b"two", path_in_repo="b.txt")
    before = api.model_info("alice/squashed", files_metadata=True)
    api.super_squash_history("alice/squashed", commit_message="One")
    after = api.model_info("alice/squashed", files_metadata=True)
    assert after.siblings == before.siblings
    assert after.sha != before.sha
    assert [commit.title for commit in api.list_repo_commits("alice/squashed")] == ["One"]
    with pytest.raises(RevisionNotFoundError):
        api.super_squash_history("alice/squashed", branch="nothing")
    with served.client("alice") as client:
        assert client.get("/alice/squashed/resolve/main/w.safetensors").content == b"\x00" * 20_000


def test_readers_change_nothing(served, repo: str) -> None:
    head = served.api("bob").model_info(repo).sha
    for who in ("bob", "carol"):
        api = served.api(who)
        for act in (
            lambda api=api: api.create_branch(repo, branch="mine"),
            lambda api=api: api.delete_branch(repo, branch="old"),
            lambda api=api: api.create_tag(repo, tag="mine"),
            lambda api=api: api.delete_tag(repo, tag="v0"),
            lambda api=api: api.super_squash_history(repo),
        ):
            with pytest.raises(HfHubHTTPError, match="403"):
                act()
    assert served.api("bob").model_info(repo).sha == head


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_answers_as_missing(served, who: str | None) -> None:
    served.api("alice").create_repo("alice/hidden", exist_ok=True)
    asked = [
        ("GET", "refs"), ("GET", "refs?include_prs=1"), ("GET", "commits/main"), ("POST", "branch/x"),
        ("DELETE", "branch/main"), ("POST", "tag/main"), ("DELETE", "tag/x"), ("POST", "super-squash/main"),
    ]  # fmt: skip
    with served.client(who) as client:
        for method, path in asked:
            body = {"tag": "x", "message": "x"} if method == "POST" else None
            there, absent = (
                client.request(method, f"/api/models/alice/{name}/{path}", json=body) for name in ("hidden", "absent")
            )
            assert there.status_code == absent.status_code == (404 if who else 401), path
            assert there.text.replace("hidden", "absent") == absent.text
            assert there.headers["X-Error-Code"] == "RepoNotFound"
