"""Attribution methods that plugins choose from, all through Captum: which inputs spoke for an output.

Each takes the model and one batch as `Processor.collate` made it, and returns the attribution of one output.
`label` is the index of that output in `logits` of shape (batch, labels). The model's mode and gradients stay as they
were.
"""

from medhub.explain.attribution import grad_cam, hires_cam, integrated_gradients

__all__ = ["grad_cam", "hires_cam", "integrated_gradients"]
