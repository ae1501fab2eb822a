"""Memorisation: how much likelier a label is for models that were trained on the example.

    memorisation(x) = mean over i in S(x) of f_i(x)_label - mean over i in O(x) of f_i(x)_label
    S(x), O(x) = the ensemble's members that were, and were not, trained on x

Range [-1, 1]; low = prototypical. Near 0, what the models learnt from other examples says as much
about the label; near 1, a model gets it right only by heart: the label is wrong, or the example is
rare. No label: NaN, "unlabelled". All members saw it (`--ensemble seeds`): NaN, "seen_by_all". None
did, as none did of the other split: NaN, "seen_by_none". Nothing is known of the members' training
rows: NaN, "training_rows_unknown".

Source: Feldman & Zhang, "What Neural Networks Memorize and Why: Discovering the Long Tail via
Influence Estimation", NeurIPS 2020, arXiv:2008.03703, section 2. We differ: probabilities in place
of right or wrong, which say more with few models. Cost: M forward passes per example, shared with
every metric of the ensemble; memory O(N).
"""

from scoring.folds.by_seen import SeenMinusUnseen
from scoring.folds.dynamics import label_probability
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="memorisation",
    summary="mean probability of the label over the models that saw the example, minus the others'",
    purpose="atypical",
    version=1,
    unit="probability",
    prototypical="low",
    source="Feldman & Zhang 2020, section 2",
    signal=Signal.ENSEMBLE,
    fold=SeenMinusUnseen(label_probability),
)
