"""Explanations of a split's examples: the strongest training examples, from `representers`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Ints
from scoring.data.versions import DatasetVersion
from scoring.report.positions import Positions

STRONGEST = 6
"""Points kept for each output and sign."""
_SHOWN = ("train_id", "train_label", "value", "alpha", "similarity")


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """Rows of `representers`, sorted by the position of the example they explain."""

    position: Ints
    """[K]."""
    table: Any
    """An Arrow table of the K rows."""
    gives_classes: Mapping[str, bool]
    """Whether the outputs that a run explains are classes; otherwise they are hidden units."""

    def within(self, rows: slice) -> dict[int, dict[str, Any]]:
        """Return the explanations of consecutive positions, keyed by offset from the first.

        Each holds `layer`, the explained layer ("" where its outputs are classes); `train`, the
        dataset version of the training examples; and `outputs`, the points of each output:
        training id and label, share of the output, alpha and similarity. Excitatory points come
        first, and the strongest of each sign lead.
        """
        found: dict[int, dict[str, Any]] = {}
        first, end = np.searchsorted(self.position, [rows.start, rows.stop])
        for at, row in enumerate(self.table.slice(first, end - first).to_pylist(), start=first):
            offset = int(self.position[at]) - rows.start
            layer = "" if self.gives_classes[row["run"]] else row["layer"]
            empty = {"layer": layer, "train": row["train_version"], "outputs": {}}
            outputs = found.setdefault(offset, empty)["outputs"]
            outputs.setdefault(row["class"], []).append(_point(row))
        return found


def read_explanations(
    snapshot: Snapshot, positions: Positions, version: DatasetVersion
) -> Explanations:
    """Read the explanations of a split, leaving out examples that are no longer in it."""
    table = snapshot.explanations(version.split, STRONGEST)
    runs = table["run"].unique().to_pylist()
    at = positions.find(version, table["test_id"].to_numpy())
    order = np.argsort(at, kind="stable")
    order = order[at[order] >= 0]
    return Explanations(
        position=at[order],
        table=table.take(order),
        gives_classes={run: snapshot.gives_classes(run) for run in runs},
    )


def _point(row: Mapping[str, Any]) -> list[float | int | None]:
    return [float(f"{v:.4g}") if isinstance(v, float) else v for v in (row[c] for c in _SHOWN)]
