"""What a repository holds, at any revision, with the unmodified client: info, trees, paths."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import get_args

import pytest
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import (
    ExpandDatasetProperty_T,
    ExpandModelProperty_T,
    ExpandSpaceProperty_T,
    RepoFile,
    RepoFolder,
)

from medhub.server import audit, info

pytestmark = pytest.mark.filterwarnings("ignore:Warnings while validating metadata")

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-classification
base_model: alice/parent
tags: [radiology]
---
# Lungs
"""


def safetensors(values: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * values)


@pytest.fixture(scope="module")
def repo(served) -> str:
    """A public model with a card, a config, weights, and files in folders."""
    api = served.api("alice")
    api.create_repo("alice/Lungs", private=False)
    files = {
        "README.md": CARD.encode(), "config.json": b'{"model_type": "resnet", "architectures": ["ResNet"]}',
        "model.safetensors": safetensors(100), "a/b/c.txt": b"deep", "a/b.txt": b"b", "a-b.txt": b"dash",
        "ä/ü.txt": b"umlaut",
    }  # fmt: skip
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    api.create_commit("alice/Lungs", operations, commit_message="Everything")
    api.create_branch("alice/Lungs", branch="side/way")
    api.upload_file(repo_id="alice/Lungs", path_or_fileobj=b"changed", path_in_repo="a/b.txt", revision="side/way")
    api.create_repo("alice/child", private=False)
    api.upload_file(
        repo_id="alice/child", path_or_fileobj=b"---\nbase_model: alice/Lungs\n---\n", path_in_repo="README.md"
    )
    return "alice/Lungs"


def test_info(served, repo: str) -> None:
    api = served.api("bob")
    found = api.model_info(repo)
    assert (found.id, found.author, found.private, found.gated, found.disabled) == (repo, "alice", False, False, False)
    assert found.sha == api.list_repo_commits(repo)[0].commit_id
    assert found.card_data.license == "apache-2.0"
    assert (found.pipeline_tag, found.library_name) == ("image-classification", "transformers")
    assert found.safetensors.total == 100
    assert found.safetensors.parameters == {"F32": 100}
    assert {"license:apache-2.0", "radiology", "transformers", "image-classification"} <= set(found.tags)
    assert found.config["model_type"] == "resnet"
    assert found.created_at <= found.last_modified
    assert {file.rfilename for file in found.siblings} == {
        ".gitattributes", "README.md", "config.json", "model.safetensors", "a/b/c.txt", "a/b.txt", "a-b.txt", "ä/ü.txt",
    }  # fmt: skip
    assert found.used_storage > 400
    assert all(file.size is None for file in found.siblings)


def test_files_metadata(served, repo: str) -> None:
    found = {file.rfilename: file for file in served.api("bob").model_info(repo, files_metadata=True).siblings}
    weights = found["model.safetensors"]
    assert weights.size == weights.lfs.size == len(safetensors(100))
    assert weights.lfs.pointer_size > 100
    assert len(weights.lfs.sha256) == 64
    assert len(weights.blob_id) == 40
    assert (found["a/b.txt"].size, found["a/b.txt"].lfs) == (1, None)


def test_pickles_by_name_are_told(served) -> None:
    found = served.api("alice")
    with served.client("alice") as client:
        assert client.get("/api/models/alice/Lungs?securityStatus=true").json()["securityRepoStatus"] == {
            "scansDone": False, "filesWithIssues": [],
        }  # fmt: skip
    assert found.model_info("alice/Lungs", securityStatus=True).security_repo_status["filesWithIssues"] == []


def test_other_revisions(served, repo: str) -> None:
    api = served.api("bob")
    first = api.list_repo_commits(repo)[-1].commit_id
    main = api.model_info(repo).sha
    side = api.model_info(repo, revision="side/way")
    assert side.sha not in (main, first)
    assert side.card_data.license == "apache-2.0"
    assert side.pipeline_tag == "image-classification"
    assert api.model_info(repo, revision=main[:10]).sha == main
    assert api.model_info(repo, revision="refs/heads/side/way").sha == side.sha
    initial = api.model_info(repo, revision=first)
    assert initial.card_data is None
    assert [file.rfilename for file in initial.siblings] == [".gitattributes"]
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="nothing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="0" * 40)


@pytest.mark.parametrize("name", get_args(ExpandModelProperty_T))
def test_every_property_of_a_model_can_be_expanded(served, repo: str, name: str) -> None:
    api = served.api("bob")
    assert api.model_info(repo, expand=[name]).id == repo
    with served.client("bob") as client:
        found = client.get(f"/api/models/{repo}", params={"expand": name}).json()
    assert set(found) == {"_id", "id", "modelId", name}
    expected = {
        "author": "alice", "baseModels": ["alice/parent"], "childrenModelCount": 1, "private": False, "gated": False,
        "likes": 0, "downloads": 0, "pipeline_tag": "image-classification", "spaces": [], "resourceGroup": None,
    }  # fmt: skip
    if name in expected:
        assert found[name] == expected[name]


