"""What changed since the night before: examples newly outlying, relabelled, or far from before."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.analysis.night_changes import lowest
from scoring.analysis.score_table import Row, Scores
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.analysis.statistics import percentiles_of, spearman
from scoring.arrays import Floats, Ints
from scoring.errors import BadStore, UserError
from scoring.logs import logger
from scoring.report.score_columns import classes_u2, percentiles_u2
from scoring.report.scripts import packed
from scoring.store.keys import Split

MOST = 300
"""Examples listed of each kind."""
FAR = 5.0
"""Percentiles by which an example must have moved to be listed."""
_log = logger(__name__)
Columns = Mapping[str, npt.NDArray[Any]]
"""The columns position, before and after of some examples."""


@dataclass(frozen=True, kw_only=True)
class EarlierNight:
    """The night before the one that published last."""

    snapshot: Snapshot
    started_at: datetime
    replaced: Set[tuple[Split, str]]
    """(split, metric) of what it published and a later night published anew."""


@dataclass(frozen=True, kw_only=True)
class MetricChanges:
    """One metric of a split in two nights."""

    compared: int
    """Examples that both nights rank."""
    spearman: float
    """Correlation of their ranks; NaN if there are fewer than three."""
    newly: Columns
    """Percentiles of the examples newly in the lowest hundredth, the most outlying first."""
    moved: Columns
    """Percentiles of the examples that moved farthest, the farthest first."""
    relabelled: Columns
    """Classes of the examples whose label changed."""

    def data(self) -> dict[str, Any]:
        """Return what the page reads."""
        kinds = {"newly": self.newly, "moved": self.moved, "relabelled": self.relabelled}
        return {
            f"{kind}_{name}": packed(column)
            for kind, columns in kinds.items()
            for name, column in columns.items()
        }


def earlier_night(snapshot: Snapshot, nights: Sequence[Row]) -> EarlierNight | None:
    """Find the night before.

    Args:
        snapshot: the published scores.
        nights: rows of `nights`, newest first.

    Returns:
        None if there is none, or what it published is gone.
    """
    newest = snapshot.newest.night_id
    ids = [night["night_id"] for night in nights]
    before = nights[ids.index(newest) + 1 :] if newest in ids else []
    night = next((n for n in before if n["commit_version"] is not None), None)
    if night is None:
        return None
    try:
        earlier = take_snapshot(snapshot.storage.uri, snapshot.dataset, night["commit_version"])
    except (BadStore, UserError) as error:
        _log.info("no comparison with the night before: %s", error)
        return None
    replaced = {
        of
        for of, manifest in earlier.manifests.items()
        if of in snapshot.manifests and snapshot.manifests[of].night_id != manifest.night_id
    }
    return EarlierNight(snapshot=earlier, started_at=night["started_at"], replaced=replaced)


def changes_since(
    earlier: EarlierNight, split: Split, metric: str, after: Scores, at: Ints
) -> MetricChanges | None:
    """Compare a metric's scores with those of the night before.

    Args:
        earlier: the night before.
        split: the split.
        metric: the metric.
        after: the published scores, K rows.
        at: [K] their positions.

    Returns:
        None if it was not published in both nights, or the earlier scores are gone.
    """
    if (split, metric) not in earlier.replaced:
        return None
    try:
        before = earlier.snapshot.scores(split, metric)
    except BadStore as error:
        _log.info("no comparison of %s with the night before: %s", metric, error)
        return None
    return compare(before, after, at)


def compare(before: Scores, after: Scores, at: Ints) -> MetricChanges:
    """Compare the scores of two nights; `at` holds the positions [K] of the later ones."""
    common, one, two = np.intersect1d(before.ids, after.ids, return_indices=True)
    was, now = before.percentile[one], after.percentile[two]
    both = ~np.isnan(was) & ~np.isnan(now)

    def pairs(rows: Ints, values: tuple[Floats, Floats]) -> Columns:
        kept = rows[:MOST]
        first, second = (percentiles_u2(column[kept]) for column in values)
        return {"position": at[two][kept].astype(np.uint32), "before": first, "after": second}

    newly = np.flatnonzero(both & np.isin(common, np.setdiff1d(lowest(after), lowest(before))))
    moved = np.flatnonzero(both & (np.abs(now - was) >= FAR))
    labels = before.label[one], after.label[two]
    relabelled = np.flatnonzero(labels[0] != labels[1])
    return MetricChanges(
        compared=int(both.sum()),
        spearman=float(spearman([percentiles_of(before), percentiles_of(after)])[0, 1]),
        newly=pairs(newly[np.argsort(now[newly], kind="stable")], (was, now)),
        moved=pairs(moved[np.argsort(-np.abs(now - was)[moved], kind="stable")], (was, now)),
        relabelled={
            "position": at[two][relabelled].astype(np.uint32),
            "before": classes_u2(labels[0][relabelled]),
            "after": classes_u2(labels[1][relabelled]),
        },
    )
