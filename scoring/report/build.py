"""Everything the page says, gathered partition by partition: columns in memory, never pixels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.analysis.scores import Floats, Ints, Row
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.statistics import Errors, Standing, errors_by_decile, spearman, standing
from scoring.data.versions import DatasetVersion
from scoring.keys import Split
from scoring.report.extremes import ClassEnds, class_ends, ends_to_show
from scoring.report.runs import RunGroup, group_runs
from scoring.report.thumbnails import Key, Source, read_thumbnails
from scoring.tables.evaluations import Finding

_NIGHTS = 7


@dataclass(frozen=True, kw_only=True)
class MetricText:
    """What the page says of a metric."""

    name: str
    summary: str = ""
    """One line."""
    unit: str = ""
    prototypical: Literal["high", "low", ""] = ""
    """The end of `value` that gets the top rank; "" where nobody knows any more."""
    source: str = ""
    """Paper and section."""


@dataclass(frozen=True, kw_only=True)
class MetricReport:
    """One partition."""

    version: str
    """The dataset version it was made of."""
    ends: Sequence[ClassEnds]
    errors: Errors | None

    @property
    def rows(self) -> list[Row]:
        """Every row that is shown."""
        return [row for ends in self.ends for row in ends.rows]


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """All partitions of a split."""

    split: Split
    version: DatasetVersion
    metrics: Mapping[str, MetricReport]
    """In the page's order."""
    correlations: Floats
    """[M, M] Spearman correlations of `metrics`."""
    percentiles: Mapping[int, Sequence[float]]
    """Id of every example shown to its percentile in each of `metrics`; NaN where it has none."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page says."""

    snapshot: Snapshot
    metrics: Sequence[MetricText]
    """Every metric published in either split, in the page's order."""
    ends: int
    """Images at each end of a class, where it has as many."""
    splits: Sequence[SplitReport]
    thumbnails: Mapping[Key, bytes]
    runs: Sequence[RunGroup]
    nights: Sequence[Row]
    """The last few rows of `nights`, newest first."""
    evaluations: Mapping[str, Sequence[Finding]]
    """What evaluations found, by evaluation."""


def build(snapshot: Snapshot, texts: Iterable[MetricText]) -> Report:
    """Gather what the page says.

    Args:
        snapshot: what is published.
        texts: metrics in the order to show them; published ones without a text come last.

    Raises:
        BadStore: a table or a shard cannot be read.
    """
    metrics = _in_order({metric for _, metric in snapshot.manifests}, texts)
    classes = max(len(version.classes) for version in snapshot.data.values())
    ends = ends_to_show(classes, len(snapshot.manifests))
    splits = [_split(snapshot, split, metrics, ends) for split in snapshot.splits]
    return Report(
        snapshot=snapshot,
        metrics=metrics,
        ends=ends,
        splits=splits,
        thumbnails=read_thumbnails(snapshot, _wanted(splits)),
        runs=group_runs(snapshot.runs()),
        nights=snapshot.nights(_NIGHTS),
        evaluations=snapshot.evaluations(),
    )


def _in_order(published: set[str], texts: Iterable[MetricText]) -> list[MetricText]:
    known = {text.name: text for text in texts if text.name in published}
    return [*known.values(), *(MetricText(name=n) for n in sorted(published - set(known)))]


def _split(
    snapshot: Snapshot, split: Split, metrics: Sequence[MetricText], ends: int
) -> SplitReport:
    reports: dict[str, MetricReport] = {}
    standings: list[Standing] = []
    for metric in metrics:
        manifest = snapshot.manifests.get((split, metric.name))
        if manifest is None:
            continue
        scores = snapshot.scores(split, metric.name)
        standings.append(standing(scores))
        reports[metric.name] = MetricReport(
            version=manifest.dataset_version,
            ends=class_ends(scores, ends),
            errors=errors_by_decile(scores),
        )
    shown = _ids(row for report in reports.values() for row in report.rows)
    return SplitReport(
        split=split,
        version=snapshot.current(split),
        metrics=reports,
        correlations=spearman(standings),
        percentiles=dict(
            zip(
                shown.tolist(),
                np.stack([s.of(shown) for s in standings], axis=1).tolist(),
                strict=True,
            )
        ),
    )


def _ids(rows: Iterable[Row]) -> Ints:
    """The ids of some rows, each once, ascending."""
    return np.array(sorted({row["example_id"] for row in rows}), dtype=np.int64)


def _wanted(splits: Sequence[SplitReport]) -> dict[Source, Ints]:
    """Ids of the images to show, from each dataset version."""
    wanted: dict[Source, list[Row]] = {}
    for split in splits:
        for report in split.metrics.values():
            wanted.setdefault((split.split, report.version), []).extend(report.rows)
    return {source: _ids(rows) for source, rows in wanted.items()}
