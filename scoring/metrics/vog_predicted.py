"""Variance of gradients of the predicted class: VoG for examples without a label.

    S_k = d z_p / d x at epoch k of training, mean over colour channels;  mu = mean_k S_k
    vog_predicted(x) = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

p = the class that the finished run predicts; z = logits, eval mode. Range [0, inf), in logits per
unit of a pixel in [0, 1]; low = prototypical. Ranked by its z-score within the predicted class,
which here is the class in the `predicted` column, on which all models vote. With several base runs,
their mean, and `spread` is the standard deviation. One checkpoint: NaN, "too_few_checkpoints".

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR
2022, arXiv:2008.11600, section 2. We differ: several runs are averaged. Cost: one forward and one
backward pass per example and checkpoint, and one more forward pass; memory O(H W) per example of a
batch, whatever the number of checkpoints.
"""

from scoring.folds.gradients import ChosenEpochs, GradientVariance, chosen_epochs
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="vog_predicted",
    summary="variance of the gradient of the predicted class's logit over epochs",
    purpose="hard",
    version=1,
    unit="logit / pixel",
    prototypical="low",
    source="Agarwal et al. 2022, section 2",
    config=ChosenEpochs,
    ranked_by="class_z",
    normalised_in="predicted",
    signal=Signal.CHECKPOINTS,
    fold=GradientVariance("predicted"),
    epochs=chosen_epochs,
)
