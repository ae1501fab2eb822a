"""What `representers` says of a split's examples: the strongest training examples of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Ints
from scoring.data.versions import DatasetVersion
from scoring.report.positions import Positions

STRONGEST = 6
"""Of either sign."""
_SHOWN = ("train_id", "train_label", "value", "alpha", "similarity")


@dataclass(frozen=True, kw_only=True)
class Explained:
    """Rows of `representers` by rising position of the example that they explain."""

    position: Ints
    """[K]."""
    table: Any
    """An Arrow table of the K rows."""
    gives_classes: Mapping[str, bool]
    """By run, whether the outputs that it explains are classes; else they are units."""

    def of(self, rows: slice) -> dict[int, dict[str, Any]]:
        """Explanations of consecutive positions, by how far each is from the first.

        Each has the `layer` that it is of, "" where its outputs are classes; the dataset version
        (`train`) of the training examples; and by output its points: training id and label, share
        of the output, alpha and similarity, excitatory ones first, of each sign the strongest.
        """
        first, end = np.searchsorted(self.position, [rows.start, rows.stop])
        found: dict[int, dict[str, Any]] = {}
        for at, row in enumerate(self.table.slice(first, end - first).to_pylist(), start=first):
            place = int(self.position[at]) - rows.start
            layer = "" if self.gives_classes[row["run"]] else row["layer"]
            about = {"layer": layer, "train": row["train_version"], "outputs": {}}
            outputs = found.setdefault(place, about)["outputs"]
            outputs.setdefault(row["class"], []).append(_point(row))
        return found


def explained(snapshot: Snapshot, positions: Positions, version: DatasetVersion) -> Explained:
    """Lay out the rows of a split; those of examples that are not in it any more are left out."""
    table = snapshot.explanations(version.split, STRONGEST)
    runs = table["run"].unique().to_pylist()
    at = positions.of(version, table["test_id"].to_numpy())
    order = np.argsort(at, kind="stable")
    order = order[at[order] >= 0]
    return Explained(
        position=at[order],
        table=table.take(order),
        gives_classes={run: snapshot.gives_classes(run) for run in runs},
    )


def _point(row: Mapping[str, Any]) -> list[float | int | None]:
    return [float(f"{v:.4g}") if isinstance(v, float) else v for v in (row[c] for c in _SHOWN)]
