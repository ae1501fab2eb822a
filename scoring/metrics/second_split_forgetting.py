"""Second-split forgetting: how soon an example is lost once training goes on without it.

    second_split_forgetting(x) = (1/M) sum_i min { k : argmax g_ij(x) != label for all j >= k }
                                 K_i + 1 in place of the minimum if argmax g_iK(x) = label

g_ik = the net of pair i after epoch k = 1 ... K_i of its fine-tuning on the other split, which does
not contain x. Range [1, K + 1], in epochs; high = prototypical. `spread` is the population standard
deviation over pairs, which may stop after different K. Wrong labels, learnt by heart, are lost at
once; rare examples slowly. Most are never lost, so `tiebreak` orders equal values: the mean over
pairs of the margin of the label's logit in g_iK, which says how far the example still is from being
lost. No label: NaN, "unlabelled". No pair looked at the example, under its label, while it was
fine-tuned: NaN, "epochs_unknown". Such are examples that came later, and all of pairs trained by an
earlier version of protoscore.

Source: Maini, Garg, Lipton & Kolter, "Characterizing Datapoints via Second-Split Forgetting",
NeurIPS 2022, arXiv:2210.15031, section 3. We differ: one run is fine-tuned for each pair of `ret`,
with its smaller learning rate and until its loss is flat, several pairs are averaged, and ties have
a second key. Cost: the logits of the pairs, shared with `ret`, and during fine-tuning a forward
pass an epoch for every example of the split; memory O(N).
"""

from scoring.folds.forgotten_since import ForgottenSince
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="second_split_forgetting",
    summary="epoch from which training on the other split has lost the example for good",
    purpose="label errors",
    version=1,
    unit="epochs",
    prototypical="high",
    source="Maini et al. 2022, section 3",
    signal=Signal.PAIRS,
    fold=ForgottenSince(),
)
