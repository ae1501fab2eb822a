"""Which runs a metric reads to score a split, what the results are named, what they cost."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scoring.data.shards import ShardRecord
from scoring.registry import metric_or_prediction
from scoring.spec import Passes, Signal
from scoring.store.keys import Split, digest


@dataclass(frozen=True, kw_only=True)
class RunRef:
    """A finished run that a metric reads."""

    key: str
    parent: str = ""
    """The run it was fine-tuned from, for metrics that compare the two."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """How a metric is computed on the examples of a split."""

    metric: str
    config: object
    split: Split
    """The split of the examples."""
    runs: tuple[RunRef, ...]
    checkpoints: int = 0
    """Planned number of checkpoints of all its runs, to estimate the cost."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One metric to compute on one shard."""

    assignment: Assignment
    key: str
    """Name of the result."""


def score_key(how: Assignment, record: ShardRecord, every: int = 1) -> str:
    """Return the name of a metric's scores on a shard, or on every n-th row of it."""
    metric = metric_or_prediction(how.metric)
    content = replace(record, overlaid=(), as_given="")  # what the source says changes no score
    made_of = [how.metric, metric.version, how.config, how.runs, content]
    if metric.reads_seen or metric.reads_tally:
        # The two splits may hold the same shard, but runs saw only one of them.
        made_of.append(how.split)
    return digest(made_of if every == 1 else [*made_of, every])


def passes(assignments: Iterable[Assignment]) -> Passes:
    """Return the cost per example of all assignments together.

    Every run passes forward once, every checkpoint once and backward once for each kind of
    gradient, however many metrics read them.
    """
    forward = backward = 0.0
    outputs: set[str] = set()
    checkpoints: dict[str | None, int] = {}  # by kind of gradient; None: logits
    for how in assignments:
        metric = metric_or_prediction(how.metric)
        if metric.signal is Signal.BASE:
            cost = metric.passes(how.config)
            forward, backward = forward + cost.forward, backward + cost.backward
        elif metric.signal is Signal.CHECKPOINTS:
            checkpoints |= {None: how.checkpoints, metric.gradient: how.checkpoints}
        else:
            outputs |= {key for run in how.runs for key in (run.parent, run.key) if key}
    forward += len(outputs) + checkpoints.pop(None, 0)
    return Passes(forward=forward, backward=backward + sum(checkpoints.values()))
