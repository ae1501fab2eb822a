"""Out-of-bag probabilities: what the models that did not see an example make of each class.

    p(x)_c = mean over i in O(x) of f_i(x)_c
    O(x) = the ensemble's members that were not trained on x          f_i = softmax of model i

They are folded like a metric, from the same outputs, but published as a table of their own: all C
classes up to 50, beyond that the ten largest and the label's. `value` is the number of models.

Up to 50 classes there is a second mean beside it, for the verdict: over the models and the epochs
of their training, from their tallies. A model that has no tally of an example counts with what it
makes of it when finished. The first epochs of a model that comes to know noise by heart are wiser
than its last.

Cost: M forward passes per example, shared with every metric of the ensemble.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scoring.arrays import Floats, Ints
from scoring.spec import Batch, Columns, Fold, FoldedMetric, Output, Signal
from scoring.statuses import NOBODY_KNOWS, SEEN_BY_ALL

ALL_CLASSES = 50
"""Most classes whose probabilities are all kept."""
_LARGEST = 10


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The models so far."""

    labels: Ints
    """[N], -1 where unknown."""
    sums: Tensor
    """[N, C] float64 on the CPU, over the models that did not see the row."""
    counts: Ints
    """[N] how many those are."""
    over_epochs: Tensor | None
    """[N, C] float64 on the CPU, the sum of their means over epochs; None: too many classes."""
    known: int = 0
    """Models of which it is known what they saw."""
    models: int = 0


@dataclass(frozen=True)
class OutOfBagMean(Fold[Sums]):
    """Sums the softmax of the models that did not see the example."""

    @property
    def reads_tally(self) -> bool:
        """It does."""
        return True

    @property
    def reads_seen(self) -> bool:
        """It does."""
        return True

    def start(self, config: object, batch: Batch, classes: int) -> Sums:
        """Return the sum over no model."""
        rows = len(batch.ids)
        nothing = torch.zeros(rows, classes, dtype=torch.float64)
        return Sums(
            labels=batch.labels,
            sums=nothing,
            counts=np.zeros(rows, dtype=np.int64),
            over_epochs=nothing if "over_epochs" in views_of(classes) else None,
        )

    def update(self, state: Sums, output: Output) -> Sums:
        """Add one model."""
        state = replace(state, models=state.models + 1)
        if output.seen is None:
            return state
        unseen = torch.from_numpy(~output.seen).unsqueeze(1)
        more = torch.softmax(output.logits.double(), dim=1).cpu()
        before = state.over_epochs
        return replace(
            state,
            sums=state.sums + torch.where(unseen, more, 0.0),
            over_epochs=None
            if before is None
            else before + torch.where(unseen, _over_epochs(output, more), 0.0),
            counts=state.counts + ~output.seen,
            known=state.known + 1,
        )

    def finish(self, state: Sums) -> Columns:
        """Return the mean and the number of models, NaN where every model saw the example."""
        if not state.models:
            raise ValueError("expected outputs of at least one run, got none")
        counts = np.maximum(state.counts, 1)[:, None]
        mean = state.sums.numpy() / counts
        missing = SEEN_BY_ALL if state.known else NOBODY_KNOWS
        usable = (state.counts > 0) & np.isfinite(mean).all(axis=1)
        classes, probabilities = kept(mean, state.labels)
        return Columns(
            value=np.where(usable, state.counts.astype(np.float64), np.nan),
            status=np.where(state.counts > 0, "", missing),
            classes=classes,
            probabilities=probabilities,
            over_epochs=None if state.over_epochs is None else state.over_epochs.numpy() / counts,
        )


def views_of(classes: int) -> tuple[str, ...]:
    """Return the columns of probabilities that there are of so many classes."""
    return ("probabilities", "over_epochs") if classes <= ALL_CLASSES else ("probabilities",)


def _over_epochs(output: Output, finished: Tensor) -> Tensor:
    """Return a model's mean probabilities over its epochs; of the finished model where unknown."""
    if output.tally is None or output.tally.probabilities is None:
        return finished
    mean = torch.from_numpy(output.tally.probabilities).double()
    return torch.where(torch.isfinite(mean), mean, finished)


def kept(mean: Floats, labels: Ints) -> tuple[Ints, Floats]:
    """Choose the classes whose probabilities are kept.

    Args:
        mean: [N, C] probabilities.
        labels: [N], -1 where unknown.

    Returns:
        Their classes in ascending order and their probabilities, [N, K] each. Rows with fewer than
        K classes end with class -1.
    """
    rows, count = mean.shape
    if count <= ALL_CLASSES:
        return np.tile(np.arange(count), (rows, 1)), mean
    largest = np.argsort(-mean, axis=1, kind="stable")[:, :_LARGEST]
    of_label = np.where((largest == labels[:, None]).any(axis=1), -1, labels)
    # An absent class sorts as the last.
    classes = np.sort(np.column_stack([largest, np.where(of_label < 0, count, of_label)]), axis=1)
    probabilities = np.take_along_axis(mean, np.minimum(classes, count - 1), axis=1)
    return np.where(classes == count, -1, classes), probabilities


PROBABILITIES = FoldedMetric(
    name="probabilities",
    summary="mean probabilities by the models that did not see the example",
    purpose="label errors",
    version=2,
    unit="models",
    prototypical="high",
    source="Northcutt et al. 2021, section 3",
    signal=Signal.ENSEMBLE,
    fold=OutOfBagMean(),
)
