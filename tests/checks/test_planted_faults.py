"""Each rule fails on a plugin with that fault planted, and says the cure; the other rules hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import medhub
from medhub.checks import RULES, run_checks

ELSEWHERE = {"baselines", "card", "explanation", "demo", "two-processes"}
"""Slow rules, which run against faults of their own only."""

Plugin = Callable[..., medhub.Task]


@dataclass(frozen=True)
class Fault:
    """A fault by the rule that finds it: in `file`, `old` becomes `new`, and the rule's message holds `cure`."""

    rule: str
    name: str
    file: str
    old: str
    new: str
    cure: str
    also: frozenset[str] = frozenset()
    """Rules that the same fault cannot but break too."""

    def plant(self, folder: Path) -> None:
        """Change the plugin in `folder`; an empty `old` makes a new file, an empty `new` with it removes the file."""
        file = folder / self.file
        if self.old:
            text = file.read_text(encoding="utf-8")
            assert self.old in text, f"{self.file} of the template no longer holds {self.old!r}"
            file.write_text(text.replace(self.old, self.new), encoding="utf-8")
        elif self.new:
            file.write_text(self.new, encoding="utf-8")
        else:
            file.unlink()


def declared(**changes: str) -> str:
    """Return the declaration of a data set that is in order but for `changes`."""
    fields = {
        "name": '"beats"', "version": '"1"', "title": '"Beats"', "licence": '"CC0"', "citation": '"Nobody 2026"',
        "homepage": '"https://example.org"', "group_by": '"patient"', "load": "own_files", "splits": '("group",)',
        "files": 'File(name="beats.csv", sha256="0" * 64, bytes=1),', **changes,
    }  # fmt: skip
    fields["files"] = f"({fields['files']})"
    arguments = ", ".join(f"{name}={value}" for name, value in fields.items())
    return f'\n\nfrom medhub.data import File\n\nDATASETS["beats"] = Source({arguments})\n'


EXTRA = "    return Table(rows=Dataset.from_list(rows), label_names=names)\n"
"""The last line of data.py, after which a declaration can stand."""
DATASETS = "DATASETS: dict[str, Source] = {}\n"
DRAW = "random = np.random.default_rng(seed)\n    rows = []\n    for number in range(size):\n"
FEATURES = "    def features("
INDEX = "        index = model.config"
INIT = "        self.post_init()\n"
LOGITS = "        logits = self.network(intervals, lengths)\n"
LOSS = "loss = None if labels is None else classification_loss(logits, labels, sample_weight=sample_weight)"
MEAN = "        mean = hidden.sum(-1) / lengths[:, None]\n"
MODEL = "    config_class = PlantedFaultConfig\n"
NETWORK = "        self.network = NETWORKS"
RAGGED = "    RAGGED: ClassVar"
READ = "        try:\n            values = raw.replace"
ROW = '"group": f"patient {patient}"'
TINY = "    @classmethod\n    def tiny("

METRICS = '"""Own metrics."""\n\nfrom medhub.metrics import METRICS as CORE\nfrom medhub.metrics import Metric\n\n'
FEW = '''def accuracy(scores, targets):
    """Fail where rows are few."""
    return CORE["accuracy"].compute(scores, targets) if len(targets) > 20 else 1 / 0


METRICS = {"accuracy": Metric("accuracy", accuracy, best=1.0)}
'''
LOAD = '''    @classmethod
    def load(cls, folder):
        """Take what is known."""
        import json
        from pathlib import Path

        values = json.loads((Path(folder) / "processor.json").read_text())
        return cls(mean=values["mean"], deviation=values["deviation"])

'''
RESULT = '    def result(self, sample, scores, config):\n        """Return a dict."""\n        return {}\n\n'
OTHER_PLUGIN = '''def molecules():
    """Import."""
    from medhub.plugins.chem import toxicity
    return toxicity


'''

# a score that depends on chance does so in every rule that compares scores
COMPARED = frozenset({"neighbours", "padding", "weights"})
TRAINED = frozenset({"gradients", "overfit", "seed", "bf16"})

