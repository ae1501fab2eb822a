"""Fleet AUM: how far the label's logit leads the others, over all members and all their epochs.

    fleet_aum(x) = (1/M) sum_i mean_k ( z_ik(x)_label - max_{c != label} z_ik(x)_c )
    i = 1 ... M members of the ensemble       k = 1 ... K_i their epochs       z = logits

Any real number, in logits; high = prototypical. `spread` is the population standard deviation over
members. Wrong labels sink to the bottom, and stay there when nets know every label by heart: a
third of the members never saw the example, and the early epochs of the others had not learnt it
yet. No label: NaN, "unlabelled".

A member's mean is added up while it trains, and no checkpoint is kept: rows that it trains on are
taken as they go by, in training mode; those that it leaves out after each epoch, in eval mode
(`scoring.runs.tallying`). What a member did not look at then, or under another label, is judged by
its finished net alone: examples that came later, the test split, imported members, and members
trained by an earlier version of protoscore. Such rows are ranked among the others although finished
nets lead by more: compare them with each other.

Source: Pleiss, Zhang, Elenberg & Weinberger, "Identifying Mislabeled Data using the Area Under the
Margin Ranking", NeurIPS 2020, arXiv:2001.10528, section 3.1. We differ: all members of an ensemble
that leaves rows out; no threshold class is trained. Cost: M forward passes per example, shared with
every metric of the ensemble, and during training a forward pass an epoch for the rows that a member
leaves out; memory O(N).
"""

from scoring.folds.dynamics import margin
from scoring.folds.over_epochs import MeanOverMembers, mean_margin
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="fleet_aum",
    summary="mean margin of the label's logit over independently trained models and their epochs",
    purpose="label errors",
    version=1,
    unit="logit",
    prototypical="high",
    source="Pleiss et al. 2020, section 3.1",
    signal=Signal.ENSEMBLE,
    fold=MeanOverMembers(margin, mean_margin),
)
