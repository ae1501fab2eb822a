"""Variance of gradients of the log-probability: a VoG that reflects how sure a net is.

    S_k = d log f(x)_label / d x at epoch k of training, mean over colour channels
    mu = mean_k S_k;   vog_logp(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

f = softmax, eval mode. Range [0, inf), in nats per unit of a pixel in [0, 1]; low = prototypical.
Not normalised by class. With several base runs, their mean, and `spread` is the standard deviation.
No label: NaN, "unlabelled". One checkpoint: NaN, "too_few_checkpoints".

On some nets the gradient of the logit hardly separates wrong labels from right ones; this one does,
since it grows with 1 - f(x)_label. On examples that no net was trained on it is nearly the loss:
use `vog_logp_predicted` where the label must not be seen.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: the logarithm of the probability in place of the
logit, no normalisation; several runs are averaged. Cost: one forward and one backward pass per
example and checkpoint; memory O(H W) per example of a batch, whatever the number of checkpoints.
"""

from scoring.folds.gradients import ChosenEpochs, GradientVariance, chosen_epochs
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="vog_logp",
    summary="variance of the gradient of the label's log-probability over epochs",
    purpose="hard",
    version=1,
    unit="nats / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    config=ChosenEpochs,
    signal=Signal.CHECKPOINTS,
    fold=GradientVariance("log_label"),
    epochs=chosen_epochs,
)
