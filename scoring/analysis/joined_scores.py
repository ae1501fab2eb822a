"""The scores of several metrics, joined by example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Floats, Ints
from scoring.store.keys import Split
from scoring.tables import Store

_COLUMNS = ("example_id", "label", "value", "percentile", "class_percentile")
_NUMBERS = _COLUMNS[2:]


@dataclass(frozen=True, kw_only=True)
class JoinedScores:
    """The N examples that all of M metrics know under the same label, sorted by id."""

    ids: Ints
    """[N] ascending."""
    label: Ints
    """[N] class index, -1 where unknown."""
    value: Mapping[str, Floats]
    """Metric to values [N] in its unit, NaN where it has none."""
    percentile: Mapping[str, Floats]
    """Metric to percentiles [N] in [0, 100], low = outlying; NaN where the example is unranked."""
    class_percentile: Mapping[str, Floats]
    """The same, within the example's class."""
    left_out: int
    """Examples that some metric does not know, or that metrics know under different labels."""


def join_scores(tables: Mapping[str, Any]) -> JoinedScores:
    """Join partitions of `scores` on the example id.

    Args:
        tables: metric to an Arrow table of example_id, label, value, percentile and
            class_percentile, its rows in any order; at least one metric.
    """
    partitions = {metric: _sorted_by_id(table) for metric, table in tables.items()}
    ids_by_metric = [columns["example_id"] for columns in partitions.values()]
    ids = reduce(np.intersect1d, ids_by_metric)
    rows = {m: np.searchsorted(columns["example_id"], ids) for m, columns in partitions.items()}
    labels = np.stack([columns["label"][rows[m]] for m, columns in partitions.items()])  # [M, N]
    same = (labels == labels[0]).all(axis=0)
    return JoinedScores(
        ids=ids[same],
        label=labels[0][same],
        **{name: {m: partitions[m][name][rows[m][same]] for m in partitions} for name in _NUMBERS},
        left_out=len(reduce(np.union1d, ids_by_metric)) - int(same.sum()),
    )


def read_joined_scores(snapshot: Snapshot, split: Split, metrics: Sequence[str]) -> JoinedScores:
    """Read and join the published scores of some metrics on one split."""
    store = Store(snapshot.storage.uri)
    return join_scores(
        {
            metric: store.scores(
                snapshot.dataset, split, metric, columns=_COLUMNS, at=snapshot.version
            )
            for metric in metrics
        }
    )


def read_names(snapshot: Snapshot, split: Split, metric: str, ids: Ints) -> list[str | None]:
    """Return the names [K] of examples `ids` [K] from the partition of a published metric."""
    store = Store(snapshot.storage.uri)
    table = store.scores(
        snapshot.dataset, split, metric, columns=("example_id", "name"), at=snapshot.version
    )
    known = table["example_id"].to_numpy()
    order = np.argsort(known)
    return list(table["name"].take(order[np.searchsorted(known, ids, sorter=order)]).to_pylist())


def _sorted_by_id(table: Any) -> dict[str, Any]:  # noqa: ANN401 - Arrow ships no types
    """Return the columns [N] of a partition as arrays, sorted by id."""
    order = np.argsort(table["example_id"].to_numpy())
    label = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    columns = {name: table[name].to_numpy() for name in ("example_id", *_NUMBERS)}
    return {name: column[order] for name, column in {**columns, "label": label}.items()}
