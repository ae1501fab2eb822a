"""Out-of-bag margin: how far the label leads the other classes in models that did not see it.

    oob_margin(x) = mean over i in O(x) of ( z_i(x)_label - max_{c != label} z_i(x)_c )
    O(x) = the ensemble's members that were not trained on x                          z_i = logits

Any real number, in logits; high = prototypical. `spread` is the population standard deviation over
O(x). A model that knows its training rows by heart gives a wrong label the margin of a right one;
one that never saw the row cannot. Members leave out rows by folds (`scoring.left_out`), so each
training row has a member of every round in O(x), a row of the other split has them all. No label:
NaN, "unlabelled". All members saw it (`--ensemble seeds`): NaN, "seen_by_all". Imported members
count if their manifest says that they are `unseen`; if nothing is known of any: NaN,
"training_rows_unknown".

Source: the margin of Pleiss, Zhang, Elenberg & Weinberger, "Identifying Mislabeled Data using the
Area Under the Margin Ranking", NeurIPS 2020, arXiv:2001.10528, section 3.1, out of bag as in
Northcutt, Jiang & Chuang, "Confident Learning", JAIR 2021, arXiv:1911.00068, section 3. Cost: M
forward passes per example, shared with every metric of the ensemble; memory O(N).
"""

from scoring.folds.by_seen import OutOfBag
from scoring.folds.dynamics import margin
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="oob_margin",
    summary="mean margin of the label's logit over the models that did not see the example",
    purpose="label errors",
    version=1,
    unit="logit",
    prototypical="high",
    source="Pleiss et al. 2020, section 3.1",
    signal=Signal.ENSEMBLE,
    fold=OutOfBag(margin),
)
