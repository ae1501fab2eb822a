"""Variance of gradients of the predicted class: VoG for examples without a label.

    S_k = d z_p / d x at epoch k of training, mean over colour channels;  mu = mean_k S_k
    vog_predicted(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

p = the class that the finished run predicts. z = logits, eval mode. Range [0, inf), in logits per
unit of a pixel in [0, 1]; low = prototypical. Ranked by its z-score within the predicted class.
Over several base runs, the mean; `spread` is the deviation. One checkpoint: NaN,
"too_few_checkpoints". The z-score is within the class of the `predicted` column, on which all
models vote.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: several runs are averaged. Cost: one forward and one
backward pass an example and checkpoint, and one forward pass more; memory O(H W) an example of a
batch, whatever the number of checkpoints.
"""

from scoring.folds.gradients import Begin, Config, chosen, finish, passes, update
from scoring.spec import MetricSpec, Signal

__all__ = ["METRIC", "Config"]

METRIC = MetricSpec(
    name="vog_predicted",
    summary="variance over epochs of the gradient of the predicted class's logit",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="logit / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    passes=passes,
    start=Begin("predicted"),
    update=update,
    finish=finish,
    gradient="predicted",
    epochs=chosen,
    ranked_by="class_z",
    normalised_in="predicted",
)
