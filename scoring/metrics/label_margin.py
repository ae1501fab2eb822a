"""Margin of the label: how far the label leads the other classes in independently trained models.

    label_margin(x) = (1/M) sum_i ( z_i(x)_label - max_{c != label} z_i(x)_c )  z_i = logits

Any real number, in logits; high = prototypical. `spread` is the population standard deviation over
models. No label: NaN, "unlabelled".

Source: the margin of Pleiss, Zhang, Elenberg & Weinberger, "Identifying Mislabeled Data using the
Area Under the Margin Ranking", NeurIPS 2020, arXiv:2001.10528, section 3.1, here of a finished
ensemble instead of one net during training. Cost: M forward passes per example; memory O(N).
"""

from scoring.folds.dynamics import LabelDynamics, last, margin
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="label_margin",
    summary="mean margin of the label's logit over independently trained models",
    purpose="label errors",
    version=1,
    unit="logit",
    prototypical="high",
    source="Pleiss et al. 2020, section 3.1",
    signal=Signal.ENSEMBLE,
    fold=LabelDynamics(margin, last),
)