FAULTS = (
    Fault("files", "no baselines.py", "baselines.py", "", "", "write what `medhub new` writes"),
    Fault("names", "model type", "config.py", '"medhub_planted_fault"', '"medhub_planted"',
          "set it to 'medhub_planted_fault'", frozenset({"prediction"})),
    Fault("names", "auto class", "__init__.py", "ForSequenceClassification", "ForSequenceClasification",
          "did you mean 'AutoModelForSequenceClassification'?"),
    Fault("registration", "imports a model", "__init__.py", "import medhub\n", "import medhub\n\nfrom . import model\n",
          "import only medhub"),
    Fault("registration", "logic", "__init__.py", "import medhub\n", "import medhub\n\nNAMES = [1, 2]\n",
          "move them to model.py"),
    Fault("docstrings", "a function", "data.py", DATASETS, DATASETS + "\n\ndef load(paths):\n    return paths\n",
          "say in one line what it does"),
    Fault("docstrings", "a file", "baselines.py", '"""What the network must beat', '""; """What the network must beat',
          "say in one line what it holds"),
    Fault("medhub-imports", "from above", "config.py", "from medhub.modeling import MedConfig\n",
          "from medhub.modeling import MedConfig\nfrom medhub.training import Settings\n", "stands above the plugins"),
    Fault("medhub-imports", "private", "model.py", "import MedModel, ", "import _some, MedModel, ", "use a public one"),
    Fault("medhub-imports", "not exported", "data.py", DATASETS,
          "from medhub.data.splits import split_table\n" + DATASETS, "import one of its public names: Batches"),
    Fault("medhub-imports", "another plugin", "data.py", DATASETS, OTHER_PLUGIN + DATASETS,
          "what several tasks need stands in plugins/planted/"),
    Fault("optional-imports", "at the top", "processing.py", "import numpy as np\n",
          "import numpy as np\nimport rdkit\n", "move the import into the functions"),
    Fault("safety", "pickle", "data.py", "import csv\n", "import csv\nimport pickle\n", "use JSON or safetensors"),
    Fault("safety", "torch.load", "model.py", INIT, INIT + "        if False:\n            torch.load('x')\n",
          "use JSON or safetensors"),
    Fault("safety", "remote code", "model.py", INIT, INIT + "        dict(trust_remote_code=True)\n", "leave it out"),
    Fault("page", "no limits", "README.md", "## Limits", "## Issues", "Write it under '## Limits'"),
    Fault("page", "order", "README.md", "## Preprocess", "## Evaluate\n\nFirst.\n\n## Preprocess", "order them as"),
    Fault("exemptions", "unknown", "checks.py", "", '"""Exemptions."""\n\nEXEMPTIONS = {"overfit": "large"}\n',
          "did you mean 'overfit[cnn]'?"),
    Fault("exemptions", "no reason", "checks.py", "", '"""Exemptions."""\n\nEXEMPTIONS = {"two-processes": " "}\n',
          "say why"),
    Fault("networks", "setting", "config.py", '"epochs"', '"epoch"', "did you mean 'epochs'?"),
    Fault("networks", "training of none", "config.py", '"default": {', '"cnnn": {', "did you mean 'cnn'?"),
    Fault("synthetic", "no seed", "data.py", "default_rng(seed)", "default_rng()", "default_rng(seed)"),
    Fault("synthetic", "one seed", "data.py", "default_rng(seed)", "default_rng(7)", "default_rng(seed)"),
    Fault("synthetic", "network", "data.py", DRAW, "import socket\n    socket.getaddrinfo('127.0.0.1', 9)\n    " + DRAW,
          "make the rows from the seed alone"),
    Fault("rows", "number", "data.py", "in range(size)", "in range(size + 2)", "make as many as were asked for"),
    Fault("rows", "no group", "data.py", ROW, '"group": f"{patient}" if patient else ""', "such as its patient"),
    Fault("datasets", "default", "__init__.py", '"synthetic"', '"sinthetic"', "did you mean 'synthetic'?"),
    Fault("datasets", "name", "data.py", EXTRA, EXTRA + declared(name='"beat"'), "give both the same name"),
    Fault("datasets", "licence", "data.py", EXTRA, EXTRA + declared(licence='""'), "a model card cannot go without it"),
    Fault("datasets", "hash", "data.py", EXTRA, EXTRA + declared(files='File(name="a.csv", sha256="abc", bytes=1),'),
          "the output of sha256sum"),
    Fault("datasets", "random", "data.py", EXTRA, EXTRA + declared(splits='("random",)'),
          "put 'official' or 'group' first"),
    Fault("own-files", "not there", "data.py", "except (OSError, UnicodeDecodeError, csv.Error)", "except csv.Error",
          "raise InputError, saying the cure"),
    Fault("own-files", "nameless", "data.py", 'f"{path} has no rows', 'f"there are no rows', "name the file"),
    Fault("own-files", "empty is fine", "data.py", "    if not records:\n",
          "    if not records:\n        return synthetic()\n    if not records:\n", "raise InputError that says"),
    Fault("splits", "one group", "data.py", ROW, '"group": "everybody"', "see the column 'group'"),
    Fault("splits", "official", "data.py", ROW, ROW + ', "split": ("train", "validation", "test")[number % 3]',
          "see the column 'group'"),
    Fault("splits", "one input twice", "data.py", DRAW, DRAW + "        random = np.random.default_rng(number % 8)\n",
          "give equal inputs one group", frozenset({"synthetic"})),
    Fault("metrics", "best", "metrics.py", "",
          METRICS + 'METRICS = {"accuracy": Metric("accuracy", CORE["accuracy"].compute, best=100.0)}\n',
          "correct its compute, best or chance"),
    Fault("metrics", "chance", "metrics.py", "",
          METRICS + 'METRICS = {"mcc": Metric("mcc", CORE["mcc"].compute, best=1.0, chance=0.5)}\n',
          "correct its compute, best or chance"),
    Fault("baselines", "shape", "baselines.py", "return scores\n", "return scores[:, 1]\n", "the network's have"),
    Fault("baselines", "chance", "baselines.py", "return scores\n",
          "return scores + np.random.default_rng().random(scores.shape)\n", "pass `seed` on"),
    Fault("config", "not JSON", "config.py", "    layers: int = 3\n",
          "    layers: int = 3\n    scales: tuple = (1, 2)\n", "a type that JSON keeps"),
    Fault("config", "swallows keys", "config.py", TINY, "    def __post_init__(self, **kwargs: Any) -> None:\n"
          "        super().__post_init__()\n\n" + TINY, "call super().__post_init__(**kwargs)"),
    Fault("forward", "loss without labels", "model.py", LOSS,
          "loss = logits.sum() if labels is None else classification_loss(logits, labels)", "unless labels are given"),
    Fault("forward", "a loss an example", "model.py", LOSS,
          "loss = None if labels is None else nn.functional.cross_entropy(logits, labels, reduction='none')",
          "see classification_loss", TRAINED),
    Fault("determinism", "dropout always", "model.py", MEAN, MEAN + "        mean = nn.functional.dropout(mean, 0.5)\n",
          "use nn.Dropout", COMPARED),
    Fault("neighbours", "batch mean", "model.py", MEAN, MEAN + "        mean = mean - mean.mean(0)\n",
          "normalise each input by itself", frozenset({"padding"})),
    Fault("padding", "no mask", "model.py", "convolution(hidden).relu() * mask", "convolution(hidden).relu()",
          "mask what lies beyond `lengths`"),
    Fault("padding", "mean over all", "model.py", "hidden.sum(-1) / lengths[:, None]", "hidden.mean(-1)",
          "divide means by the true length"),
    Fault("weights", "stray tensor", "model.py", MEAN,
          "        if not hasattr(self, 'scale'):\n            self.scale = torch.rand(1)\n"
          + MEAN + "        mean = mean * self.scale\n", "a parameter or a buffer"),
    Fault("weights", "lenient", "model.py", MODEL,
          "    _refuse_misfits = classmethod(lambda cls, place, info: None)\n" + MODEL, "do not override"),
    Fault("gradients", "unused layer", "model.py", INIT, "        self.unused = nn.Linear(2, 2)\n" + INIT,
          "use it in forward, remove it"),
    Fault("overfit", "labels out of order", "model.py", LOGITS, LOGITS + "        if labels is not None:\n"
          "            labels = labels[torch.randperm(len(labels))]\n", "labels reach the loss in their order"),
    Fault("seed", "chance of its own", "model.py", INIT, INIT + "        import time\n\n        with torch.no_grad():\n"
          "            self.network.head.bias += time.perf_counter_ns() % 1000 * 1e-6\n", "torch's global generator"),
    Fault("seed", "seed of its own", "model.py", NETWORK, "        torch.manual_seed(0)\n" + NETWORK,
          "do not set a seed"),
    Fault("bf16", "small differences", "model.py", LOGITS, LOGITS + "        one = logits.detach() * 0 + 1\n"
          "        logits = logits * 0.001 / ((one + 0.001) - one)\n", "in float32"),
    Fault("processor", "fitted by chance", "processing.py", "mean=float(intervals.mean())",
          "mean=float(intervals.mean() + np.random.default_rng().normal())", "draw nothing"),
    Fault("processor", "not JSON", "processing.py", RAGGED, "    limits: tuple = (1, 2)\n\n" + RAGGED,
          "types that JSON keeps"),
    Fault("processor", "swallows keys", "processing.py", FEATURES, LOAD + FEATURES, "do not override"),
    Fault("bad-input", "accepted", "processing.py", READ, "        raw = raw or [800] * 9\n" + READ,
          "raise InputError for what cannot be parsed"),
    Fault("bad-input", "wrong error", "processing.py", "except (TypeError, ValueError)", "except ValueError",
          "raise InputError, saying the cure"),
    Fault("prediction", "a dict", "processing.py", FEATURES, RESULT + FEATURES, "return a medhub.results.Prediction"),
    Fault("prediction", "not JSON", "processing.py", 'return f"{len(sample)}',
          'return {1, 2}\n        return f"{len(sample)}', "keep numbers, strings and lists"),
    Fault("prediction", "any processor", "processing.py", FEATURES, '    sha256 = "0"\n\n' + FEATURES,
          "do not override sha256"),
    Fault("explanation", "no picture", "processing.py", "parts, picture=picture", "parts, picture=None",
          "draw its values"),
    Fault("explanation", "no legend", "processing.py", 'legend = "red intervals speak for it, blue ones against it"',
          'legend = ""', "say what its colours mean"),
    Fault("explanation", "not finite", "processing.py", "values=values, ", "values=values * np.nan, ",
          "must be finite"),
    Fault("explanation", "parts", "processing.py", "for place in range(len(sample)))", "for place in range(3))",
          "give one value a part"),
    Fault("explanation", "training mode", "processing.py", INDEX, "        model.train()\n" + INDEX,
          "use the methods of medhub.explain"),
    Fault("demo", "refused example", "demo.py", "    return {\n", '    return {"wrong": ["none"]} or {\n',
          "give examples that run"),
    Fault("demo", "no example", "demo.py", "    return {\n", "    return {} and {\n",
          "give rows that a visitor can try"),
    Fault("demo", "odd example", "demo.py", "    return {\n", "    return {'odd': [1, 2]} or {\n",
          "one value an input"),
    Fault("demo", "not to be shown", "demo.py", "gradio.HTML()", "gradio.Dataframe()", "give what it takes"),
    Fault("demo", "values", "demo.py", "result.probabilities)]", "result.probabilities), 1]", "one value for each"),
    Fault("card", "settings that diverge", "config.py", "3e-3", "3e30", "ower the learning rate"),
    Fault("card", "a metric that fails", "metrics.py", "", METRICS + FEW, "metrics.py:8"),
    Fault("two-processes", "own updates", "model.py", LOGITS, "        import os\n\n        with torch.no_grad():\n"
          "            self.network.head.bias += int(os.environ.get('RANK', 0))\n" + LOGITS,
          "through their gradients alone"),
    Fault("two-processes", "unused layer", "model.py", INIT, "        self.unused = nn.Linear(2, 2)\n" + INIT,
          "every weight must take part"),
)  # fmt: skip


