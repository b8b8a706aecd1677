"""transformers: push_to_hub, from_pretrained, and MedHub's own Auto classes and loader on the same repository."""

from __future__ import annotations

from pathlib import Path


def test_transformers_push_and_load(served, tmp_path: Path) -> None:
    code = """
        import torch
        from transformers import AutoConfig, AutoModel, BertConfig, BertModel
        config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
        model = BertModel(config).eval()
        model.push_to_hub("alice/tiny-bert", private=True)
        model.push_to_hub("alice/tiny-bert", revision="other", commit_message="elsewhere")
        ids = torch.arange(10)[None]
        for revision in ("main", "other"):
            loaded = AutoModel.from_pretrained("alice/tiny-bert", revision=revision)
            torch.testing.assert_close(loaded(ids).last_hidden_state, model(ids).last_hidden_state)
        assert AutoConfig.from_pretrained("alice/tiny-bert").hidden_size == 32
        from huggingface_hub import HfApi
        info = HfApi().model_info("alice/tiny-bert")
        assert info.private and info.config["model_type"] == "bert" and "safetensors" in info.tags
        assert info.safetensors.total == sum(weight.numel() for weight in model.parameters()), info.safetensors
        assert HfApi().get_safetensors_metadata("alice/tiny-bert").parameter_count == info.safetensors.parameters
        print("journey done")
    """
    assert "journey done" in served.python(code, tmp_path / "home")


def test_medhub_push_and_load(served, tmp_path: Path) -> None:
    """A model of the zoo goes to the Hub with MedHub's push, and comes back through from_pretrained and through Auto classes."""
    code = """
        from pathlib import Path
        import medhub, medhub.auto
        from medhub.publishing import push
        from medhub.registry import zoo_models
        from transformers import AutoModelForSequenceClassification
        folder = Path(medhub.zoo.__path__[0]) / "clintox-toxicity" if hasattr(medhub, "zoo") else None
        from medhub.predictor import model_folder
        folder = model_folder("clintox-toxicity")
        address = push(folder, "alice/clintox-toxicity")
        assert address.endswith("/alice/clintox-toxicity"), address
        aspirin = "CC(=O)Oc1ccccc1C(=O)O"
        ours, theirs = (medhub.from_pretrained(name).predict(aspirin) for name in ("clintox-toxicity", "alice/clintox-toxicity"))
        assert ours.to_dict()["probabilities"] == theirs.to_dict()["probabilities"]
        assert theirs.provenance.model == "alice/clintox-toxicity"
        from huggingface_hub import HfApi
        info = HfApi().model_info("alice/clintox-toxicity")
        assert info.private and {"medhub", "safetensors", "task:chem/toxicity", "area:chem"} <= set(info.tags), info.tags
        print("journey done")
    """
    assert "journey done" in served.python(code, tmp_path / "home")


def test_what_trainer_leaves_behind_is_refused_with_the_cure(served, tmp_path: Path) -> None:
    """Trainer writes its settings as a pickle; the Hub says so before any byte travels."""
    code = """
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
    """
    out = served.python(code, tmp_path / "home")
    assert "training_args.bin" in out
    assert "safetensors" in out
