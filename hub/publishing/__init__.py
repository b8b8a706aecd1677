"""Publishing: the model card, what it must say, and the push to a Hub.

write_card(folder, task=task, report=report, data=splits.summary(), ...)
check_card(folder)                       # what the card lacks: nothing
push(folder, "my-hospital/my-model")     # private unless private=False
"""

from medhub.publishing.card import write_card
from medhub.publishing.completeness import check_card
from medhub.publishing.push import files_to_push, find_faults, push

__all__ = ["check_card", "files_to_push", "find_faults", "push", "write_card"]
