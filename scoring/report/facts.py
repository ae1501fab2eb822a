"""Everything a report says, gathered from the tables: columns of numbers, never pixels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scoring.analysis.scores import Row
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.statistics import Errors, errors_by_decile, spearman, standing
from scoring.arrays import Floats
from scoring.data.versions import DatasetVersion
from scoring.report.explained import Explained, explained
from scoring.report.positions import Positions, place
from scoring.report.runs import RunGroup, group_runs
from scoring.report.score_columns import MetricColumns, Statuses, columns_of
from scoring.report.set_maps import ExampleSets, sets_of
from scoring.store.keys import Split
from scoring.tables.findings import Finding

_NIGHTS = 7


@dataclass(frozen=True, kw_only=True)
class MetricText:
    """What pages say of a metric."""

    name: str
    summary: str = ""
    """One line."""
    unit: str = ""
    prototypical: Literal["high", "low", ""] = ""
    """The end of `value` that gets the top rank; "" where nobody knows any more."""
    source: str = ""
    """Paper and section."""


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """All that is said of a split's N positions."""

    split: Split
    versions: Mapping[str, DatasetVersion]
    """By key, those that its partitions were made of; that of the newest partition first."""
    positions: Positions
    made_of: Mapping[str, str]
    """Metric, in the report's order, to the dataset version that its partition was made of."""
    columns: Mapping[str, MetricColumns]
    """By metric."""
    statuses: Sequence[str]
    """That the columns' `status` counts through."""
    errors: Mapping[str, Errors]
    """By metric, without those of which nothing is known."""
    correlations: Floats
    """[M, M] Spearman correlations of the metrics."""
    sets: ExampleSets | None
    explained: Explained

    @property
    def version(self) -> DatasetVersion:
        """That the newest partition was made of."""
        return next(iter(self.versions.values()))


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the report says."""

    snapshot: Snapshot
    written_at: datetime
    metrics: Sequence[MetricText]
    """Every metric published in either split, in the report's order."""
    splits: Sequence[SplitReport]
    runs: Sequence[RunGroup]
    nights: Sequence[Row]
    """The last few rows of `nights`, newest first."""
    evaluations: Mapping[str, Sequence[Finding]]
    """What evaluations found, by evaluation."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of labels."""
        return self.splits[-1].version.classes


def gather(snapshot: Snapshot, texts: Iterable[MetricText], written_at: datetime) -> Report:
    """Read what the report says.

    Args:
        snapshot: what is published.
        texts: metrics in the order to show them; published ones without a text come last.
        written_at: when, with a time zone; pages show it, and ask for their files by it.

    Raises:
        BadStore: a table cannot be read.
    """
    metrics = _in_order({metric for _, metric in snapshot.manifests}, texts)
    return Report(
        snapshot=snapshot,
        written_at=written_at,
        metrics=metrics,
        splits=[_split(snapshot, split, metrics) for split in snapshot.splits],
        runs=group_runs(snapshot.runs()),
        nights=snapshot.nights(_NIGHTS),
        evaluations=snapshot.evaluations(),
    )


def _in_order(published: set[str], texts: Iterable[MetricText]) -> list[MetricText]:
    known = {text.name: text for text in texts if text.name in published}
    return [*known.values(), *(MetricText(name=n) for n in sorted(published - set(known)))]


def _split(snapshot: Snapshot, split: Split, metrics: Sequence[MetricText]) -> SplitReport:
    names = [m.name for m in metrics if (split, m.name) in snapshot.manifests]
    made_of = {name: snapshot.manifests[split, name].dataset_version for name in names}
    current = snapshot.current(split)
    versions = {current.version: current}
    versions |= {name: snapshot.data[split, name] for name in made_of.values()}
    positions = place(versions.values())
    statuses, columns, errors, standings = Statuses(), {}, {}, []
    for name in names:
        scores = snapshot.scores(split, name)
        at = positions.of(versions[made_of[name]], scores.ids)
        columns[name] = columns_of(scores, at, positions.count, statuses)
        standings.append(standing(scores))
        if by_decile := errors_by_decile(scores):
            errors[name] = by_decile
    return SplitReport(
        split=split,
        versions=versions,
        positions=positions,
        made_of=made_of,
        columns=columns,
        statuses=statuses.texts,
        errors=errors,
        correlations=spearman(standings),
        sets=sets_of(snapshot.example_sets(split), positions, current),
        explained=explained(snapshot, positions, current),
    )
