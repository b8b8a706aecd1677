"""datasets: push_to_hub, load_dataset, streaming, and a second push that replaces the first."""

from __future__ import annotations

from pathlib import Path


def test_datasets(served, tmp_path: Path) -> None:
    code = """
        from datasets import Dataset, DatasetDict, load_dataset, load_dataset_builder
        rows = Dataset.from_dict({"text": [f"report {n}" for n in range(2000)], "label": [n % 3 for n in range(2000)]})
        DatasetDict(train=rows, test=rows.select(range(100))).push_to_hub("alice/reports", private=True, max_shard_size="20KB")
        loaded = load_dataset("alice/reports")
        assert loaded["train"].to_dict() == rows.to_dict() and len(loaded["test"]) == 100
        assert load_dataset_builder("alice/reports").info.splits["train"].num_examples == 2000
        stream = load_dataset("alice/reports", split="train", streaming=True)
        assert [row["text"] for row in stream.skip(1500).take(2)] == ["report 1500", "report 1501"]
        rows.select(range(10)).push_to_hub("alice/reports", split="train", commit_message="smaller")
        assert len(load_dataset("alice/reports", split="train", download_mode="force_redownload")) == 10
        rows.select(range(5)).push_to_hub("alice/reports", config_name="second", create_pr=True)
        from huggingface_hub import HfApi
        info = HfApi().dataset_info("alice/reports")
        assert info.private and info.card_data["dataset_info"]["features"], info.card_data
        print("journey done")
    """
    assert "journey done" in served.python(code, tmp_path / "home")


def test_a_private_data_set_is_not_there_for_others(served, tmp_path: Path) -> None:
    code = """
        from datasets import Dataset, load_dataset
        from datasets.exceptions import DatasetNotFoundError
        import os
        if os.environ["ROLE"] == "owner":
            Dataset.from_dict({"a": [1]}).push_to_hub("alice/ward", private=True)
        else:
            try:
                load_dataset("alice/ward")
                raise SystemExit("a stranger read it")
            except DatasetNotFoundError:
                print("not there")
    """
    served.python(code, tmp_path / "a", ROLE="owner")
    assert "not there" in served.python(code, tmp_path / "b", "bob", ROLE="stranger")
    assert "not there" in served.python(code, tmp_path / "c", None, ROLE="stranger")
