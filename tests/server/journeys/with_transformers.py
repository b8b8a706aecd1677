"""transformers: a model pushed to two branches, and loaded back."""

import torch
from huggingface_hub import HfApi
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
info = HfApi().model_info("alice/tiny-bert")
assert info.private
assert info.config["model_type"] == "bert"
assert "safetensors" in info.tags
assert info.safetensors.total == sum(weight.numel() for weight in model.parameters()), info.safetensors
assert HfApi().get_safetensors_metadata("alice/tiny-bert").parameter_count == info.safetensors.parameters
print("journey done")
