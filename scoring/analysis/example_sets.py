"""The three kinds of examples that metrics tell apart where they disagree, or all agree.

Every cut is in percentiles of the example's class, 0 = most outlying, 100 = most prototypical:

    boundary = max(adv_l2, ret)    ensemble = max(agr, conf)    priv

    memorized exceptions    ensemble >= 75 and boundary <= 50 and priv <= 50
    uncommon submodes       priv <= 25 and (boundary >= 50 or ensemble >= 50)
    canonical prototypes    boundary >= 75 and ensemble >= 75 and priv >= 75

The maximum of two percentiles is what the union of two top sets amounts to. An example that one of
the metrics does not rank is in no set.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 3.3. Its sentence names
adv and ret for both maxima; agr and conf is what the second one means. It gives no number for
canonical prototypes. We differ: often more than half of a class share the strongest privacy, whose
mean percentile is then below any cut, so a canonical prototype may as well have that: the highest
priv of its class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.analysis.clusters import Map
from scoring.analysis.side_by_side import SideBySide
from scoring.arrays import Bools, Floats, Ints
from scoring.tables.findings import Finding

Columns = Mapping[str, npt.NDArray[Any]]
Group = tuple[str, int]
"""A set and a label."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The metrics that speak for each kind of evidence."""

    boundary: tuple[str, ...] = ("adv_l2", "ret")
    """Metrics of how far the boundary is and how firm; the highest counts."""
    ensemble: tuple[str, ...] = ("agr", "conf")
    """Metrics of how an ensemble sees the example; the highest counts."""
    priv: tuple[str, ...] = ("priv",)
    """The metric of privacy; of several, the highest counts."""

    @property
    def metrics(self) -> list[str]:
        """All of them."""
        return [metric for named in vars(self).values() for metric in named]


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Where the sets begin and end, in percentiles of the class."""

    memorized_ensemble: float = 75.0
    """Memorized exceptions stand at or above this by the ensemble ..."""
    memorized_others: float = 50.0
    """... and at or below this by boundary and by priv."""
    submode_priv: float = 25.0
    """Uncommon submodes stand at or below this by priv ..."""
    submode_others: float = 50.0
    """... and at or above this by boundary or by the ensemble."""
    canonical: float = 75.0
    """Canonical prototypes stand at or above this by all three."""


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Where N examples stand in their classes."""

    label: Ints
    """[N] class index, -1 where unknown."""
    boundary: Floats
    """[N] in [0, 100], as the others; NaN where a metric does not rank the example."""
    ensemble: Floats
    priv: Floats

    @property
    def known(self) -> Bools:
        """[N]: the examples that can be in a set."""
        ranked: Bools = ~np.isnan(self.boundary + self.ensemble + self.priv)
        return ranked & (self.label >= 0)


def percentiles(told: SideBySide, evidence: Evidence) -> Percentiles:
    """The highest class percentile that the metrics of each kind of evidence give."""

    def highest(metrics: Sequence[str]) -> Floats:
        of_each = [told.class_percentile[metric] for metric in metrics]
        top: Floats = np.max(of_each, axis=0)  # NaN where any of them is
        return top

    kinds = {name: highest(metrics) for name, metrics in vars(evidence).items()}
    return Percentiles(label=told.label, **kinds)


def example_sets(of: Percentiles, cuts: Cuts) -> dict[str, Bools]:
    """By name of set, [N] whether an example is in it."""
    outlying = (of.boundary <= cuts.memorized_others) & (of.priv <= cuts.memorized_others)
    seen = (of.boundary >= cuts.submode_others) | (of.ensemble >= cuts.submode_others)
    top = (of.boundary >= cuts.canonical) & (of.ensemble >= cuts.canonical)
    private = (of.priv >= cuts.canonical) | (of.priv == _highest_of_class(of.priv, of.label))
    return {
        "memorized_exceptions": of.known & (of.ensemble >= cuts.memorized_ensemble) & outlying,
        "uncommon_submodes": of.known & (of.priv <= cuts.submode_priv) & seen,
        "canonical_prototypes": of.known & top & private,
    }


