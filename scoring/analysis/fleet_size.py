"""How many runs make a reproducible ranking: parts of a fleet against the whole, and half by half.

Two halves of a fleet share no run, so their agreement shows how much a ranking depends on the runs
that happened to make it (split-half reliability). A whole fleet agrees better with another; the
Spearman-Brown formula says by how much: k times as many runs turn r into k r / (1 + (k - 1) r)
(Spearman 1910; Brown 1910). It is exact for means over exchangeable runs, and a guide for metrics
that combine runs in another way.
"""

from collections.abc import Hashable, Sequence
from itertools import chain, zip_longest

import numpy as np

from scoring.analysis.seeds import mean_finding
from scoring.tables.findings import Finding

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def halves(kinds: Sequence[Hashable], draw: int) -> tuple[list[int], list[int]]:
    """Split M runs into two random halves that share no run.

    Runs that differ in more than their seed (in capacity, in privacy) are dealt evenly to both
    halves and alternate within a half, so that its first runs cover as many kinds as possible.

    Args:
        kinds: [M] what each run is, apart from its seed.
        draw: seed of the split.

    Returns:
        The indices of M // 2 runs each, in order.
    """
    random = np.random.default_rng(draw)
    by_kind: dict[Hashable, list[int]] = {}
    for run in random.permutation(len(kinds)).tolist():
        by_kind.setdefault(kinds[run], []).append(run)
    dealt = list(chain.from_iterable(by_kind.values()))
    half = len(kinds) // 2
    return _alternate(dealt[0 : 2 * half : 2], kinds), _alternate(dealt[1 : 2 * half : 2], kinds)


def _alternate(runs: Sequence[int], kinds: Sequence[Hashable]) -> list[int]:
    """Order runs so that one of each kind comes first, then a second one of each, and so on."""
    by_kind: dict[Hashable, list[int]] = {}
    for run in runs:
        by_kind.setdefault(kinds[run], []).append(run)
    rounds = chain.from_iterable(zip_longest(*by_kind.values()))
    return [run for run in rounds if run is not None]


def findings(
    metric: str,
    runs: int,
    with_all: dict[int, list[float]],
    between: dict[int, list[float]],
    wanted: float,
) -> list[Finding]:
    """Report how well parts of a fleet agree.

    Args:
        metric: the metric that the fleet is for.
        runs: M, the size of the whole fleet.
        with_all: number of runs to Spearman's correlations with the whole fleet, one a draw.
        between: the same between two parts of that many runs that share none.
        wanted: the agreement of two fleets that is good enough, in (0, 1).

    Returns:
        Means over draws by number of runs: `spearman_with_all` and `spearman_of_halves`. From the
        largest halves, by the Spearman-Brown formula: `spearman_of_fleets`, the agreement of this
        fleet with another of its size, and `runs_enough`, how many runs reach `wanted`.
    """
    found = [
        mean_finding(metric, str(size), measure, np.array(values))
        for measure, curve in (("spearman_with_all", with_all), ("spearman_of_halves", between))
        for size, values in sorted(curve.items())
    ]
    largest = max(between)
    agreement = float(np.mean(between[largest]))
    for measure, value in (
        ("spearman_of_fleets", predicted_agreement(agreement, runs / largest)),
        ("runs_enough", runs_needed(agreement, largest, wanted)),
    ):
        found.append(Finding(subject=metric, part="", measure=measure, value=value, rows=runs))
    return found


def predicted_agreement(agreement: float, times: float) -> float:
    """Return the agreement of two fleets with `times` as many runs each."""
    return times * agreement / (1 + (times - 1) * agreement)


def runs_needed(agreement: float, runs: int, wanted: float) -> float:
    """Return how many runs reach an agreement of `wanted` if `runs` reach `agreement`.

    NaN if no number does.
    """
    if not agreement > 0:
        return float("nan")
    if agreement >= 1:
        return float(runs)
    return float(np.ceil(runs * wanted * (1 - agreement) / (agreement * (1 - wanted))))
