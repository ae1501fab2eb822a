"""Variance of gradients of the log-probability: VoG that sees how sure a net is.

    S_k = d log f(x)_label / d x at epoch k of training, mean over colour channels
    mu = mean_k S_k;   vog_logp(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

f = softmax, eval mode. Range [0, inf), in nats per unit of a pixel in [0, 1]; low = prototypical.
Not normalised by class. Over several base runs, the mean; `spread` is the deviation. No label: NaN,
"unlabelled". One checkpoint: NaN, "too_few_checkpoints".

On some nets the logit's gradient hardly tells wrong labels from right ones; this one does, since it
grows with 1 - f(x)_label. On examples that no net was trained on it nearly is the loss: use
`vog_logp_predicted` where the label must not be seen.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: the logarithm of the probability in place of the
logit, no normalisation; several runs are averaged. Cost: one forward and one backward pass an
example and checkpoint; memory O(H W) an example of a batch, whatever the number of checkpoints.
"""

from scoring.folds.gradients import Begin, Config, chosen, finish, passes, update
from scoring.spec import MetricSpec, Signal

__all__ = ["METRIC", "Config"]

METRIC = MetricSpec(
    name="vog_logp",
    summary="variance over epochs of the gradient of the label's log-probability",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="nats / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    passes=passes,
    start=Begin("log_label"),
    update=update,
    finish=finish,
    gradient="log_label",
    epochs=chosen,
)
