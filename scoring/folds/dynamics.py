"""Training dynamics: a statistic of every checkpoint's logits and the labels.

The statistics of a run's checkpoints make one number per example, which is averaged over runs;
`spread` is the population standard deviation over runs. A model of an ensemble is a run of one
checkpoint. Memory: [K, N] numbers of the run under way, for N examples of a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scoring.arrays import Floats
from scoring.folds.runs import Runs, mean_over_runs
from scoring.spec import Batch, Columns, Fold, Output
from scoring.statuses import UNLABELLED

OfCheckpoint = Callable[[Tensor, Tensor], Tensor]
"""(logits [N, C] float64, labels [N] int64) -> [N]."""
OfRun = Callable[[Floats], Floats]
"""Statistics of K checkpoints [K, N] -> [N]."""


@dataclass(frozen=True)
class _Series:
    """The statistics of a run's checkpoints so far."""

    of_run: OfRun
    seen: tuple[Floats, ...] = ()

    @property
    def checkpoints(self) -> int:
        return len(self.seen)

    def add(self, seen: Floats) -> "_Series":
        return replace(self, seen=(*self.seen, seen))

    def value(self) -> Floats:
        return self.of_run(np.stack(self.seen))


@dataclass(frozen=True)
class LabelDynamics(Fold[Runs[Floats]]):
    """Folds what checkpoints make of the label."""

    of_checkpoint: OfCheckpoint
    of_run: OfRun

    def start(self, config: object, batch: Batch, classes: int) -> Runs[Floats]:
        """Return no runs of N examples."""
        return Runs.of(batch.labels, _Series(self.of_run))

    def update(self, state: Runs[Floats], output: Output) -> Runs[Floats]:
        """Add one checkpoint."""
        logits = output.logits.double()
        labels = torch.from_numpy(state.labels).to(logits.device).clamp(min=0)
        return state.add(output, self.of_checkpoint(logits, labels).double().cpu().numpy())

    def finish(self, state: Runs[Floats]) -> Columns:
        """Return mean and spread over runs, [N] float64 each; NaN without a label."""
        status = np.where(state.labels < 0, UNLABELLED, "")
        return mean_over_runs(state.closed().values, status)


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Return whether the label has the largest logit, [N] bool."""
    return logits.argmax(dim=1) == labels


def label_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Return f(x)_label, [N]."""
    return logits.softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the label's logit minus the largest other, [N]."""
    own = labels.unsqueeze(1)
    others = logits.scatter(1, own, -torch.inf).amax(dim=1)
    return logits.gather(1, own).squeeze(1) - others


def error_norm(logits: Tensor, labels: Tensor) -> Tensor:
    """Return || f(x) - onehot(label) ||_2, [N]."""
    probabilities = logits.softmax(dim=1)
    minus_one = -torch.ones_like(probabilities[:, :1])
    errors = probabilities.scatter_add(1, labels.unsqueeze(1), minus_one)
    norms: Tensor = torch.linalg.vector_norm(errors, dim=1)
    return norms


def last(seen: Floats) -> Floats:
    """Return the last checkpoint's row of [K, N]."""
    final: Floats = seen[-1]
    return final


def mean(seen: Floats) -> Floats:
    """Return the mean over the checkpoints of [K, N]."""
    means: Floats = seen.mean(axis=0)
    return means
