"""Variance of gradients late in training: what is hard for a net that has learned.

    S_k = d z_label / d x at epoch k of training, mean over colour channels;  mu = mean_k S_k
    vog_late(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

The last K epochs; z = logits, eval mode. Range [0, inf), in logits per unit of a pixel in [0, 1];
low = prototypical. Ranked by its z-score within the label's class. With several base runs, their
mean, and `spread` is the standard deviation. No label: NaN, "unlabelled". One checkpoint: NaN,
"too_few_checkpoints".

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: several runs are averaged. Cost: one forward and one
backward pass per example and checkpoint; memory O(H W) per example of a batch, whatever the number
of checkpoints.
"""

from scoring.folds.gradients import GradientVariance, StageLength
from scoring.spec import FoldedMetric, Signal


def last(config: StageLength, kept: int) -> list[int]:
    """Return the last epochs out of 1 ... kept."""
    return list(range(max(kept - config.count, 0) + 1, kept + 1))


METRIC = FoldedMetric(
    name="vog_late",
    summary="variance of the gradient of the label's logit over the last epochs",
    purpose="hard",
    version=1,
    unit="logit / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    config=StageLength,
    ranked_by="class_z",
    signal=Signal.CHECKPOINTS,
    fold=GradientVariance("label"),
    epochs=last,
)
