"""The predicted class: argmax of the models' mean softmax.

    predicted(x) = argmax_c (1/M) sum_i f_i(x)_c

It is folded like a metric, from the same outputs, but published as a column of every table instead
of a table of its own. Equal means: the lower class. Cost: M forward passes per example, shared with
every metric that folds the same models.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.spec import Batch, Columns, Fold, FoldedMetric, Output, Signal


@dataclass(frozen=True)
class LargestMean(Fold[Tensor]):
    """Sums the softmax of the models, [N, C] float64 on the CPU."""

    def start(self, config: object, batch: Batch, classes: int) -> Tensor:
        """Return the sum over no model."""
        return torch.zeros(len(batch.ids), classes, dtype=torch.float64)

    def update(self, state: Tensor, output: Output) -> Tensor:
        """Add one model."""
        return state + torch.softmax(output.logits.double(), dim=1).cpu()

    def finish(self, state: Tensor) -> Columns:
        """Return the class with the largest sum, [N] float64."""
        return Columns(value=state.argmax(dim=1).double().numpy())


PREDICTED = FoldedMetric(
    name="predicted",
    summary="class that the models predict together",
    purpose="hard",
    version=1,
    unit="class",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    signal=Signal.ENSEMBLE,
    fold=LargestMean(),
)
