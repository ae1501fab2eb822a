"""Margin of the label: how far independently trained models put the label before the others.

    label_margin(x) = (1/M) sum_i ( z_i(x)_label - max_{c != label} z_i(x)_c )  z_i = logits

Any real number, in logits; high = prototypical. `spread` is the population standard deviation over
models. No label: NaN, "unlabelled".

Source: the margin of Pleiss, Zhang, Elenberg & Weinberger, "Identifying Mislabeled Data using the
Area Under the Margin Ranking", NeurIPS 2020, arXiv:2001.10528, section 3.1, of an ensemble at its
end in place of one net on its way. Cost: M forward passes an example; memory O(N).
"""

from dataclasses import dataclass

from scoring.folds.dynamics import State, begin, finish, last, margin, passes, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no model seen."""
    return begin(batch, margin, last)


METRIC = MetricSpec(
    name="label_margin",
    summary="mean margin of the label's logit over independently trained models",
    version=1,
    signal=Signal.ENSEMBLE,
    config=Config,
    unit="logit",
    prototypical="high",
    source="Pleiss et al. 2020, section 3.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
