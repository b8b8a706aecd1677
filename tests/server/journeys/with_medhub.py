"""A model of the zoo: MedHub's push, from_pretrained, and what the Hub says of it."""

from huggingface_hub import HfApi

import medhub
from medhub.predictor import model_folder
from medhub.publishing import push

address = push(model_folder("clintox-toxicity"), "alice/clintox-toxicity")
assert address.endswith("/alice/clintox-toxicity"), address
aspirin = "CC(=O)Oc1ccccc1C(=O)O"
ours, theirs = (
    medhub.from_pretrained(name).predict(aspirin) for name in ("clintox-toxicity", "alice/clintox-toxicity")
)
assert ours.to_dict()["probabilities"] == theirs.to_dict()["probabilities"]
assert theirs.provenance.model == "alice/clintox-toxicity"
info = HfApi().model_info("alice/clintox-toxicity")
assert info.private
assert {"medhub", "safetensors", "task:chem/toxicity", "area:chem"} <= set(info.tags), info.tags
print("journey done")
