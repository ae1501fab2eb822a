"""Area under the margin: how far the label's logit leads the others, over all of training.

    aum(x) = mean_k ( z_label - max_{c != label} z_c )   at epochs k = 1 ... K,  z = logits

Any real number, in logits; high = prototypical. With several base runs, their mean, and `spread` is
the standard deviation. No label: NaN, "unlabelled". Wrong labels sink to the bottom: their margin
is negative until they are memorised, and the mean remembers that.

Source: Pleiss, Zhang, Elenberg & Weinberger, "Identifying Mislabeled Data using the Area Under the
Margin Ranking", NeurIPS 2020, arXiv:2001.10528, section 3.1. We differ: margins are those of the
weights after each epoch, in eval mode, not of the training batches; several runs are averaged; no
threshold class is trained. Cost: one forward pass per example and checkpoint; memory O(K N) for the
N examples of a batch.
"""

from scoring.folds.dynamics import LabelDynamics, margin, mean
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="aum",
    summary="mean margin of the label's logit over epochs",
    purpose="label errors",
    version=1,
    unit="logit",
    prototypical="high",
    source="Pleiss et al. 2020, section 3.1",
    signal=Signal.CHECKPOINTS,
    fold=LabelDynamics(margin, mean),
)
