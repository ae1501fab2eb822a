"""Variance of gradients early in training: what is hard before a net has learned.

    S_k = d z_label / d x at epoch k of training, mean over colour channels;  mu = mean_k S_k
    vog_early(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

k = 1 ... K, the first epochs; z = logits, eval mode. Range [0, inf), in logits per unit of a pixel
in [0, 1]; low = prototypical. Ranked by its z-score within the label's class. Over several base
runs, the mean; `spread` is the deviation. No label: NaN, "unlabelled". One checkpoint: NaN,
"too_few_checkpoints".

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: several runs are averaged. Cost: one forward and one
backward pass an example and checkpoint; memory O(H W) an example of a batch, whatever the number of
checkpoints.
"""

from dataclasses import dataclass

from scoring.folds.gradients import Begin, finish, passes, update
from scoring.spec import MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which checkpoints."""

    count: int = 3
    """How many of them."""

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count: expected 2 or more checkpoints, got {self.count}")


def epochs(config: Config, kept: int) -> list[int]:
    """Those that are folded."""
    return list(range(1, min(config.count, kept) + 1))


METRIC = MetricSpec(
    name="vog_early",
    summary="variance over the first epochs of the gradient of the label's logit",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="logit / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    passes=passes,
    start=Begin("label"),
    update=update,
    finish=finish,
    gradient="label",
    epochs=epochs,
    ranked_by="class_z",
)
