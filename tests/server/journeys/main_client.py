"""huggingface_hub: create, upload, look, download at every kind of revision, change, delete; by Xet and by LFS."""

import filecmp
import os
import pathlib
import random

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils._runtime import is_xet_available

assert is_xet_available() == (os.environ.get("HF_HUB_DISABLE_XET") != "1")
api = HfApi()
assert api.whoami()["name"] == "alice"
repo = os.environ["REPO"]
assert api.create_repo(repo).repo_id == repo
assert api.create_repo(repo.upper(), exist_ok=True).repo_id == repo

folder = pathlib.Path("model")
folder.mkdir()
noise = random.Random(0)
(folder / "weights.bin").write_bytes(noise.randbytes(20_000_000))
(folder / "empty.txt").write_bytes(b"")
(folder / "config.json").write_text('{"architectures": ["Net"]}')
(folder / "sub dir").mkdir()
(folder / "sub dir" / "ünï#%?.txt").write_text("named oddly")
(folder / "README.md").write_text("---\nlicense: mit\ntags: [radiology]\n---\n# A model\n")
first = api.upload_folder(repo_id=repo, folder_path=folder)
again = api.upload_folder(repo_id=repo, folder_path=folder)
assert first.oid == again.oid == api.repo_info(repo).sha, "nothing new, no commit"

info = api.model_info(repo, files_metadata=True)
files = {file.rfilename: file for file in info.siblings}
assert set(files) == {".gitattributes", "README.md", "config.json", "empty.txt", "sub dir/ünï#%?.txt", "weights.bin"}
assert files["weights.bin"].size == 20_000_000
assert files["weights.bin"].lfs.size == 20_000_000
assert info.private
assert "radiology" in info.tags
assert "license:mit" in info.tags
assert info.card_data.license == "mit"

api.create_tag(repo, tag="v1")
api.create_branch(repo, branch="wip/next")
api.upload_file(
    repo_id=repo, path_or_fileobj=noise.randbytes(3_000_000), path_in_repo="weights.bin", revision="wip/next"
)
pull = api.upload_file(repo_id=repo, path_or_fileobj=b"better", path_in_repo="notes.txt", create_pr=True)
assert pull.pr_num == 1, pull
assert pull.pr_revision == "refs/pr/1", pull

expected = {first.oid: 20_000_000, "main": 20_000_000, "v1": 20_000_000, "wip/next": 3_000_000, "refs/pr/1": 20_000_000}
for revision, size in expected.items():
    place = pathlib.Path(snapshot_download(repo, revision=revision, cache_dir=f"cache-{size}"))
    assert (place / "weights.bin").stat().st_size == size, revision
    assert (place / "notes.txt").exists() == (revision == "refs/pr/1")
    if size == 20_000_000:
        for name in ("weights.bin", "empty.txt", "config.json", "sub dir/ünï#%?.txt"):
            assert filecmp.cmp(place / name, folder / name, shallow=False), name
same = snapshot_download(repo, local_dir="plain")
assert filecmp.cmp(f"{same}/weights.bin", folder / "weights.bin", shallow=False)

done = api.create_commit(
    repo,
    commit_message="move",
    operations=[
        CommitOperationCopy(src_path_in_repo="weights.bin", path_in_repo="renamed.bin"),
        CommitOperationDelete(path_in_repo="weights.bin"),
        CommitOperationDelete(path_in_repo="sub dir/"),
        CommitOperationAdd(path_in_repo="new.txt", path_or_fileobj=b"new"),
    ],
    parent_commit=first.oid,
)
assert set(api.list_repo_files(repo)) == {
    ".gitattributes",
    "README.md",
    "config.json",
    "empty.txt",
    "new.txt",
    "renamed.bin",
}
assert filecmp.cmp(hf_hub_download(repo, "renamed.bin"), folder / "weights.bin", shallow=False)
try:
    api.create_commit(
        repo, commit_message="late", operations=[CommitOperationDelete(path_in_repo="new.txt")], parent_commit=first.oid
    )
except HfHubHTTPError as error:
    refusal = error
else:
    raise SystemExit("a commit on a stale parent landed")
assert refusal.response.status_code == 412, refusal
for wrong, kind in (
    (dict(filename="absent"), EntryNotFoundError),
    (dict(filename="new.txt", revision="no"), RevisionNotFoundError),
    (dict(filename="new.txt", repo_id="alice/absent"), RepositoryNotFoundError),
):
    try:
        hf_hub_download(**{"repo_id": repo, **wrong})
        raise SystemExit(f"{wrong} was found")
    except kind:
        pass
other = repo + "-copy"
api.create_repo(other)
if is_xet_available():
    api.create_commit(
        other,
        commit_message="copy",
        operations=[
            CommitOperationCopy(
                src_path_in_repo="renamed.bin", path_in_repo="a.bin", src_repo_id=repo, src_repo_type="model"
            )
        ],
    )
    assert filecmp.cmp(hf_hub_download(other, "a.bin"), folder / "weights.bin", shallow=False)

titles = [commit.title for commit in api.list_repo_commits(repo)]
assert titles[0] == "move", titles
assert len(titles) == 3, titles
api.merge_pull_request(repo, 1)
assert "notes.txt" in api.list_repo_files(repo)
api.move_repo(from_id=repo, to_id=repo + "-moved")
assert filecmp.cmp(hf_hub_download(repo, "renamed.bin", cache_dir="moved"), folder / "weights.bin", shallow=False)
api.delete_repo(repo + "-moved")
api.delete_repo(other)
assert not api.repo_exists(repo)
print("journey done")
