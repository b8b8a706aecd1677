"""datasets: pushed in shards, loaded, streamed, replaced."""

from datasets import Dataset, DatasetDict, load_dataset, load_dataset_builder
from huggingface_hub import HfApi

rows = Dataset.from_dict({"text": [f"report {n}" for n in range(2000)], "label": [n % 3 for n in range(2000)]})
DatasetDict(train=rows, test=rows.select(range(100))).push_to_hub("alice/reports", private=True, max_shard_size="20KB")
loaded = load_dataset("alice/reports")
assert loaded["train"].to_dict() == rows.to_dict()
assert len(loaded["test"]) == 100
assert load_dataset_builder("alice/reports").info.splits["train"].num_examples == 2000
stream = load_dataset("alice/reports", split="train", streaming=True)
assert [row["text"] for row in stream.skip(1500).take(2)] == ["report 1500", "report 1501"]
rows.select(range(10)).push_to_hub("alice/reports", split="train", commit_message="smaller")
assert len(load_dataset("alice/reports", split="train", download_mode="force_redownload")) == 10
rows.select(range(5)).push_to_hub("alice/reports", config_name="second", create_pr=True)
info = HfApi().dataset_info("alice/reports")
assert info.private
assert info.card_data["dataset_info"]["features"], info.card_data
print("journey done")