@pytest.mark.parametrize(("kind", "names"), [("dataset", ExpandDatasetProperty_T), ("space", ExpandSpaceProperty_T)])
def test_every_property_of_data_sets_and_spaces_can_be_expanded(served, kind: str, names: type) -> None:
    api = served.api("alice")
    api.create_repo("alice/expand", repo_type=kind, space_sdk="docker" if kind == "space" else None, exist_ok=True)
    for name in get_args(names):
        assert api.repo_info("alice/expand", repo_type=kind, expand=[name]).id == "alice/expand"
    assert set(get_args(names)) <= set(info.PROPERTIES[kind])
    if kind == "space":
        found = api.space_info("alice/expand", expand=["sdk", "subdomain", "runtime"])
        assert (found.sdk, found.subdomain, found.runtime.stage) == ("docker", "alice-expand", "NO_APP_FILE")


def test_an_unknown_property_is_refused(served, repo: str) -> None:
    with pytest.raises(BadRequestError, match="no property 'nonsense'"):
        served.api("bob").model_info(repo, expand=["nonsense"])


def test_the_number_of_children_counts_what_the_caller_sees(served, repo: str) -> None:
    api = served.api("alice")
    api.create_repo("alice/hidden-child")
    api.upload_file(
        repo_id="alice/hidden-child",
        path_or_fileobj=f"---\nbase_model: {repo}\n---\n".encode(),
        path_in_repo="README.md",
    )
    assert api.model_info(repo, expand=["childrenModelCount"]).children_model_count == 2
    assert served.api("bob").model_info(repo, expand=["childrenModelCount"]).children_model_count == 1
    api.delete_repo("alice/hidden-child")
    assert api.model_info(repo, expand=["childrenModelCount"]).children_model_count == 1


def test_tree(served, repo: str) -> None:
    api = served.api("bob")
    top = {entry.path: entry for entry in api.list_repo_tree(repo)}
    assert set(top) == {".gitattributes", "README.md", "config.json", "model.safetensors", "a", "a-b.txt", "ä"}
    assert isinstance(top["a"], RepoFolder)
    assert isinstance(top["a-b.txt"], RepoFile)
    weights = top["model.safetensors"]
    assert weights.size == len(safetensors(100))
    assert len(weights.lfs.sha256) == 64
    assert len(weights.xet_hash) == 64
    assert weights.last_commit is None
    assert weights.security is None
    everything = [entry.path for entry in api.list_repo_tree(repo, recursive=True)]
    assert {"a", "a/b", "a/b/c.txt", "a/b.txt", "ä/ü.txt"} <= set(everything)
    assert len(everything) == len(set(everything))
    assert [entry.path for entry in api.list_repo_tree(repo, "a", recursive=True)] == ["a/b.txt", "a/b", "a/b/c.txt"]
    assert [entry.path for entry in api.list_repo_tree(repo, "ä")] == ["ä/ü.txt"]
    assert [entry.path for entry in api.list_repo_tree(repo, "a/b")] == ["a/b/c.txt"], "a path is one quoted segment"


def test_expanded_tree(served, repo: str) -> None:
    api = served.api("bob")
    found = {entry.path: entry for entry in api.list_repo_tree(repo, expand=True, revision="side/way", recursive=True)}
    commits = {commit.title: commit.commit_id for commit in api.list_repo_commits(repo, revision="side/way")}
    assert found["a-b.txt"].last_commit.oid == commits["Everything"]
    assert found[".gitattributes"].last_commit.title == "initial commit"
    changed = api.list_repo_commits(repo, revision="side/way")[0]
    assert found["a/b.txt"].last_commit.oid == found["a"].last_commit.oid == changed.commit_id
    assert found["a/b.txt"].last_commit.date == changed.created_at
    assert found["model.safetensors"].security["status"] == "safe"


def test_pages_of_a_tree(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/many")
    names = {f"f{number:04}" for number in range(1300)} | {".gitattributes"}
    operations = [CommitOperationAdd(name, b"x") for name in sorted(names) if name.startswith("f")]
    api.create_commit("alice/many", operations, commit_message="Many")
    assert {entry.path for entry in api.list_repo_tree("alice/many")} == names
    assert len(list(api.list_repo_tree("alice/many", expand=True))) == len(names)
    with served.client("alice") as client:
        first = client.get("/api/models/alice/many/tree/main?limit=10")
        api.upload_file(repo_id="alice/many", path_or_fileobj=b"x", path_in_repo="e")
        seen = [entry["path"] for entry in first.json()]
        second = client.get(first.links["next"]["url"])
        assert len(seen) == len(second.json()) == 10
        assert "limit=10" in second.links["next"]["url"]
        assert not set(seen) & {entry["path"] for entry in second.json()}
        for cursor in ("WzFd", "bnVsbA", "WyJ4IiwgInkiXQ=="):
            assert client.get("/api/models/alice/many/tree/main", params={"cursor": cursor}).status_code in (
                200,
                400,
                404,
            )


def test_missing_paths_carry_the_commit(served, repo: str) -> None:
    api = served.api("bob")
    with served.client("bob") as client:
        for path in ("additional_chat_templates", "a/nothing", "config.json", "..%2Fx", "a%2F..%2Fa", "%00"):
            answer = client.get(f"/api/models/{repo}/tree/main/{path}?recursive=false")
            assert (answer.status_code, answer.headers.get("X-Error-Code")) == (404, "EntryNotFound"), path
            assert answer.headers["X-Repo-Commit"] == api.model_info(repo).sha
        answer = client.get(f"/api/models/{repo}/tree/nothing/a")
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo, "nothing"))


