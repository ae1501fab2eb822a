"""Out-of-bag confidence over training: the label's probability, averaged over unseeing epochs.

    oob_confidence_mean(x) = mean over i in O(x) of mean_k f_ik(x)_label
    O(x) = the ensemble's members that were not trained on x          k = 1 ... K_i their epochs

Range [0, 1]; high = prototypical. `spread` is the population standard deviation over O(x). A member
cannot know by heart the label of an example that it never saw, and the mean over epochs tells a
label that is plain from the start from one that the member only comes to guess. No label: NaN,
"unlabelled". All members saw it (`--ensemble seeds`): NaN, "seen_by_all". Nothing is known of the
members' training rows: NaN, "training_rows_unknown".

A member looks at the rows that it leaves out after each epoch of its training, and keeps the
running mean alone (`scoring.runs.tallying`). What it did not look at then, or under another label,
is judged by its finished net: examples that came later, the test split, imported members, and
members trained by an earlier version of protoscore. Such rows are ranked among the others.

Source: the mean over epochs of Swayamdipta et al., "Dataset Cartography: Mapping and Diagnosing
Datasets with Training Dynamics", EMNLP 2020, arXiv:2009.10795, section 2.1, out of bag as in
Northcutt, Jiang & Chuang, "Confident Learning", JAIR 2021, arXiv:1911.00068, section 3. Cost: M
forward passes per example, shared with every metric of the ensemble, and during training a forward
pass an epoch for the rows that a member leaves out; memory O(N).
"""

from scoring.folds.by_seen import OutOfBag
from scoring.folds.dynamics import label_probability
from scoring.folds.over_epochs import mean_probability
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="oob_confidence_mean",
    summary="mean probability of the label over the models that did not see the example, "
    "and their epochs",
    purpose="label errors",
    version=1,
    unit="probability",
    prototypical="high",
    source="Swayamdipta et al. 2020, section 2.1",
    signal=Signal.ENSEMBLE,
    fold=OutOfBag(label_probability, mean_probability),
)
