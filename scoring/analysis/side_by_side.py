"""What several metrics say of the same examples."""

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
class SideBySide:
    """N examples that all of M metrics know, each under one label, in order of id."""

    ids: Ints
    """[N] int64, ascending."""
    label: Ints
    """[N] int64 class index, -1 where unknown."""
    value: Mapping[str, Floats]
    """By metric, [N] in its unit; NaN where it has none."""
    percentile: Mapping[str, Floats]
    """By metric, [N] in [0, 100], low = outlying; NaN where the example is not ranked."""
    class_percentile: Mapping[str, Floats]
    """The same within the example's class."""
    left_out: int
    """Examples that not every metric knows, or that metrics know under several labels."""


def side_by_side(tables: Mapping[str, Any]) -> SideBySide:
    """Put partitions of `scores` beside each other.

    Args:
        tables: metric to an Arrow table of example_id, label, value, percentile and
            class_percentile, its rows in any order; at least one.
    """
    every = {metric: _in_order(table) for metric, table in tables.items()}
    of_each = [columns["example_id"] for columns in every.values()]
    ids = reduce(np.intersect1d, of_each)
    rows = {m: np.searchsorted(columns["example_id"], ids) for m, columns in every.items()}
    labels = np.stack([columns["label"][rows[m]] for m, columns in every.items()])  # [M, N]
    same = (labels == labels[0]).all(axis=0)
    return SideBySide(
        ids=ids[same],
        label=labels[0][same],
        **{name: {m: every[m][name][rows[m][same]] for m in every} for name in _NUMBERS},
        left_out=len(reduce(np.union1d, of_each)) - int(same.sum()),
    )


def read_side_by_side(snapshot: Snapshot, split: Split, metrics: Sequence[str]) -> SideBySide:
    """What published metrics say of a split."""
    store = Store(snapshot.storage.uri)
    return side_by_side(
        {
            metric: store.scores(
                snapshot.dataset, split, metric, columns=_COLUMNS, at=snapshot.version
            )
            for metric in metrics
        }
    )


def read_names(snapshot: Snapshot, split: Split, metric: str, ids: Ints) -> list[str | None]:
    """The names [K] of some examples of a published metric."""
    store = Store(snapshot.storage.uri)
    table = store.scores(
        snapshot.dataset, split, metric, columns=("example_id", "name"), at=snapshot.version
    )
    known = table["example_id"].to_numpy()
    order = np.argsort(known)
    return list(table["name"].take(order[np.searchsorted(known, ids, sorter=order)]).to_pylist())


def _in_order(table: Any) -> dict[str, Any]:  # noqa: ANN401 - Arrow ships no types
    """The columns [N] of a partition in order of id."""
    order = np.argsort(table["example_id"].to_numpy())
    label = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    columns = {name: table[name].to_numpy() for name in ("example_id", *_NUMBERS)}
    return {name: column[order] for name, column in {**columns, "label": label}.items()}
