"""What can still be published when runs failed or the night ran out of time."""

from collections.abc import Sequence
from dataclasses import replace

from ray_jobs.night.plan import Plan
from ray_jobs.night.request import Request
from scoring.errors import IncompleteError
from scoring.folds.prediction import PREDICTED
from scoring.runs.record import Run


def without_runs(plan: Plan, missing: Sequence[Run], reason: str) -> Request:
    """The same request, limited to the metrics that read none of the missing runs.

    Args:
        plan: the night whose runs were to be trained.
        missing: runs that are not there.
        reason: why they are missing, for the error message.

    Raises:
        IncompleteError: no metric is left, or predictions lack their runs.
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
        raise IncompleteError(f"{reason}, without which nothing is predicted; nothing published")
    return request


def only_staged(plan: Plan, reason: str) -> Request:
    """The same request, limited to the metrics whose scores of every shard are staged.

    Raises:
        IncompleteError: there are none.
    """
    unstaged = {task.assignment.metric for work in plan.to_score for task in work.missing}
    left = tuple(metric for metric in plan.request.metrics if metric.name not in unstaged)
    if not left or PREDICTED.name in unstaged:
        raise IncompleteError(f"{reason}; nothing was published")
    return replace(plan.request, metrics=left)
