"""A private data set, as its owner and as others."""

import os

from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetNotFoundError

if os.environ["ROLE"] == "owner":
    Dataset.from_dict({"a": [1]}).push_to_hub("alice/ward", private=True)
else:
    try:
        load_dataset("alice/ward")
        raise SystemExit("a stranger read it")
    except DatasetNotFoundError:
        print("not there")
