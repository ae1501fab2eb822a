"""The example sets of a split, read from `example_sets`, by the positions of their members."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.arrays import Ints
from scoring.data.versions import DatasetVersion
from scoring.report.positions import Positions
from scoring.report.scripts import packed

ORDER = ("memorized_exceptions", "uncommon_submodes", "canonical_prototypes")
"""Display order of the sets; sets with other names follow."""
NOT_CLUSTERED = -2
"""Stands in `cluster` for a member that was not clustered; -1 is noise."""
Column = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ExampleSets:
    """The sets of a split."""

    members: Mapping[str, Mapping[str, Column]]
    """The columns position, label, cluster, x and y [K] of each set's K members."""
    evaluated_at: datetime
    command: str
    left_out: int
    """Rows of examples that are no longer in the split."""

    def counts(self, classes: int) -> dict[str, list[int]]:
        """Count the members of each set by class."""
        return {
            name: np.bincount(columns["label"], minlength=classes).tolist()[:classes]
            for name, columns in self.members.items()
        }

    def data(self) -> dict[str, Any]:
        """Return the columns as the page reads them."""
        return {
            name: {column: packed(values) for column, values in columns.items()}
            for name, columns in self.members.items()
        }


@dataclass(frozen=True, kw_only=True)
class Memberships:
    """All pairs of an example and a set it belongs to, sorted by position."""

    names: tuple[str, ...]
    """The sets."""
    position: Ints
    number: Ints
    """Index of the set in `names`."""
    cluster: Ints

    def within(self, rows: slice) -> dict[int, list[tuple[str, int]]]:
        """Return the sets and clusters of consecutive positions, keyed by offset from the first."""
        found: dict[int, list[tuple[str, int]]] = {}
        first, end = np.searchsorted(self.position, [rows.start, rows.stop])
        for at in range(first, end):
            pair = self.names[self.number[at]], int(self.cluster[at])
            found.setdefault(int(self.position[at]) - rows.start, []).append(pair)
        return found


def read_sets(table: Any, positions: Positions, version: DatasetVersion) -> ExampleSets | None:  # noqa: ANN401 - Arrow
    """Sort the rows of a split into sets; None if there are no rows."""
    if not len(table):
        return None
    at = positions.find(version, table["example_id"].to_numpy())
    names = np.array(table["set"].to_pylist())
    columns = {
        "position": at.astype(np.uint32),
        "label": table["label"].to_numpy().astype(np.uint16),
        "cluster": table["cluster"].fill_null(NOT_CLUSTERED).to_numpy().astype(np.int16),
        "x": table["x"].to_numpy().astype(np.float32),
        "y": table["y"].to_numpy().astype(np.float32),
    }
    present = set(names.tolist())
    ordered = [name for name in ORDER if name in present] + sorted(present - {*ORDER})
    return ExampleSets(
        members={
            name: {c: values[(names == name) & (at >= 0)] for c, values in columns.items()}
            for name in ordered
        },
        evaluated_at=table["evaluated_at"][0].as_py(),
        command=table["command"][0].as_py(),
        left_out=int((at < 0).sum()),
    )


def memberships(sets: ExampleSets | None) -> Memberships:
    """Index the members of all sets by position."""
    members = sets.members if sets else {}
    sizes = [len(columns["position"]) for columns in members.values()]
    empty = [np.empty(0, np.int64)]
    position = np.concatenate([*(c["position"] for c in members.values()), *empty]).astype(np.int64)
    cluster = np.concatenate([*(c["cluster"] for c in members.values()), *empty]).astype(np.int64)
    order = np.argsort(position, kind="stable")
    return Memberships(
        names=tuple(members),
        position=position[order],
        number=np.repeat(np.arange(len(sizes)), sizes)[order],
        cluster=cluster[order],
    )