def test_paths_info(served, repo: str) -> None:
    api = served.api("bob")
    found = {
        entry.path: entry
        for entry in api.get_paths_info(repo, ["a", "a/b.txt", "nothing", "ä/ü.txt", "model.safetensors"])
    }
    assert set(found) == {"a", "a/b.txt", "ä/ü.txt", "model.safetensors"}
    assert isinstance(found["a"], RepoFolder)
    assert found["a/b.txt"].size == 1
    assert len(found["model.safetensors"].xet_hash) == 64
    (expanded,) = api.get_paths_info(repo, "a/b.txt", expand=True, revision="side/way")
    assert expanded.last_commit.title == "Upload a/b.txt with huggingface_hub"
    assert api.get_paths_info(repo, []) == []
    with served.client("bob") as client:
        url = f"/api/models/{repo}/paths-info/main"
        assert [entry["path"] for entry in client.post(url, json={"paths": ["a"], "expand": False}).json()] == ["a"]
        for body in ({"paths": ["x"] * 1001}, {"paths": [1]}, {"paths": {"a": 1}}, ["a"], {}):
            assert client.post(url, json=body).status_code == 400, body
        assert client.post(url, content=b"{" * 5000, headers={"Content-Type": "application/json"}).status_code == 400
        assert (
            client.post(
                url, content=b"paths=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"}
            ).status_code
            < 500
        )
        assert client.post(url, content=b"x" * (5 << 20)).status_code == 413


def test_names_are_found_in_any_case(served, repo: str) -> None:
    api = served.api("bob")
    assert api.model_info("ALICE/lungs").id == repo
    assert [entry.path for entry in api.list_repo_tree("Alice/LUNGS", "ä")] == ["ä/ü.txt"]


def test_ids_without_a_namespace_are_missing_repositories(served) -> None:
    api = served.api("bob")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("bert")
    with pytest.raises(RepositoryNotFoundError):
        list(api.list_repo_tree("bert"))
    with pytest.raises(RepositoryNotFoundError):
        api.get_paths_info("bert", ["a"])
    with served.client("bob") as client:
        for path in (
            "bert",
            "bert/revision/main",
            "bert/tree/main/a/b",
            "bert/refs",
            "bert/commits/main",
            "bert/tree/a%2Fb",
        ):
            answer = client.get(f"/api/models/{path}")
            assert (answer.status_code, answer.headers.get("X-Error-Code")) == (404, "RepoNotFound"), path


def test_reads_are_audited(served, repo: str) -> None:
    served.api("bob").get_paths_info(repo, ["a/b.txt"])
    list(served.api("bob").list_repo_tree(repo, "a"))
    with served.hub.database.read() as session:
        lines = [line for line in audit.lines(session) if line["action"] == "tree.read" and line["actor"] == "bob"]
    assert [(line["repo"], line["path"]) for line in lines[-2:]] == [
        (f"model {repo}", "a/b.txt"),
        (f"model {repo}", "a"),
    ]
    assert lines[-1]["commit"] == served.api("bob").model_info(repo).sha


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_answers_as_missing(served, who: str | None) -> None:
    served.api("alice").create_repo("alice/hidden", exist_ok=True)
    asked = [
        ("GET", ""), ("GET", "?blobs=true"), ("GET", "?expand=sha"), ("GET", "/revision/main"), ("GET", "/tree/main"),
        ("GET", "/tree/nothing"), ("GET", "/tree/main/.gitattributes"), ("POST", "/paths-info/main"),
    ]  # fmt: skip
    with served.client(who) as client:
        for method, path in asked:
            body = {"paths": [".gitattributes"]} if method == "POST" else None
            there, absent = (
                client.request(method, f"/api/models/alice/{name}{path}", json=body) for name in ("hidden", "absent")
            )
            assert there.status_code == absent.status_code == (404 if who else 401), path
            assert there.text.replace("hidden", "absent") == absent.text
            assert there.headers["X-Error-Code"] == absent.headers["X-Error-Code"] == "RepoNotFound"


def test_a_gated_repository_shows_its_tree_and_card(served, tmp_path: Path) -> None:
    api = served.api("alice")
    api.create_repo("alice/gated", private=False)
    api.update_repo_settings("alice/gated", gated="manual")
    assert [entry.path for entry in served.api("bob").list_repo_tree("alice/gated")] == [".gitattributes"]
    assert served.api("bob").model_info("alice/gated").gated == "manual"
    with served.client(None) as client:
        assert client.get("/api/models/alice/gated").status_code == 401, "strangers see nothing of this Hub"
