"""Out-of-bag confidence in the label: the probability it has in models that did not see it.

    oob_conf(x) = mean over i in O(x) of f_i(x)_label
    O(x) = the ensemble's members that were not trained on x          f_i = softmax of model i

Range [0, 1]; high = prototypical. `spread` is the population standard deviation over O(x). No
label: NaN, "unlabelled". All members saw it (`--ensemble seeds`): NaN, "seen_by_all". Nothing is
known of the members' training rows (imported runs whose manifest does not call them `unseen`): NaN,
"training_rows_unknown".

Source: self-confidence of Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 2021, arXiv:1911.00068, section 3, which takes out-of-sample probabilities by
cross-validation, as here. Cost: M forward passes per example, shared with every metric of the
ensemble; memory O(N).
"""

from scoring.folds.by_seen import OutOfBag
from scoring.folds.dynamics import label_probability
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="oob_conf",
    summary="mean probability of the label over the models that did not see the example",
    purpose="label errors",
    version=1,
    unit="probability",
    prototypical="high",
    source="Northcutt et al. 2021, section 3",
    signal=Signal.ENSEMBLE,
    fold=OutOfBag(label_probability),
)
