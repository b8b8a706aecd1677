"""Publishing: the model card, what it must say, the push to a Hub, and the Space of a demo.

write_card(folder, task=task, report=report, data=splits.summary(), ...)
check_card(folder)                       # what the card lacks: nothing
push(folder, "my-hospital/my-model")     # private unless private=False
render_space("my-hospital/my-model", folder)   # push_space(folder, "my-hospital/my-model-demo")
"""

from medhub.publishing.card import write_card
from medhub.publishing.completeness import check_card
from medhub.publishing.push import files_to_push, find_faults, push
from medhub.publishing.space import push_space, render_space

__all__ = ["check_card", "files_to_push", "find_faults", "push", "push_space", "render_space", "write_card"]
