"""A demo as a Space: written, pushed, linked on the model's card, fetched, and run alone as a Space is."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gradio_client import Client
from huggingface_hub import HfApi, ModelCard, SpaceCard, snapshot_download

from medhub.errors import PublishError
from medhub.predictor import model_folder
from medhub.publishing import push, push_space, render_space

MODEL, SPACE = "alice/spaced", "alice/spaced-demo"
push(model_folder("clintox-toxicity"), MODEL)

folder = render_space(MODEL, "written")
assert sorted(path.name for path in folder.iterdir()) == ["README.md", "app.py", "requirements.txt"]
address = push_space(folder, SPACE, model=MODEL)
info = HfApi().space_info(SPACE)
assert info.private
assert info.sdk == "gradio", info
assert info.models == [MODEL], info.models
card = SpaceCard.load(SPACE)
assert f"gradio=={card.data.sdk_version}\n" in (folder / "requirements.txt").read_text()
assert "For research only" in card.text

for _ in range(2):  # a second push leaves one link
    assert ModelCard.load(MODEL).text.count(f"**Demo:** [{SPACE}]({address})") == 1
    push_space(folder, SPACE, model=MODEL)
with pytest.raises(PublishError, match="push it first"):  # no other machine could run a Space of a folder
    render_space(str(folder), "elsewhere")

alone = Path(tempfile.mkdtemp())
snapshot_download(SPACE, repo_type="space", local_dir=alone)
environment = {**os.environ, "SYSTEM": "spaces", "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONUNBUFFERED": "1"}
with subprocess.Popen([sys.executable, "app.py"], cwd=alone, env=environment, stdout=subprocess.PIPE, text=True) as app:
    try:
        said = next(line for line in app.stdout if line.startswith("demo: "))
        answer = Client(said.split()[1], verbose=False).predict("CC(=O)Oc1ccccc1C(=O)O", api_name="/predict")
        app.send_signal(signal.SIGINT)
        app.wait(timeout=60)
    finally:
        app.kill()
assert "CT_TOX" in answer[0], answer
(record,) = (value for value in answer if isinstance(value, dict) and "provenance" in value)
assert record["provenance"]["model"] == MODEL, record
print("journey done")