def _highest_of_class(values: Floats, label: Ints) -> Floats:
    """[N]: the highest value of each example's class."""
    highest = np.full(int(label.max(initial=-1)) + 2, np.nan)  # the last is of no class
    np.fmax.at(highest, label, values)
    return highest[label]


def findings(sets: Mapping[str, Bools], of: Percentiles, classes: Sequence[str]) -> list[Finding]:
    """How large the sets are, and what they share.

    Args:
        sets: who is in which.
        of: where the examples stand.
        classes: their names in the order of labels.

    Returns:
        `examples` of each set, and of each two of them as "one x other", by class and as part
        "all"; `rows` are the examples that could be there.
    """
    both = {f"{one} x {other}": sets[one] & sets[other] for one, other in combinations(sets, 2)}
    parts = {"all": of.known}
    parts |= {name: of.known & (of.label == c) for c, name in enumerate(classes)}
    return [
        Finding(
            subject=name,
            part=part,
            measure="examples",
            value=float((members & there).sum()),
            rows=int(there.sum()),
        )
        for name, members in {**sets, **both}.items()
        for part, there in parts.items()
    ]


def among_lowest(
    sets: Mapping[str, Bools], percentile: Mapping[str, Floats], lowest: int
) -> list[Finding]:
    """What share of the lowest examples of each metric, of the whole split, a set makes up.

    Args:
        sets: name to [N] whether an example is in it.
        percentile: metric to [N] in [0, 100]; NaN where the example is not ranked.
        lowest: how many; nothing is found unless every metric ranks more.

    Returns:
        `share` in [0, 1] of each set, as part "lowest 5000 by adv_l2".
    """
    if any(np.count_nonzero(~np.isnan(p)) <= lowest for p in percentile.values()):
        return []
    ends = {m: np.argsort(p, kind="stable")[:lowest] for m, p in percentile.items()}  # NaN last
    return [
        Finding(
            subject=name,
            part=f"lowest {lowest} by {metric}",
            measure="share",
            value=float(flags[rows].mean()),
            rows=lowest,
        )
        for name, flags in sets.items()
        for metric, rows in ends.items()
    ]


def members(sets: Mapping[str, Bools], of: Percentiles, ids: Ints) -> dict[str, npt.NDArray[Any]]:
    """Columns of the table `example_sets`, a row per example and set, by set, class and id.

    Args:
        sets: who is in which.
        of: where the examples stand.
        ids: [N] int64, ascending.
    """
    within = np.argsort(of.label, kind="stable")
    rows = {name: within[flags[within]] for name, flags in sorted(sets.items())}
    every = np.concatenate([*rows.values()])
    return {
        "example_id": ids[every],
        "label": of.label[every],
        "set": np.repeat([*rows], [*map(len, rows.values())]),
        **{name: getattr(of, name)[every] for name in ("boundary", "ensemble", "priv")},
    }


def groups(columns: Columns) -> dict[Group, slice]:
    """Which rows of such columns are of a set and class."""
    names, labels = columns["set"], columns["label"]
    new = (names[1:] != names[:-1]) | (labels[1:] != labels[:-1])
    ends = [0, *(np.flatnonzero(new) + 1).tolist(), len(names)]
    return {
        (str(names[first]), int(labels[first])): slice(first, end)
        for first, end in pairwise(ends)
        if first < end
    }


def placed(columns: Columns, maps: Mapping[Group, Map]) -> dict[str, Floats]:
    """Columns `cluster`, `x` and `y` beside such columns; NaN for examples on no map."""
    found = {name: np.full(len(columns["set"]), np.nan) for name in ("cluster", "x", "y")}
    for group, rows in groups(columns).items():
        if group in maps:
            on = maps[group]
            at = rows.start + np.searchsorted(columns["example_id"][rows], on.ids)
            found["cluster"][at] = on.cluster
            found["x"][at], found["y"][at] = on.places.T
    return found