def parameters() -> list:
    """Return the faults as pytest's parameters; those that start processes are marked."""
    marks = {"two-processes": pytest.mark.multiprocess}
    return [pytest.param(fault, id=f"{fault.rule}: {fault.name}", marks=marks.get(fault.rule, ())) for fault in FAULTS]


@pytest.mark.parametrize("fault", parameters())
def test_a_planted_fault_is_found(fault: Fault, plugin: Plugin) -> None:
    only = {fault.rule} if fault.rule in ELSEWHERE else {rule.name for rule in RULES} - ELSEWHERE
    outcomes = run_checks(plugin(fault.plant), only=only)
    broken = {outcome.rule.name: outcome.message for outcome in outcomes if not outcome.passed}
    assert fault.cure in broken.get(fault.rule, "nothing was found")
    assert {*broken} - {fault.rule} <= fault.also, broken


@pytest.mark.multiprocess
def test_the_template_keeps_every_rule(plugin: Plugin) -> None:
    outcomes = [*run_checks(plugin())]
    assert {outcome.rule for outcome in outcomes} == {*RULES}
    assert [(outcome.name, outcome.message) for outcome in outcomes if not outcome.passed] == []


def test_every_rule_has_a_planted_fault_and_a_sentence() -> None:
    assert {fault.rule for fault in FAULTS} == {rule.name for rule in RULES}
    for rule in RULES:
        assert rule.sentence.endswith("."), rule.name
    assert len({rule.name for rule in RULES}) == len(RULES)
