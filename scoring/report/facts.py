"""Everything a report shows except pixels, read from the tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from scoring.analysis.error_by_tenth import Errors, errors_by_tenth
from scoring.analysis.score_table import Row
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.statistics import Percentiles, percentiles_of, spearman
from scoring.arrays import Floats
from scoring.data.versions import DatasetVersion
from scoring.report.explained_examples import Explanations, read_explanations
from scoring.report.judged_labels import JudgedLabels, read_judged_labels
from scoring.report.metric_groups import best_first, by_purpose, front
from scoring.report.night_against_night import (
    EarlierNight,
    MetricChanges,
    changes_since,
    earlier_night,
)
from scoring.report.positions import Positions, place_shards
from scoring.report.run_table import RunGroup, group_runs
from scoring.report.score_columns import MetricColumns, Statuses, lay_out
from scoring.report.set_maps import ExampleSets, read_sets
from scoring.store.keys import Split
from scoring.tables.findings import Finding

_NIGHTS = 7


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """A metric as the pages describe it."""

    name: str
    summary: str = ""
    """One line."""
    unit: str = ""
    prototypical: Literal["high", "low", ""] = ""
    """The end of `value` that is prototypical; "" for a metric that is no longer registered."""
    ranked_by: Literal["value", "class_z", ""] = ""
    """The column that ranks and percentiles follow; "" if the metric is no longer registered."""
    source: str = ""
    """Paper and section."""
    purpose: str = ""
    """What it is for, one of `scoring.spec.Purpose`."""


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """One split: its N positions and what is published about them."""

    split: Split
    versions: Mapping[str, DatasetVersion]
    """Dataset versions behind the published partitions, by key; the newest partition's first."""
    positions: Positions
    scored_on: Mapping[str, str]
    """The key of the dataset version that each metric was scored on, in the report's order."""
    columns: Mapping[str, MetricColumns]
    """Scores by metric."""
    statuses: Sequence[str]
    """The words that the columns' `status` indexes."""
    errors: Mapping[str, Errors]
    """Errors by metric, where labels and predictions are known."""
    correlations: Floats
    """[M, M] Spearman correlations of the metrics."""
    sets: ExampleSets | None
    explanations: Explanations
    labels: JudgedLabels | None
    """The verdict on the labels; None if they were not judged."""
    changes: Mapping[str, MetricChanges]
    """What changed since the night before, by metric; empty if there is none."""

    @property
    def version(self) -> DatasetVersion:
        """The dataset version that the newest partition was scored on."""
        return next(iter(self.versions.values()))


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the pages show."""

    snapshot: Snapshot
    written_at: datetime
    metrics: Sequence[MetricInfo]
    """Every metric published in either split, in display order."""
    splits: Sequence[SplitReport]
    runs: Sequence[RunGroup]
    nights: Sequence[Row]
    """The last few rows of `nights`, newest first."""
    evaluations: Mapping[str, Sequence[Finding]]
    """Findings by evaluation."""
    earlier: datetime | None
    """Start of the night before, if what it published is there."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of labels."""
        return self.splits[-1].version.classes

    @property
    def by_purpose(self) -> Mapping[str, Sequence[MetricInfo]]:
        """Metrics by what they are for."""
        return by_purpose(self.metrics)

    @property
    def errors(self) -> Mapping[str, Errors]:
        """Each metric's errors on the test split; on training rows they would flatter."""
        return next((split.errors for split in self.splits if split.split == "test"), {})

    @property
    def front(self) -> Sequence[str]:
        """The metrics that lead."""
        return front(self.metrics, self.errors)

    @property
    def best(self) -> str:
        """The metric whose most outlying tenth holds the largest share of errors."""
        return best_first(self.metrics, self.errors)[0].name


def gather(snapshot: Snapshot, metrics: Iterable[MetricInfo], written_at: datetime) -> Report:
    """Read everything that the report shows.

    Args:
        snapshot: the published scores.
        metrics: known metrics in display order; other published metrics come last.
        written_at: time of writing, with a time zone; pages show it, and append it to the
            addresses of their files so that browsers do not mix two reports.

    Raises:
        BadStore: a table cannot be read.
    """
    shown = _in_order({metric for _, metric in snapshot.manifests}, metrics)
    evaluations, nights = snapshot.evaluations(), snapshot.nights(_NIGHTS)
    earlier = earlier_night(snapshot, nights)
    return Report(
        snapshot=snapshot,
        written_at=written_at,
        metrics=shown,
        splits=[_split(snapshot, split, shown, evaluations, earlier) for split in snapshot.splits],
        runs=group_runs(snapshot.runs()),
        nights=nights,
        evaluations=evaluations,
        earlier=earlier.started_at if earlier else None,
    )


def _in_order(published: set[str], metrics: Iterable[MetricInfo]) -> list[MetricInfo]:
    known = {metric.name: metric for metric in metrics if metric.name in published}
    return [*known.values(), *(MetricInfo(name=n) for n in sorted(published - set(known)))]


def _split(
    snapshot: Snapshot,
    split: Split,
    metrics: Sequence[MetricInfo],
    evaluations: Mapping[str, Sequence[Finding]],
    earlier: EarlierNight | None,
) -> SplitReport:
    shown = [m for m in metrics if (split, m.name) in snapshot.manifests]
    scored_on = {m.name: snapshot.manifests[split, m.name].dataset_version for m in shown}
    current = snapshot.current(split)
    versions = {current.version: current}
    versions |= {name: snapshot.data[split, name] for name in scored_on.values()}
    positions = place_shards(versions.values())
    statuses, columns, errors, rankings = Statuses(), {}, {}, []
    changes: dict[str, MetricChanges] = {}
    for metric in shown:
        name = metric.name
        scores = snapshot.scores(split, name, ["class_z"] if metric.ranked_by == "class_z" else [])
        at = positions.find(versions[scored_on[name]], scores.ids)
        columns[name] = lay_out(scores, at, positions.count, statuses)
        rankings.append(percentiles_of(scores))
        if by_decile := errors_by_tenth(scores):
            errors[name] = by_decile
        if earlier and (found := changes_since(earlier, split, name, scores, at)):
            changes[name] = found
    return SplitReport(
        split=split,
        versions=versions,
        positions=positions,
        scored_on=scored_on,
        columns=columns,
        statuses=statuses.names,
        errors=errors,
        correlations=_correlations(rankings),
        sets=read_sets(snapshot.example_sets(split), positions, current),
        explanations=read_explanations(snapshot, positions, current),
        labels=read_judged_labels(snapshot, split, versions, positions, evaluations),
        changes=changes,
    )


def _correlations(rankings: Sequence[Percentiles]) -> Floats:
    """Correlate the M metrics that rank anything; the others would leave nothing to compare."""
    ranks = [n for n, ranking in enumerate(rankings) if not np.isnan(ranking.percentile).all()]
    found: Floats = np.full((len(rankings), len(rankings)), np.nan)
    if ranks:
        found[np.ix_(ranks, ranks)] = spearman([rankings[n] for n in ranks])
    return found
