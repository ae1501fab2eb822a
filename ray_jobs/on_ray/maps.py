"""Maps of example sets: vectors are picked shard by shard, then grouped by Ray Data.

Only positions and clusters come back to the driver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import TASK_RETRIES
from ray_jobs.on_ray.errors import telling
from ray_jobs.on_ray.waiting import asking
from scoring.analysis.clusters import Map, MapSettings, draw_map
from scoring.analysis.example_sets import Group
from scoring.analysis.map_vectors import Vectors
from scoring.arrays import Ints
from scoring.data.shards import ShardRecord

# Explicit, since Ray Data cannot shuffle empty blocks along with others unless they have a schema.
_PICKED = pa.schema({"group": pa.int64(), "example_id": pa.int64(), "vector": pa.binary()})
_MOST_PARTITIONS = 200


def draw_maps(
    vectors: Vectors, wanted: Mapping[Group, Ints], settings: MapSettings
) -> dict[Group, Map]:
    """Draw a map of each group's examples.

    Args:
        vectors: the vectors that examples are compared by.
        wanted: ascending example ids by group.
        settings: how to draw maps.
    """
    names, pick = list(wanted), _Pick(vectors=vectors, groups=list(wanted.values()))
    shards = [{"shard": number} for number in pick.shards()]
    if not shards:
        return {}
    picked = ray.data.from_items(shards, override_num_blocks=len(shards)).map_batches(
        pick.rows,  # type: ignore[arg-type] # its stub knows other batch formats
        batch_size=1,
        **TASK_RETRIES,
    )
    drawn = picked.groupby("group", num_partitions=min(len(names), _MOST_PARTITIONS)).map_groups(
        partial(_draw, dtype=vectors.dtype, settings=settings), batch_format="numpy"
    )
    found: dict[int, list[dict[str, Any]]] = {}
    with (
        asking("map", "a worker", {"CPU": 1}),
        Progress("map", len(names), "group") as progress,
    ):
        for row in drawn.iter_rows():
            if row["group"] not in found:
                progress.advance()
            found.setdefault(row["group"], []).append(row)
    return {names[group]: _map_of(rows) for group, rows in sorted(found.items())}


@dataclass(frozen=True, kw_only=True)
class _Pick:
    """Picks the vectors that a shard holds for any group."""

    vectors: Vectors
    groups: Sequence[Ints]

    def shards(self) -> list[int]:
        """Return the indices of shards that hold examples of any group."""
        records = self.vectors.version.shards
        return [n for n, record in enumerate(records) if any(map(len, self._here(record)))]

    @telling
    def rows(self, batch: dict[str, Any]) -> pa.Table:
        """Return group, id and vector of every example that a shard holds for a group."""
        record = self.vectors.version.shards[int(batch["shard"][0])]
        here = self._here(record)
        found = self.vectors.read(record, np.unique(np.concatenate(here)))
        rows = [
            {"group": group, "example_id": i, "vector": found[i].tobytes()}
            for group, ids in enumerate(here)
            for i in ids.tolist()
            if i in found
        ]
        return pa.Table.from_pylist(rows, schema=_PICKED)

    def _here(self, record: ShardRecord) -> list[Ints]:
        """Return the ids of each group that are in a shard."""
        ends = record.first_id, record.first_id + record.rows
        return [ids[slice(*np.searchsorted(ids, ends))] for ids in self.groups]


@telling
def _draw(
    picked: dict[str, Any], *, dtype: npt.DTypeLike, settings: MapSettings
) -> dict[str, npt.NDArray[Any]]:
    """Draw the map of one group."""
    vectors = np.frombuffer(b"".join(picked["vector"]), dtype)
    made = draw_map(picked["example_id"], vectors.reshape(len(picked["vector"]), -1), settings)
    x, y = made.places.T
    group = np.full(len(x), picked["group"][0])
    return {"group": group, "example_id": made.ids, "x": x, "y": y, "cluster": made.cluster}


def _map_of(rows: Sequence[dict[str, Any]]) -> Map:
    return Map(
        ids=np.array([row["example_id"] for row in rows]),
        places=np.array([(row["x"], row["y"]) for row in rows]),
        cluster=np.array([row["cluster"] for row in rows]),
    )
