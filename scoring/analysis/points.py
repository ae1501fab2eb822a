"""Points of a scatter plot as findings: each point is a subject, each coordinate a measure.

A large set is sampled: the points with the largest and smallest values of each method, and others
drawn uniformly with a fixed seed.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scoring.analysis.attribution import Example
from scoring.analysis.joined_scores import JoinedScores
from scoring.arrays import Floats, Ints
from scoring.tables.findings import Finding

_MOST = 3000
_STRONGEST = 25  # of each sign and method


def point(subject: str, part: str, coordinates: Mapping[str, float]) -> list[Finding]:
    """Report a point; its `part` decides its colour."""
    return [
        Finding(subject=subject, part=part, measure=measure, value=float(value), rows=1)
        for measure, value in coordinates.items()
    ]


def example_points(
    example: Example, test_id: int, train_ids: Ints, labels: Ints, classes: Sequence[str]
) -> list[Finding]:
    """Report the distance and the values of training examples for one test example (Figure 9).

    Args:
        example: the test example.
        test_id: its id.
        train_ids: [N].
        labels: [N] labels of the training examples.
        classes: class names.

    Returns:
        For the test example: `label` and `predicted`, named in `part`, with `rows` N. For at most
        3000 training examples, with their class as part: `distance` and a value for each method.
    """
    found = [
        Finding(
            subject=f"test {test_id}",
            part=classes[index],
            measure=measure,
            value=index,
            rows=len(train_ids),
        )
        for measure, index in (("label", example.label), ("predicted", example.predicted))
    ]
    for i in sample_rows(example.values.values()):
        coordinates = {method: values[i] for method, values in example.values.items()}
        found += point(
            f"train {train_ids[i]}",
            classes[labels[i]],
            {"distance": example.distance[i], **coordinates},
        )
    return found


def pair_points(scores: JoinedScores, pair: Sequence[str], classes: Sequence[str]) -> list[Finding]:
    """Report the percentiles of examples by two metrics.

    Source: Carlini et al. 2019, arXiv:1910.13427, Figure 3 a.

    Args:
        scores: percentiles of the metrics.
        pair: the two metrics.
        classes: class names in the order of labels.

    Returns:
        For at most 3000 examples that both metrics rank, with their class as part ("" where it is
        unknown): the percentile in [0, 100] by each metric.
    """
    percentiles = {metric: scores.percentile[metric] for metric in pair}
    ranked = np.flatnonzero(~np.isnan(np.stack([*percentiles.values()])).any(axis=0))
    found = []
    for i in ranked[sample_rows([percentile[ranked] for percentile in percentiles.values()])]:
        part = classes[scores.label[i]] if scores.label[i] >= 0 else ""
        coordinates = {metric: percentile[i] for metric, percentile in percentiles.items()}
        found += point(f"example {scores.ids[i]}", part, coordinates)
    return found


def sample_rows(values: Iterable[Floats], most: int = _MOST) -> Ints:
    """Return the positions of the rows to show, ascending.

    Args:
        values: for each method, its values [N].
        most: show all N rows if there are no more than this; otherwise the rows with the 25 largest
            and smallest values of each method, and others at random.
    """
    orders = [np.argsort(column, kind="stable") for column in values]
    rows = len(orders[0])
    if rows <= most:
        return np.arange(rows)
    ends = [np.concatenate([order[:_STRONGEST], order[-_STRONGEST:]]) for order in orders]
    kept = np.unique(np.concatenate(ends))
    others = np.setdiff1d(np.arange(rows), kept)
    drawn = np.random.default_rng(0).choice(others, most - len(kept), replace=False)
    return np.union1d(kept, drawn)
