"""Privacy: the strongest privacy under which an example is still learned reliably.

    priv(x) = the smallest epsilon whose models are reliably right about x

A level is the group of DP-SGD models that spent the same epsilon (its seeds). Ordered from most to
least private, a level is reliable for x if at least half of its own models are right about x, and
so are at least 90 % of the models of all less private levels (of none, for the least private).
The epsilon that counts is the one actually spent, not the one asked for. Seeds of one level share
noise, sampling rate and steps, so they spend the very same epsilon: equal numbers are one level.

Range: the epsilons of the fleet; low = prototypical. No reliable level: NaN, "never_reliable".
Unknown label: NaN, "unlabelled". Many examples share a level, so `tiebreak` orders them: the share
of all private models that are right. A level is not a mean over runs: there is no `spread`.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: the
second key for ties. Cost: one forward pass of every private model an example; memory O(M N) bytes.
"""

from dataclasses import dataclass, replace

import numpy as np

from scoring.arrays import Bools, Floats, Ints
from scoring.spec import Batch, Columns, MetricSpec, Output, Passes, Signal


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


@dataclass(frozen=True)
class _State:
    config: Config
    labels: Ints
    epsilons: tuple[float, ...] = ()
    right: tuple[Bools, ...] = ()
    """For each model, [N]: whether it predicts the label."""


def smallest_reliable(epsilons: Floats, right: Bools, config: Config) -> Floats:
    """The smallest epsilon that is reliable for each example.

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
    """[N]: whether that share of the models [M, N] is right; true of no models at all."""
    enough: Bools = right.sum(axis=0) >= share * len(right)
    return enough


def start(config: Config, batch: Batch, classes: int) -> _State:
    """Begin with no model seen."""
    return _State(config, batch.labels)


def update(state: _State, output: Output) -> _State:
    """Add one private model."""
    if output.epsilon is None:
        raise ValueError("priv: expected the epsilon that each run spent, got none")
    right = output.logits.argmax(dim=1).cpu().numpy() == state.labels
    return replace(state, epsilons=(*state.epsilons, output.epsilon), right=(*state.right, right))


def finish(state: _State) -> Columns:
    """Smallest reliable epsilon, with the share of models that are right as second key."""
    if not state.right:
        raise ValueError("priv: expected outputs of at least one run, got none")
    right = np.stack(state.right)  # [M, N]
    labelled = state.labels >= 0
    value = smallest_reliable(np.array(state.epsilons), right, state.config)
    reason = np.where(labelled, "never_reliable", "unlabelled")
    return Columns(
        value=value,
        tiebreak=np.where(labelled, right.mean(axis=0), np.nan),
        status=np.where(np.isnan(value), reason, ""),
    )


def passes(config: Config) -> Passes:
    """One forward pass of each model."""
    return Passes(forward=1)


METRIC = MetricSpec(
    name="priv",
    summary="smallest epsilon at which private models are reliably right",
    version=1,
    signal=Signal.PRIVATE,
    config=Config,
    unit="epsilon",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
