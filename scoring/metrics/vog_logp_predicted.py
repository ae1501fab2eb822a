"""Variance of gradients of the predicted class's log-probability: for examples without a label.

    S_k = d log f(x)_p / d x at epoch k of training, mean over colour channels;  mu = mean_k S_k
    vog_logp_predicted(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

p = the class that the finished run predicts, f = softmax, eval mode. Range [0, inf), in nats per
unit of a pixel in [0, 1]; low = prototypical. Not normalised by class. Over several base runs, the
mean; `spread` is the deviation. One checkpoint: NaN, "too_few_checkpoints". The gradient grows with
1 - f(x)_p, so it tells uncertain examples from sure ones, where that of the logit need not.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: the logarithm of the probability in place of the
logit, no normalisation; several runs are averaged. Cost: one forward and one backward pass an
example and checkpoint, and one forward pass more; memory O(H W) an example of a batch, whatever the
number of checkpoints.
"""

from scoring.folds.gradients import Begin, Config, chosen, finish, passes, update
from scoring.spec import MetricSpec, Signal

__all__ = ["METRIC", "Config"]

METRIC = MetricSpec(
    name="vog_logp_predicted",
    summary="variance over epochs of the gradient of the predicted class's log-probability",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="nats / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    passes=passes,
    start=Begin("log_predicted"),
    update=update,
    finish=finish,
    gradient="log_predicted",
    epochs=chosen,
)
