"""Privacy: the strongest privacy under which an example is still learned reliably.

    priv(x) = the smallest epsilon whose models are reliably right about x

A level is the group of DP-SGD models that spent the same epsilon (its seeds). A level is reliable
for x if at least half of its own models are right about x, and at least 90 % of the models of all
less private levels are too (there are none for the least private level). The epsilon that counts is
the one actually spent, not the one requested. The seeds of a level share noise, sampling rate and
steps, so they spend exactly the same epsilon: equal numbers are one level.

Range: the epsilons of the fleet; low = prototypical. No reliable level: NaN, "never_reliable",
which ranks as most outlying. Unknown label: NaN, "unlabelled". Many examples share a level, so
`tiebreak` orders them: the share of all private models that are right. A level is not a mean over
runs, so there is no `spread`.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: the
second key for ties. Cost: one forward pass of every private model per example; memory O(M N) bytes.
"""

from dataclasses import dataclass, replace

import numpy as np

from scoring.arrays import Bools, Floats, Ints
from scoring.spec import Batch, Columns, Fold, FoldedMetric, Output, Signal
from scoring.statuses import UNLABELLED

NEVER_RELIABLE = "never_reliable"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What counts as reliably right."""

    own_share: float = 0.5
    """Share of a level's own models that must be right, in (0, 1]."""
    less_private_share: float = 0.9
    """Share of the models of all less private levels that must be right, in [0, 1]."""

    def __post_init__(self) -> None:
        if not 0 < self.own_share <= 1:
            raise ValueError(f"own_share: expected a share in (0, 1], got {self.own_share}")
        if not 0 <= self.less_private_share <= 1:
            raise ValueError(
                f"less_private_share: expected a share in [0, 1], got {self.less_private_share}"
            )


def smallest_reliable(epsilons: Floats, right: Bools, config: Config) -> Floats:
    """Return the smallest epsilon that is reliable for each example.

    Args:
        epsilons: [M] float64, epsilon spent by each model, in any order.
        right: [M, N] whether each model is right.
        config: what counts as reliable.

    Returns:
        [N] float64, NaN where no level is reliable.
    """
    smallest = np.full(right.shape[1], np.nan)
    for epsilon in np.unique(epsilons)[::-1]:  # from least to most private
        own, less_private = right[epsilons == epsilon], right[epsilons > epsilon]
        reliable = _at_least(config.own_share, own)
        reliable &= _at_least(config.less_private_share, less_private)
        smallest[reliable] = epsilon
    return smallest


def _at_least(share: float, right: Bools) -> Bools:
    """Return whether that share of models [M, N] is right, [N]; true if there are no models."""
    enough: Bools = right.sum(axis=0) >= share * len(right)
    return enough


@dataclass(frozen=True)
class Verdicts:
    """Which of the models so far are right."""

    config: Config
    labels: Ints
    epsilons: tuple[float, ...] = ()
    right: tuple[Bools, ...] = ()
    """For each model, [N]: whether it predicts the label."""


@dataclass(frozen=True)
class SmallestReliable(Fold[Verdicts]):
    """Gathers which private models are right."""

    def start(self, config: Config, batch: Batch, classes: int) -> Verdicts:
        """Return the verdicts of no model."""
        return Verdicts(config, batch.labels)

    def update(self, state: Verdicts, output: Output) -> Verdicts:
        """Add one model."""
        if output.epsilon is None:
            raise ValueError("priv: expected the epsilon that each run spent, got none")
        right = output.logits.argmax(dim=1).cpu().numpy() == state.labels
        epsilons = (*state.epsilons, output.epsilon)
        return replace(state, epsilons=epsilons, right=(*state.right, right))

    def finish(self, state: Verdicts) -> Columns:
        """Return the smallest reliable epsilon, and the share of models that are right."""
        if not state.right:
            raise ValueError("priv: expected outputs of at least one run, got none")
        right = np.stack(state.right)  # [M, N]
        labelled = state.labels >= 0
        value = smallest_reliable(np.array(state.epsilons), right, state.config)
        reason = np.where(labelled, NEVER_RELIABLE, UNLABELLED)
        return Columns(
            value=value,
            tiebreak=np.where(labelled, right.mean(axis=0), np.nan),
            status=np.where(np.isnan(value), reason, ""),
        )


METRIC = FoldedMetric(
    name="priv",
    summary="smallest epsilon at which private models are reliably right",
    purpose="privacy",
    version=1,
    unit="epsilon",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    config=Config,
    statuses={NEVER_RELIABLE: "outlying"},
    signal=Signal.PRIVATE,
    fold=SmallestReliable(),
)
