"""What a night can still publish if runs failed or time ran out."""

from collections.abc import Sequence
from dataclasses import replace

from ray_jobs.night.plan import Plan
from ray_jobs.night.request import Request
from scoring.errors import IncompleteError
from scoring.folds.prediction import PREDICTED
from scoring.folds.probabilities import PROBABILITIES
from scoring.runs.record import Run


def without_runs(plan: Plan, missing: Sequence[Run], reason: str) -> Request:
    """Limit a request to the metrics that read none of the missing runs.

    Args:
        plan: the night.
        missing: runs that it needs and that do not exist.
        reason: why, for the error message.

    Raises:
        IncompleteError: no metric is left, or classes cannot be predicted without those runs.
    """
    lost = {run.key for run in missing}
    spoilt = {
        partition.metric.name
        for partition in plan.partitions
        if any({run.key, run.parent} & lost for run in partition.runs)
    }
    left = tuple(metric for metric in plan.request.metrics if metric.name not in spoilt)
    if not left:
        raise IncompleteError(f"{reason}; nothing was published")
    request = replace(plan.request, metrics=left)
    signal = replace(plan.situation, request=request).prediction_signal
    if any(run.key in lost for run in plan.models.runs(signal, "train")):
        raise IncompleteError(f"{reason}; nothing was published, because they predict the classes")
    return request


def only_staged(plan: Plan, reason: str) -> Request:
    """Limit a request to the metrics whose scores of every shard are staged.

    Args:
        plan: the night, planned again after scoring stopped.
        reason: why it stopped, for the error message.

    Raises:
        IncompleteError: there are none, or the predicted classes are not staged.
    """
    unstaged = {task.assignment.metric for work in plan.to_score for task in work.missing}
    left = tuple(metric for metric in plan.request.metrics if metric.name not in unstaged)
    if not left or PREDICTED.name in unstaged:
        raise IncompleteError(f"{reason}; nothing was published")
    return replace(plan.request, metrics=left, probabilities=PROBABILITIES.name not in unstaged)
