"""Area under the margin: how far the label's logit leads the others, over all of training.

    aum(x) = mean_k ( z_label - max_{c != label} z_c )   at epochs k = 1 ... K,  z = logits

Any real number, in logits; high = prototypical. Over several base runs, the mean; `spread` is the
deviation. No label: NaN, "unlabelled". Wrong labels sink to the bottom: their margin is negative
until they are memorised, and the mean remembers that.

Source: Pleiss, Zhang, Elenberg & Weinberger, "Identifying Mislabeled Data using the Area Under the
Margin Ranking", NeurIPS 2020, arXiv:2001.10528, section 3.1. We differ: margins are those of the
weights after each epoch, in eval mode, not of the training batches; several runs are averaged, and
no threshold class is trained. Cost: one forward pass an example and checkpoint; memory O(K N) for
the N examples of a batch.
"""

from dataclasses import dataclass

from scoring.folds.dynamics import State, begin, finish, margin, mean, passes, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no checkpoint seen."""
    return begin(batch, margin, mean)


METRIC = MetricSpec(
    name="aum",
    summary="mean over epochs of the margin of the label's logit",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="logit",
    prototypical="high",
    source="Pleiss et al. 2020, section 3.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
