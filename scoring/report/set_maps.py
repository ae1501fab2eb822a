"""What `example_sets` says of a split, by the positions of its examples."""

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
"""In which sets are shown; those of other names follow."""
NOT_CLUSTERED = -2
"""In `cluster`; -1 is noise."""
Column = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ExampleSets:
    """The sets of a split."""

    members: Mapping[str, Mapping[str, Column]]
    """By set, the columns position, label, cluster, x and y of its K members."""
    evaluated_at: datetime
    command: str
    left_out: int
    """Rows of examples that are not in the split any more."""

    def counts(self, classes: int) -> dict[str, list[int]]:
        """By set, how many members each class has."""
        return {
            name: np.bincount(columns["label"], minlength=classes).tolist()[:classes]
            for name, columns in self.members.items()
        }

    def data(self) -> dict[str, Any]:
        """For the page."""
        return {
            name: {column: packed(values) for column, values in columns.items()}
            for name, columns in self.members.items()
        }


@dataclass(frozen=True, kw_only=True)
class Memberships:
    """All pairs of an example and a set it is in, by rising position."""

    names: tuple[str, ...]
    position: Ints
    number: Ints
    """Of the set in `names`."""
    cluster: Ints

    def of(self, rows: slice) -> dict[int, list[tuple[str, int]]]:
        """Sets and clusters of consecutive positions, by how far each is from the first."""
        found: dict[int, list[tuple[str, int]]] = {}
        first, end = np.searchsorted(self.position, [rows.start, rows.stop])
        for at in range(first, end):
            pair = self.names[self.number[at]], int(self.cluster[at])
            found.setdefault(int(self.position[at]) - rows.start, []).append(pair)
        return found


def sets_of(table: Any, positions: Positions, version: DatasetVersion) -> ExampleSets | None:  # noqa: ANN401 - Arrow
    """Lay out the rows of a split; None where there are none."""
    if not len(table):
        return None
    at = positions.of(version, table["example_id"].to_numpy())
    names = np.array(table["set"].to_pylist())
    columns = {
        "position": at.astype(np.uint32),
        "label": table["label"].to_numpy().astype(np.uint16),
        "cluster": table["cluster"].fill_null(NOT_CLUSTERED).to_numpy().astype(np.int16),
        "x": table["x"].to_numpy().astype(np.float32),
        "y": table["y"].to_numpy().astype(np.float32),
    }
    there = set(names.tolist())
    known = [name for name in ORDER if name in there] + sorted(there - {*ORDER})
    return ExampleSets(
        members={
            name: {c: values[(names == name) & (at >= 0)] for c, values in columns.items()}
            for name in known
        },
        evaluated_at=table["evaluated_at"][0].as_py(),
        command=table["command"][0].as_py(),
        left_out=int((at < 0).sum()),
    )


def memberships(sets: ExampleSets | None) -> Memberships:
    """Who is in which sets, to be asked by position."""
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
