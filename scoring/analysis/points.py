"""Points of a scatter as findings: each point a subject, each of its coordinates a measure.

Of large training sets, a scatter shows some: the strongest of each sign, whichever way they were
weighed, and others drawn evenly by a fixed seed.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scoring.analysis.attribution import Example
from scoring.analysis.side_by_side import SideBySide
from scoring.arrays import Floats, Ints
from scoring.tables.findings import Finding

_MOST = 3000
_STRONGEST = 25  # of each sign and way


def point(subject: str, part: str, coordinates: Mapping[str, float]) -> list[Finding]:
    """A point; its `part` is what it is coloured by."""
    return [
        Finding(subject=subject, part=part, measure=measure, value=float(value), rows=1)
        for measure, value in coordinates.items()
    ]


def example_points(
    example: Example, test_id: int, train_ids: Ints, labels: Ints, classes: Sequence[str]
) -> list[Finding]:
    """How far training examples are from a test example, and what they are to it (Figure 9).

    Args:
        example: the test example.
        test_id: its id.
        train_ids: [N].
        labels: [N], of the training examples.
        classes: their names.

    Returns:
        Of the test example, `label` and `predicted`, by name in `part`, with N as `rows`; of at
        most 3000 training examples, part the class, `distance` and the values by way.
    """
    told = [
        Finding(
            subject=f"test {test_id}",
            part=classes[index],
            measure=measure,
            value=index,
            rows=len(train_ids),
        )
        for measure, index in (("label", example.label), ("predicted", example.predicted))
    ]
    for i in drawn(example.values.values()):
        coordinates = {way: values[i] for way, values in example.values.items()}
        told += point(
            f"train {train_ids[i]}",
            classes[labels[i]],
            {"distance": example.distance[i], **coordinates},
        )
    return told


def pair_points(told: SideBySide, pair: Sequence[str], classes: Sequence[str]) -> list[Finding]:
    """Where two metrics put examples (Carlini et al. 2019, arXiv:1910.13427, Figure 3 a).

    Args:
        told: what metrics say.
        pair: the two.
        classes: their names in the order of labels.

    Returns:
        Of at most 3000 examples that both rank, part the class ("" where it is unknown), the
        percentile in [0, 100] by metric.
    """
    of_each = {metric: told.percentile[metric] for metric in pair}
    ranked = np.flatnonzero(~np.isnan(np.stack([*of_each.values()])).any(axis=0))
    found = []
    for i in ranked[drawn([percentile[ranked] for percentile in of_each.values()])]:
        part = classes[told.label[i]] if told.label[i] >= 0 else ""
        coordinates = {metric: percentile[i] for metric, percentile in of_each.items()}
        found += point(f"example {told.ids[i]}", part, coordinates)
    return found


def drawn(weighed: Iterable[Floats], most: int = _MOST) -> Ints:
    """Positions of the rows to show, ascending.

    Args:
        weighed: what the N rows weigh, [N] for each way.
        most: how many to show where there are more.
    """
    orders = [np.argsort(weights, kind="stable") for weights in weighed]
    rows = len(orders[0])
    if rows <= most:
        return np.arange(rows)
    ends = [np.concatenate([order[:_STRONGEST], order[-_STRONGEST:]]) for order in orders]
    kept = np.unique(np.concatenate(ends))
    others = np.setdiff1d(np.arange(rows), kept)
    some = np.random.default_rng(0).choice(others, most - len(kept), replace=False)
    return np.union1d(kept, some)
