"""Metrics by what they are for, and which of them lead."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from scoring.analysis.error_by_tenth import Errors

PURPOSES = ("label errors", "hard", "atypical", "privacy", "robustness")
"""As `scoring.spec.Purpose`, in the order in which people are shown metrics."""
OTHER = "other"
"""What metrics without a known purpose are for."""
IN_FRONT = 5


class _Described(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def purpose(self) -> str: ...


Metric = TypeVar("Metric", bound=_Described)


def by_purpose(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    """Group metrics, in the order of `PURPOSES`; purposes without metrics are left out."""
    groups: dict[str, list[Metric]] = {purpose: [] for purpose in (*PURPOSES, OTHER)}
    for metric in metrics:
        groups[metric.purpose if metric.purpose in groups else OTHER].append(metric)
    return {purpose: group for purpose, group in groups.items() if group}


def best_first(metrics: Iterable[Metric], errors: Mapping[str, Errors]) -> list[Metric]:
    """Sort metrics by the share of errors in the most outlying tenth of their rankings.

    Metrics of which no errors are known come last. Equals keep their order.
    """

    def rate(metric: Metric) -> float:
        known = errors.get(metric.name)
        return -1.0 if known is None else known.rates[0] or 0.0

    return sorted(metrics, key=rate, reverse=True)


def front(metrics: Sequence[Metric], errors: Mapping[str, Errors]) -> list[str]:
    """Choose `IN_FRONT` metrics: the best for each purpose, then the next best of all.

    They are named in the order of their purposes.
    """
    leaders = [best_first(group, errors)[0] for group in by_purpose(metrics).values()]
    rest = [metric for metric in best_first(metrics, errors) if metric not in leaders]
    chosen = {metric.name for metric in [*leaders, *rest][:IN_FRONT]}
    ordered = (metric.name for group in by_purpose(metrics).values() for metric in group)
    return [name for name in ordered if name in chosen]
