"""Variance of gradients of the predicted class's log-probability: for examples without a label.

    S_k = d log f(x)_p / d x at epoch k of training, mean over colour channels;  mu = mean_k S_k
    vog_logp_predicted(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

p = the class that the finished run predicts, f = softmax, eval mode. Range [0, inf), in nats per
unit of a pixel in [0, 1]; low = prototypical. Not normalised by class. With several base runs,
their mean, and `spread` is the standard deviation. One checkpoint: NaN, "too_few_checkpoints". The
gradient grows with 1 - f(x)_p, so it separates uncertain examples from sure ones, where that of the
logit need not.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: the logarithm of the probability in place of the
logit, no normalisation; several runs are averaged. Cost: one forward and one backward pass per
example and checkpoint, and one more forward pass; memory O(H W) per example of a batch, whatever
the number of checkpoints.
"""

from scoring.folds.gradients import ChosenEpochs, GradientVariance, chosen_epochs
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="vog_logp_predicted",
    summary="variance of the gradient of the predicted class's log-probability over epochs",
    purpose="hard",
    version=1,
    unit="nats / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    config=ChosenEpochs,
    signal=Signal.CHECKPOINTS,
    fold=GradientVariance("log_predicted"),
    epochs=chosen_epochs,
)
