"""What can still be published when runs failed, or when the night's hours are over."""

from collections.abc import Sequence
from dataclasses import replace

from ray_jobs.night.plan import Plan, prediction_signal
from ray_jobs.night.request import Request
from scoring.errors import IncompleteError
from scoring.folds.prediction import PREDICTED
from scoring.runs.record import Run


def without_runs(night: Plan, missing: Sequence[Run], why: str) -> Request:
    """The same request for the metrics that read none of the missing runs.

    Args:
        night: the plan whose runs were to be trained.
        missing: those that are not there.
        why: what to say of them.

    Raises:
        IncompleteError: no metric is left, or the predictions lack their run.
    """
    lost = {run.key for run in missing}
    spoilt = {
        partition.spec.name
        for partition in night.partitions
        if any({run.key, run.parent} & lost for run in partition.runs)
    }
    left = tuple(spec for spec in night.asked.metrics if spec.name not in spoilt)
    asked = replace(night.asked, metrics=left)
    if not left:
        raise IncompleteError(f"{why}; nothing was published")
    if any(run.key in lost for run in night.models.runs(prediction_signal(asked), "train")):
        raise IncompleteError(f"{why}, without which nothing is predicted; nothing was published")
    return asked


def only_staged(night: Plan, why: str) -> Request:
    """The same request for the metrics that are scored on every shard.

    Raises:
        IncompleteError: there is none.
    """
    unstaged = {task.assignment.metric for work in night.to_score for task in work.missing}
    left = tuple(spec for spec in night.asked.metrics if spec.name not in unstaged)
    if not left or PREDICTED.name in unstaged:
        raise IncompleteError(f"{why}; nothing was published")
    return replace(night.asked, metrics=left)
