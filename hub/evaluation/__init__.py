"""What a model is worth: its scores, metrics with intervals beside the baselines', calibration, and the report.

report = evaluate(task, model, processor, splits, seed=0)
report.numbers["auroc"]        # Estimate(value=..., low=..., high=...)
print(report.to_markdown())
"""

from medhub.evaluation.bootstrap import Estimate, draw_groups, estimate, prepare_examples, replicate
from medhub.evaluation.calibration import (
    Calibration,
    Coverage,
    calibrate,
    conformal_thresholds,
    measure_coverage,
)
from medhub.evaluation.comparison import evaluate
from medhub.evaluation.report import Difference, Report, code_version
from medhub.evaluation.scores import predict_logits, predict_scores
from medhub.evaluation.subgroups import Subgroup, measure_subgroups

__all__ = [
    "Calibration",
    "Coverage",
    "Difference",
    "Estimate",
    "Report",
    "Subgroup",
    "calibrate",
    "code_version",
    "conformal_thresholds",
    "draw_groups",
    "estimate",
    "evaluate",
    "measure_coverage",
    "measure_subgroups",
    "predict_logits",
    "predict_scores",
    "prepare_examples",
    "replicate",
]
