"""huggingface_hub 0.36.2: the older words of the protocol."""

import filecmp
import pathlib
import random

import huggingface_hub
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.utils import RepositoryNotFoundError

assert huggingface_hub.__version__ == "0.36.2"
api = HfApi()
api.create_repo("alice/old", private=True)
api.create_repo("alice/old", exist_ok=True)
folder = pathlib.Path("model")
folder.mkdir()
(folder / "weights.bin").write_bytes(random.Random(0).randbytes(15_000_000))
(folder / "README.md").write_text("---\nlicense: mit\n---\n# Old\n")
first = api.upload_folder(repo_id="alice/old", folder_path=folder)
assert api.upload_folder(repo_id="alice/old", folder_path=folder).oid == first.oid
place = pathlib.Path(snapshot_download("alice/old"))
assert filecmp.cmp(place / "weights.bin", folder / "weights.bin", shallow=False)
info = api.model_info("alice/old", files_metadata=True)
assert info.private
assert info.sha == first.oid
assert [model.id for model in api.list_models(author="alice", search="old", full=True)] == ["alice/old"]
api.create_branch("alice/old", branch="next")
pull = api.upload_file(repo_id="alice/old", path_or_fileobj=b"x", path_in_repo="x.txt", create_pr=True)
api.merge_pull_request("alice/old", pull.pr_num)
assert "x.txt" in api.list_repo_files("alice/old")
api.update_repo_settings("alice/old", private=False)
assert not api.model_info("alice/old").private
api.delete_repo("alice/old")
try:
    api.model_info("alice/old")
    raise SystemExit("found what was deleted")
except RepositoryNotFoundError:
    print("journey done")
