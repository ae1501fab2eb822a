"""How many runs make a ranking that holds: parts of a fleet against all of it, and half by half.

Two halves of a fleet share no run, so their agreement says how far a ranking depends on the runs
that happened to make it (split-half reliability). Of a whole fleet, that is larger; Spearman and
Brown's formula says by how much: k times as many runs take r to k r / (1 + (k - 1) r) (Spearman
1910; Brown 1910). It is exact for means over runs that are alike, and a guide for other folds.
"""

from collections.abc import Hashable, Sequence
from itertools import chain, zip_longest

import numpy as np

from scoring.analysis.seeds import mean_of
from scoring.tables.findings import Finding

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def halves(kinds: Sequence[Hashable], draw: int) -> tuple[list[int], list[int]]:
    """Two halves of M runs, drawn anew for each `draw`, that share none.

    Runs that differ in more than their seed (in capacity, in privacy) are dealt out evenly, and
    come by turns: each beginning of a half has as many kinds of runs as it can.

    Args:
        kinds: [M] what each run is, its seed aside.
        draw: which draw.

    Returns:
        The numbers of M // 2 runs each, in order.
    """
    random = np.random.default_rng(draw)
    of_kind: dict[Hashable, list[int]] = {}
    for run in random.permutation(len(kinds)).tolist():
        of_kind.setdefault(kinds[run], []).append(run)
    dealt = list(chain.from_iterable(of_kind.values()))
    half = len(kinds) // 2
    return _by_turns(dealt[0 : 2 * half : 2], kinds), _by_turns(dealt[1 : 2 * half : 2], kinds)


def _by_turns(runs: Sequence[int], kinds: Sequence[Hashable]) -> list[int]:
    """One of each kind, then another one of each."""
    of_kind: dict[Hashable, list[int]] = {}
    for run in runs:
        of_kind.setdefault(kinds[run], []).append(run)
    turns = chain.from_iterable(zip_longest(*of_kind.values()))
    return [run for run in turns if run is not None]


def findings(
    metric: str,
    runs: int,
    with_all: dict[int, list[float]],
    between: dict[int, list[float]],
    wanted: float,
) -> list[Finding]:
    """How far parts of a fleet agree.

    Args:
        metric: whose ranking it is.
        runs: M, of the whole fleet.
        with_all: number of runs to Spearman's correlations, a draw each, with the whole fleet.
        between: the same between two parts of so many runs that share none.
        wanted: the agreement of two fleets that is enough, in (0, 1).

    Returns:
        Means over draws by number of runs: `spearman_with_all`, `spearman_of_halves`; and by
        Spearman and Brown's formula from the largest halves `spearman_of_fleets`, that of this
        fleet with another as large, and `runs_enough`, how many runs it takes for what is wanted.
    """
    found = [
        mean_of(metric, str(size), measure, np.array(values))
        for measure, curve in (("spearman_with_all", with_all), ("spearman_of_halves", between))
        for size, values in sorted(curve.items())
    ]
    largest = max(between)
    agreement = float(np.mean(between[largest]))
    for measure, value in (
        ("spearman_of_fleets", lengthened(agreement, runs / largest)),
        ("runs_enough", runs_for(agreement, largest, wanted)),
    ):
        found.append(Finding(subject=metric, part="", measure=measure, value=value, rows=runs))
    return found


def lengthened(agreement: float, times: float) -> float:
    """What the agreement of two fleets becomes with `times` as many runs each."""
    return times * agreement / (1 + (times - 1) * agreement)


def runs_for(agreement: float, runs: int, wanted: float) -> float:
    """How many runs a fleet needs, where two of `runs` runs agree so far; NaN if not at all."""
    if not agreement > 0:
        return float("nan")
    if agreement >= 1:
        return float(runs)
    return float(np.ceil(runs * wanted * (1 - agreement) / (agreement * (1 - wanted))))
