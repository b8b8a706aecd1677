"""The life of a repository with the unmodified client: create, settings, move, duplicate, delete."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import BadRequestError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from medhub.server import accounts, audit, repositories
from medhub.server.access import Principal
from medhub.server.tables import Repo, RepoAlias

pytestmark = pytest.mark.filterwarnings("ignore:Warnings while validating metadata")


def rows(served, path: str) -> list[Repo]:
    with served.hub.database.read() as session:
        return [repo for repo in session.query(Repo).all() if repo.full_name == path]


def audited(served) -> list[tuple[str, str, str]]:
    with served.hub.database.read() as session:
        return [(line["action"], line["repo"], line["note"]) for line in audit.lines(session)]


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_create_info_delete(served, kind: str) -> None:
    api = served.api("alice")
    url = api.create_repo("alice/first", repo_type=kind, space_sdk="static" if kind == "space" else None)
    assert (url.repo_id, url.repo_type, url.endpoint) == ("alice/first", kind, served.url)
    found = api.repo_info("alice/first", repo_type=kind)
    assert found.private
    assert found.author == "alice"
    files = {".gitattributes", "README.md"} if kind == "space" else {".gitattributes"}
    assert {file.rfilename for file in found.siblings} == files
    assert ("repo.create", f"{kind} alice/first", "private") in audited(served)
    api.delete_repo("alice/first", repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info("alice/first", repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("alice/first", repo_type=kind)
    api.delete_repo("alice/first", repo_type=kind, missing_ok=True)
    api.create_repo("alice/first", repo_type=kind, space_sdk="static" if kind == "space" else None)


def test_the_namespace_is_the_callers_unless_given(served) -> None:
    api = served.api("alice")
    assert api.create_repo("mine").repo_id == "alice/mine"
    assert api.create_repo("radiology/ours", private=False).repo_id == "radiology/ours"
    assert not api.model_info("radiology/ours").private
    with served.client("alice") as client:
        older = client.post("/api/repos/create", json={"name": "alice/older", "private": False}).json()
    assert older["name"] == "alice/older"
    assert len(older["id"]) == 24
    assert not api.model_info("alice/older").private


def test_exists(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/Twice")
    with pytest.raises(HfHubHTTPError, match="You already created this model repo"):
        api.create_repo("alice/twice")
    assert api.create_repo("alice/tWICE", exist_ok=True).repo_id == "alice/Twice", "the canonical case"
    assert api.create_repo("alice/twice", repo_type="dataset").repo_type == "dataset", "kinds do not share names"


def test_gitattributes_send_medical_images_to_large_file_storage(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/attributes")
    git = served.hub.git.open(rows(served, "alice/attributes")[0].id)
    head = git.head("refs/heads/main")
    for path in (
        "w.safetensors",
        "a/ct.nii",
        "a/ct.nii.gz",
        "x.dcm",
        "saved_model/a/b",
        "a/slide.zarr/0/1",
        "a.tfevents.1",
    ):
        assert git.is_lfs(head, path), path
    for path in ("README.md", "config.json", "a/labels.csv", "model.py"):
        assert not git.is_lfs(head, path), path


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".hidden",
        "-x",
        "x.",
        "a--b",
        "a..b",
        "x.git",
        "X.GIT",
        "a b",
        "ä",
        "a/b/c",
        "tree",
        "Resolve",
        "x" * 91,
        "a\x00b",
        "..",
    ],
)
def test_names_that_cannot_be(served, name: str) -> None:
    with served.client("alice") as client:
        answer = client.post("/api/repos/create", json={"name": name, "organization": "alice"})
    assert answer.status_code in (400, 404), answer.text
    assert answer.headers["X-Error-Message"]


def test_what_is_not_offered_is_refused_and_not_lost(served) -> None:
    api = served.api("alice")
    with pytest.raises(BadRequestError, match="protected"):
        api.create_repo("alice/protected", repo_type="space", space_sdk="static", visibility="protected")
    with pytest.raises(BadRequestError, match="secrets"):
        api.create_repo("alice/s", repo_type="space", space_sdk="gradio", space_secrets=[{"key": "K", "value": "V"}])
    with served.client("alice") as client:
        answer = client.post("/api/repos/create", json={"name": "alice/s", "type": "space", "sdk": "rocket"})
        assert answer.status_code == 400
        assert "rocket" in answer.json()["error"]
        assert client.post("/api/repos/create", json={"name": "k", "type": "kernel"}).status_code == 400
        assert client.post("/api/repos/create", json={"name": "k", "visibility": "secret"}).status_code == 400
        assert client.post("/api/repos/create", json={"name": 7}).status_code == 400
        assert client.post("/api/repos/create", content=b"x" * (2 << 20)).status_code == 413
    assert not rows(served, "alice/s")


def test_rights_to_create_and_delete(served) -> None:
    with pytest.raises(HfHubHTTPError, match=r"(?s)403.*may only read"):
        served.api("carol").create_repo("carol/mine")
    with pytest.raises(HfHubHTTPError, match=r"(?s)403.*may not make repositories in radiology"):
        served.api("bob").create_repo("radiology/bobs")
    with pytest.raises(HfHubHTTPError, match="403"):
        served.api("bob").create_repo("alice/bobs")
    with pytest.raises(HfHubHTTPError, match="404"):
        served.api("bob").create_repo("nobody/bobs")
    served.api("alice").create_repo("radiology/kept")
    with pytest.raises(HfHubHTTPError, match="403"):
        served.api("bob").delete_repo("radiology/kept")
    with pytest.raises(HfHubHTTPError, match=r"(?s)403.*may only read"):
        served.api("carol").delete_repo("radiology/kept")
    served.api("alice").create_repo("alice/kept")
    with pytest.raises(RepositoryNotFoundError):
        served.api("bob").delete_repo("alice/kept")
    with served.client(None) as client:
        assert client.post("/api/repos/create", json={"name": "x"}).status_code == 401


def test_creating_at_once_makes_one(served) -> None:
    def create(_: int) -> int:
        with served.client("alice") as client:
            return client.post("/api/repos/create", json={"name": "alice/race"}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, range(8)))
    assert statuses == [200] + [409] * 7
    (repo,) = rows(served, "alice/race")
    with served.hub.database.read() as session:
        known = {id for (id,) in session.query(Repo.id)}
    assert set(served.hub.git.uids()) == known, "no folder without a row, no row without a folder"
    assert repo.indexed == served.hub.git.open(repo.id).head("refs/heads/main")


def test_a_crash_between_folder_and_row_leaves_the_name_free(served, monkeypatch: pytest.MonkeyPatch) -> None:
    principal = Principal(name="operator", id="", admin=True, token_role="write")

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(audit, "record", crash)
        with pytest.raises(KeyboardInterrupt):
            repositories.create(served.hub, principal, kind="model", namespace="alice", name="crashed")
    assert not rows(served, "alice/crashed")
    repositories.create(served.hub, principal, kind="model", namespace="alice", name="crashed")
    assert len(rows(served, "alice/crashed")) == 1


def test_move(served, tmp_path: Path) -> None:
    api = served.api("alice")
    api.create_repo("alice/before")
    api.upload_file(repo_id="alice/before", path_or_fileobj=b"text", path_in_repo="a/b.txt")
    api.create_repo("alice/other")
    with pytest.raises(HfHubHTTPError, match="A model repository called alice/other already exists"):
        api.move_repo("alice/before", "alice/Other")
    with pytest.raises(HfHubHTTPError, match="403"):
        api.move_repo("alice/before", "bob/before")
    api.move_repo("alice/before", "radiology/After")
    assert api.model_info("alice/Before").id == "radiology/After", "the former name leads there"
    assert api.model_info("radiology/after").id == "radiology/After"
    path = hf_hub_download("alice/before", "a/b.txt", endpoint=served.url, token=served.tokens["alice"])
    assert Path(path).read_text() == "text"
    assert [entry.path for entry in api.list_repo_tree("alice/before", "a")] == ["a/b.txt"]
    assert served.api("bob").model_info("alice/before").id == "radiology/After", "bob may read radiology's"
    with pytest.raises(RepositoryNotFoundError):
        api.move_repo("alice/before", "alice/again")
    assert ("repo.move", "model radiology/After", "from model alice/before") in audited(served)


def test_the_former_name_redirects_with_everything_behind_it(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/moved")
    api.create_branch("alice/moved", branch="next/one")
    api.move_repo("alice/moved", "alice/now")
    with served.client("alice") as client:
        for path, target in {
            "/api/models/alice/moved": "/api/models/alice/now",
            "/api/models/alice/Moved/tree/next%2Fone?expand=true": "/api/models/alice/now/tree/next%2Fone?expand=true",
            "/api/models/alice/moved/commits/refs%2Fheads%2Fmain": "/api/models/alice/now/commits/refs%2Fheads%2Fmain",
            "/alice/moved/resolve/next%2Fone/.gitattributes": "/alice/now/resolve/next%2Fone/.gitattributes",
            "/alice/moved.git/info/refs?service=git-upload-pack": "/alice/now.git/info/refs?service=git-upload-pack",
        }.items():
            answer = client.get(path)
            assert (answer.status_code, answer.headers.get("Location")) == (307, served.url + target)
            assert client.get(answer.headers["Location"]).status_code == 200
        answer = client.put("/api/models/alice/moved/settings", json={"visibility": "public"})
        assert (answer.status_code, answer.headers["Location"]) == (307, f"{served.url}/api/models/alice/now/settings")


def test_git_follows_a_move(served, tmp_path: Path) -> None:
    api = served.api("alice")
    api.create_repo("alice/cloned")
    api.move_repo("alice/cloned", "alice/cloned-now")
    host = served.url.removeprefix("http://")
    url = f"http://alice:{served.tokens['alice']}@{host}/alice/cloned"
    environment = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    subprocess.run(["git", "clone", "--quiet", url, str(tmp_path / "c")], env=environment, check=True)
    assert (tmp_path / "c" / ".gitattributes").exists()


def test_a_new_repository_takes_a_former_name_over(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/reused")
    api.move_repo("alice/reused", "alice/elsewhere")
    api.create_repo("alice/reused", private=False)
    assert api.model_info("alice/reused").id == "alice/reused"
    api.delete_repo("alice/reused")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("alice/reused")
    api.move_repo("alice/elsewhere", "alice/third")
    api.move_repo("alice/third", "alice/elsewhere")
    assert api.model_info("alice/third").id == "alice/elsewhere"
    api.delete_repo("alice/elsewhere")
    with served.hub.database.read() as session:
        assert not session.query(RepoAlias).filter(RepoAlias.path.in_(["alice/third", "alice/reused"])).all()
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("alice/third")


def test_the_case_of_a_name_can_change(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/case")
    api.move_repo("alice/case", "alice/CASE")
    assert api.model_info("alice/case").id == "alice/CASE"
    with served.client("alice") as client:
        assert client.get("/api/models/alice/case").status_code == 200, "no redirect for the case alone"


def test_settings(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/settings")
    with pytest.raises(RepositoryNotFoundError):
        served.api("bob").model_info("alice/settings")
    api.update_repo_settings("alice/settings", private=False)
    assert not served.api("bob").model_info("alice/settings").private
    api.update_repo_settings("alice/settings", gated="manual")
    found = served.api("bob").model_info("alice/settings")
    assert (found.gated, found.private) == ("manual", False), "what is not sent stays"
    with pytest.raises(GatedRepoError):
        served.api("bob").auth_check("alice/settings")
    api.update_repo_settings("alice/settings", gated=False)
    assert api.model_info("alice/settings").gated is False
    served.api("bob").auth_check("alice/settings")
    with pytest.raises(HfHubHTTPError, match="403"):
        served.api("bob").update_repo_settings("alice/settings", private=True)
    with served.client("alice") as client:
        url = "/api/models/alice/settings/settings"
        assert client.put(url, json={"private": True}).json()["visibility"] == "private"
        assert client.put(url, json={"gated": "perhaps"}).status_code == 400
        assert client.put(url, json={"visibility": "protected"}).status_code == 400
        assert client.put(url, json={}).json() == {"visibility": "private", "private": True, "gated": False}


def test_auth_check(served) -> None:
    served.api("alice").create_repo("radiology/checked")
    served.api("alice").auth_check("radiology/checked", write=True)
    served.api("bob").auth_check("radiology/checked")
    with pytest.raises(HfHubHTTPError, match="403"):
        served.api("bob").auth_check("radiology/checked", write=True)
    with pytest.raises(RepositoryNotFoundError):
        served.api("carol").auth_check("radiology/checked")


def test_duplicate(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/source")
    api.upload_file(repo_id="alice/source", path_or_fileobj=b"\x00" * 50_000, path_in_repo="w.safetensors")
    api.upload_file(repo_id="alice/source", path_or_fileobj=b"---\nlicense: mit\n---\n# Hi", path_in_repo="README.md")
    api.create_tag("alice/source", tag="v1")
    api.create_pull_request("alice/source", title="Draft")
    copy = api.duplicate_repo("alice/source", "radiology/copy")
    assert (copy.repo_id, copy.files_copy_pending) == ("radiology/copy", False)
    source, found = api.model_info("alice/source"), api.model_info("radiology/copy")
    assert (found.sha, found.private, found.card_data.license) == (source.sha, True, "mit")
    refs = api.list_repo_refs("radiology/copy", include_pull_requests=True)
    assert [tag.name for tag in refs.tags] == ["v1"]
    assert not refs.pull_requests
    api.delete_repo("alice/source")
    with served.client("bob") as client:
        assert client.get("/radiology/copy/resolve/v1/w.safetensors").content == b"\x00" * 50_000
    with pytest.raises(HfHubHTTPError, match="You already created"):
        api.duplicate_repo("radiology/copy", "radiology/copy")
    assert api.duplicate_repo("radiology/copy", "radiology/copy", exist_ok=True).repo_id == "radiology/copy"
    assert served.api("bob").duplicate_repo("radiology/copy").repo_id == "bob/copy"
    with pytest.raises(RepositoryNotFoundError):
        served.api("bob").duplicate_repo("alice/source", "bob/stolen")
    with pytest.raises(HfHubHTTPError, match="403"):
        served.api("bob").duplicate_repo("radiology/copy", "radiology/more")


def test_a_copy_of_a_gated_repository_is_gated(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/terms", private=False)
    api.update_repo_settings("alice/terms", gated="manual")
    with pytest.raises(GatedRepoError):
        served.api("bob").duplicate_repo("alice/terms")
    assert api.duplicate_repo("alice/terms", "radiology/terms").repo_id == "radiology/terms"
    assert api.model_info("radiology/terms").gated == "manual"


def test_storage_lists(served) -> None:
    api = served.api("alice")
    with served.hub.database.write() as session:
        dora = accounts.create_account(session, "dora")
        _, served.tokens["dora"] = accounts.create_token(session, dora, "test", role="write")
    dora_api = served.api("dora")
    assert list(dora_api.list_user_repos()) == []
    for size, kind in ((30_000, "model"), (10_000, "dataset")):
        dora_api.create_repo("dora/x", repo_type=kind)
        dora_api.upload_file(repo_id="dora/x", repo_type=kind, path_or_fileobj=b"a" * size, path_in_repo="a.txt")
    found = {repo.type: repo for repo in dora_api.list_user_repos()}
    assert {repo.id for repo in found.values()} == {"dora/x"}
    assert found["model"].visibility == "private"
    assert 30_000 < found["model"].storage < 33_000
    assert sum(repo.storage_percent for repo in found.values()) == pytest.approx(100)
    api.create_repo("radiology/stored", exist_ok=True)
    assert "radiology/stored" in {repo.id for repo in served.api("bob").list_user_repos("radiology")}
    with pytest.raises(HfHubHTTPError, match="403"):
        list(dora_api.list_user_repos("radiology"))


def test_spaces_are_stored_and_not_run(served) -> None:
    api = served.api("alice")
    api.create_repo("alice/app", repo_type="space", space_sdk="gradio")
    assert api.get_space_runtime("alice/app").stage == "NO_APP_FILE"
    api.upload_file(repo_id="alice/app", repo_type="space", path_or_fileobj=b"pass", path_in_repo="app.py")
    runtime = api.get_space_runtime("alice/app")
    assert (runtime.stage, runtime.hardware, runtime.sleep_time) == ("STOPPED", None, None)
    info = api.space_info("alice/app")
    assert (info.sdk, info.card_data.title, info.runtime.stage) == ("gradio", "app", "STOPPED")
    assert api.get_space_variables("alice/app") == {}
    for act in (
        lambda: api.restart_space("alice/app"),
        lambda: api.pause_space("alice/app"),
        lambda: api.add_space_secret("alice/app", "K", "V"),
        lambda: api.request_space_hardware("alice/app", "t4-medium"),
    ):
        with pytest.raises(HfHubHTTPError, match="does not run them") as refused:
            act()
        assert refused.value.response.status_code == 501


PRIVATE = (
    ("GET", "", None),
    ("GET", "/auth-check", None),
    ("GET", "/auth-check/write", None),
    ("GET", "/runtime", None),
    ("GET", "/secrets", None),
    ("PUT", "/settings", {"visibility": "public"}),
    ("POST", "/duplicate", {"repository": "bob/taken"}),
    ("POST", "/restart", None),
)


@pytest.mark.parametrize("who", ["bob", "carol", None])
def test_private_answers_as_missing(served, who: str | None) -> None:
    api = served.api("alice")
    api.create_repo("alice/secret", exist_ok=True)
    api.create_repo("alice/secret-once", exist_ok=True)
    if who == "bob":
        api.move_repo("alice/secret-once", "alice/secret-now")

    def ask(client: httpx.Client, name: str) -> list[tuple[int, str, str | None]]:
        answers = [
            client.request(method, f"/api/models/alice/{name}{path}", json=body) for method, path, body in PRIVATE
        ]
        answers.append(client.request("DELETE", "/api/repos/delete", json={"name": name, "organization": "alice"}))
        move = {"fromRepo": f"alice/{name}", "toRepo": "bob/mine", "type": "model"}
        answers.append(client.post("/api/repos/move", json=move))
        return [
            (answer.status_code, answer.text.replace(name, "NAME"), answer.headers.get("X-Error-Code"))
            for answer in answers
        ]

    with served.client(who) as client:
        missing = ask(client, "absent")
        for name in ("secret", "SECRET", "secret-once"):
            assert ask(client, name) == missing
    refusals = {code for _, _, code in missing}
    assert refusals <= {"RepoNotFound", None}
    assert "RepoNotFound" in refusals
    assert [status for status, _, _ in missing[: len(PRIVATE)]] == [404 if who else 401] * len(PRIVATE)
