"""Three sets of examples, defined by where metrics disagree or all agree.

All cuts are in percentiles within the class, 0 = most outlying, 100 = most prototypical:

    boundary = max(adv_l2, ret)    ensemble = max(agr, conf)    priv

    memorized exceptions    ensemble >= 75 and boundary <= 50 and priv <= 50
    uncommon submodes       priv <= 25 and (boundary >= 50 or ensemble >= 50)
    canonical prototypes    boundary >= 75 and ensemble >= 75 and priv >= 75

The maximum of two percentiles stands for the union of two top sets. An example that one of the
metrics does not rank is in no set.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 3.3. The paper names adv
and ret for both maxima; the second must mean agr and conf. It gives no number for canonical
prototypes. We differ: often more than half of a class share the strongest privacy, and their mean
percentile is then below any cut, so an example with the highest priv of its class also counts as a
canonical prototype.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.analysis.clusters import Map
from scoring.analysis.joined_scores import JoinedScores
from scoring.arrays import Bools, Floats, Ints
from scoring.tables.findings import Finding

Columns = Mapping[str, npt.NDArray[Any]]
Group = tuple[str, int]
"""A set and a label."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Metrics that provide each kind of evidence."""

    boundary: tuple[str, ...] = ("adv_l2", "ret")
    """Metrics of the distance to the boundary and its stability; the highest counts."""
    ensemble: tuple[str, ...] = ("agr", "conf")
    """Metrics of how an ensemble sees the example; the highest counts."""
    priv: tuple[str, ...] = ("priv",)
    """The metric of privacy; if several, the highest counts."""

    @property
    def metrics(self) -> list[str]:
        """All of them."""
        return [metric for names in vars(self).values() for metric in names]


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Limits of the sets, in percentiles within the class."""

    memorized_ensemble: float = 75.0
    """Memorized exceptions are at or above this by the ensemble ..."""
    memorized_others: float = 50.0
    """... and at or below this by boundary and by priv."""
    submode_priv: float = 25.0
    """Uncommon submodes are at or below this by priv ..."""
    submode_others: float = 50.0
    """... and at or above this by boundary or by the ensemble."""
    canonical: float = 75.0
    """Canonical prototypes are at or above this by all three."""


@dataclass(frozen=True, kw_only=True)
class ClassPercentiles:
    """Percentiles of N examples within their classes, by kind of evidence."""

    label: Ints
    """[N] class index, -1 where unknown."""
    boundary: Floats
    """[N] in [0, 100], like the others; NaN where a metric does not rank the example."""
    ensemble: Floats
    priv: Floats

    @property
    def known(self) -> Bools:
        """[N] whether the example can be in a set."""
        ranked: Bools = ~np.isnan(self.boundary + self.ensemble + self.priv)
        return ranked & (self.label >= 0)


def class_percentiles(scores: JoinedScores, evidence: Evidence) -> ClassPercentiles:
    """Take the highest class percentile over the metrics of each kind of evidence."""

    def highest(metrics: Sequence[str]) -> Floats:
        percentiles = [scores.class_percentile[metric] for metric in metrics]
        top: Floats = np.max(percentiles, axis=0)  # NaN if any of them is
        return top

    kinds = {kind: highest(metrics) for kind, metrics in vars(evidence).items()}
    return ClassPercentiles(label=scores.label, **kinds)


def example_sets(p: ClassPercentiles, cuts: Cuts) -> dict[str, Bools]:
    """Find the members of each set: its name to [N] whether an example is in it."""
    outlying = (p.boundary <= cuts.memorized_others) & (p.priv <= cuts.memorized_others)
    typical = (p.boundary >= cuts.submode_others) | (p.ensemble >= cuts.submode_others)
    top = (p.boundary >= cuts.canonical) & (p.ensemble >= cuts.canonical)
    private = (p.priv >= cuts.canonical) | (p.priv == _highest_in_class(p.priv, p.label))
    return {
        "memorized_exceptions": p.known & (p.ensemble >= cuts.memorized_ensemble) & outlying,
        "uncommon_submodes": p.known & (p.priv <= cuts.submode_priv) & typical,
        "canonical_prototypes": p.known & top & private,
    }


def _highest_in_class(values: Floats, label: Ints) -> Floats:
    """Return the highest value [N] in the class of each example."""
    highest = np.full(int(label.max(initial=-1)) + 2, np.nan)  # the last is for label -1
    np.fmax.at(highest, label, values)
    return highest[label]


def findings(
    sets: Mapping[str, Bools], percentiles: ClassPercentiles, classes: Sequence[str]
) -> list[Finding]:
    """Report the sizes of the sets and of their intersections.

    Args:
        sets: name to [N] whether an example is in it.
        percentiles: of the N examples.
        classes: class names in the order of labels.

    Returns:
        `examples` of each set, and of each pair of sets as "one x other", by class and as part
        "all"; `rows` counts the examples that could be in a set.
    """
    both = {f"{one} x {other}": sets[one] & sets[other] for one, other in combinations(sets, 2)}
    parts = {"all": percentiles.known}
    parts |= {name: percentiles.known & (percentiles.label == c) for c, name in enumerate(classes)}
    return [
        Finding(
            subject=name,
            part=part,
            measure="examples",
            value=float((members & in_part).sum()),
            rows=int(in_part.sum()),
        )
        for name, members in {**sets, **both}.items()
        for part, in_part in parts.items()
    ]


def among_lowest(
    sets: Mapping[str, Bools], percentile: Mapping[str, Floats], lowest: int
) -> list[Finding]:
    """Report the share of each metric's lowest examples, over the whole split, that a set holds.

    Args:
        sets: name to [N] whether an example is in it.
        percentile: metric to [N] in [0, 100]; NaN where the example is not ranked.
        lowest: how many examples to take; nothing is reported unless every metric ranks more.

    Returns:
        `share` in [0, 1] of each set, as parts such as "lowest 5000 by adv_l2".
    """
    if any(np.count_nonzero(~np.isnan(p)) <= lowest for p in percentile.values()):
        return []
    ends = {m: np.argsort(p, kind="stable")[:lowest] for m, p in percentile.items()}  # NaN last
    return [
        Finding(
            subject=name,
            part=f"lowest {lowest} by {metric}",
            measure="share",
            value=float(members[rows].mean()),
            rows=lowest,
        )
        for name, members in sets.items()
        for metric, rows in ends.items()
    ]


def member_columns(
    sets: Mapping[str, Bools], percentiles: ClassPercentiles, ids: Ints
) -> dict[str, npt.NDArray[Any]]:
    """Make columns of the table `example_sets`, one row for each example in a set.

    Args:
        sets: name to [N] whether an example is in it.
        percentiles: of the N examples.
        ids: [N] ascending.

    Returns:
        Columns sorted by set, class and id; an example in two sets has two rows.
    """
    by_label = np.argsort(percentiles.label, kind="stable")
    rows = {name: by_label[members[by_label]] for name, members in sorted(sets.items())}
    every = np.concatenate([*rows.values()])
    return {
        "example_id": ids[every],
        "label": percentiles.label[every],
        "set": np.repeat([*rows], [*map(len, rows.values())]),
        **{kind: getattr(percentiles, kind)[every] for kind in ("boundary", "ensemble", "priv")},
    }


def groups(columns: Columns) -> dict[Group, slice]:
    """Return the rows of `member_columns` that belong to each set and class."""
    names, labels = columns["set"], columns["label"]
    new = (names[1:] != names[:-1]) | (labels[1:] != labels[:-1])
    ends = [0, *(np.flatnonzero(new) + 1).tolist(), len(names)]
    return {
        (str(names[first]), int(labels[first])): slice(first, end)
        for first, end in pairwise(ends)
        if first < end
    }


def map_columns(columns: Columns, maps: Mapping[Group, Map]) -> dict[str, Floats]:
    """Make the columns `cluster`, `x` and `y` for `member_columns`; NaN for unmapped examples."""
    found = {name: np.full(len(columns["set"]), np.nan) for name in ("cluster", "x", "y")}
    for group, rows in groups(columns).items():
        if group in maps:
            drawn = maps[group]
            at = rows.start + np.searchsorted(columns["example_id"][rows], drawn.ids)
            found["cluster"][at] = drawn.cluster
            found["x"][at], found["y"][at] = drawn.places.T
    return found
