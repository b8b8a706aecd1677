"""What Trainer writes beside the weights is a pickle."""

import torch
from huggingface_hub import HfApi

api = HfApi()
api.create_repo("alice/pickled")
torch.save({"a": torch.zeros(3)}, "training_args.bin")
try:
    api.upload_file(repo_id="alice/pickled", path_or_fileobj="training_args.bin", path_in_repo="training_args.bin")
    raise SystemExit("the Hub took a pickle")
except Exception as error:
    print(error)
assert "training_args.bin" not in api.list_repo_files("alice/pickled")
