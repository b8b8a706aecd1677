"""Training: one loop on Accelerate, from one CPU process to many GPUs, that can be killed at any time and resumed."""

from medhub.training.launch import launch
from medhub.training.loop import Outcome, train
from medhub.training.progress import Progress
from medhub.training.settings import Settings

__all__ = ["Outcome", "Progress", "Settings", "launch", "train"]
