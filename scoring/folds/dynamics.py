"""Training dynamics: a statistic of each checkpoint's logits, summed up over a run, then over runs.

The fold that metrics share which look at the label. Of a run [K, N] numbers are held for the N
examples of a batch; the value is the mean over runs, `spread` the population standard deviation.
A model of an ensemble is a run of one checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scoring.arrays import Floats, Ints
from scoring.folds.moments import Moments
from scoring.spec import Batch, Columns, Output, Passes

UNLABELLED = "unlabelled"
OfCheckpoint = Callable[[Tensor, Tensor], Tensor]
"""(logits [N, C] float64, labels [N] int64) -> [N]."""
OfRun = Callable[[Floats], Floats]
"""What checkpoints gave, [K, N], -> [N]."""


@dataclass(frozen=True, kw_only=True)
class State:
    """A fold under way."""

    labels: Ints
    of_checkpoint: OfCheckpoint
    of_run: OfRun
    run: tuple[Floats, ...] = ()
    """[N] for each checkpoint of the run under way."""
    at: int = 0
    """Which run that is."""
    runs: Moments


def begin(batch: Batch, of_checkpoint: OfCheckpoint, of_run: OfRun) -> State:
    """Begin with no checkpoint seen of N examples."""
    return State(
        labels=batch.labels,
        of_checkpoint=of_checkpoint,
        of_run=of_run,
        runs=Moments.of(len(batch.labels)),
    )


def update(state: State, output: Output) -> State:
    """Add one checkpoint."""
    run = output.checkpoint.run if output.checkpoint else state.at + 1
    if run != state.at:
        state = replace(_closed(state), at=run)
    logits = output.logits.double()
    labels = torch.from_numpy(state.labels).to(logits.device).clamp(min=0)
    seen: Floats = state.of_checkpoint(logits, labels).double().cpu().numpy()
    return replace(state, run=(*state.run, seen))


def finish(state: State) -> Columns:
    """Mean and spread over runs, [N] float64 each; NaN, "unlabelled", without a label."""
    runs = _closed(state).runs
    unlabelled = state.labels < 0
    return Columns(
        value=np.where(unlabelled, np.nan, runs.mean()),
        spread=np.where(unlabelled, np.nan, runs.std()),
        status=np.where(unlabelled, UNLABELLED, ""),
    )


def passes(config: object) -> Passes:
    """One forward pass of each checkpoint or model."""
    return Passes(forward=1)


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest logit is the label's, [N] bool."""
    return logits.argmax(dim=1) == labels


def label_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """f(x)_label [N]."""
    return logits.softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the largest other [N]."""
    own = labels.unsqueeze(1)
    others = logits.scatter(1, own, -torch.inf).amax(dim=1)
    return logits.gather(1, own).squeeze(1) - others


def last(seen: Floats) -> Floats:
    """What the last checkpoint of [K, N] gave, [N]."""
    final: Floats = seen[-1]
    return final


def mean(seen: Floats) -> Floats:
    """Mean over checkpoints [K, N], [N]."""
    means: Floats = seen.mean(axis=0)
    return means


def _closed(state: State) -> State:
    """With the run under way among those that are over."""
    if not state.run:
        return state
    runs = state.runs.add(state.of_run(np.stack(state.run)))
    return replace(state, run=(), runs=runs)
