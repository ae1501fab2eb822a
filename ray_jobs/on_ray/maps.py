"""Maps of sets and classes on the cluster: vectors picked shard by shard, then brought together.

Ray Data groups what is picked by set and class; places and clusters are all that comes back.
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
from scoring.analysis.clusters import Map, MapSettings, draw_map
from scoring.analysis.example_sets import Group
from scoring.arrays import Ints
from scoring.data.images import ImageShape
from scoring.data.shard_parts import read_images
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.staged.features import features_path, read_features
from scoring.store.storage import Storage

Vector = npt.NDArray[Any]

# Spelt out: Ray Data cannot shuffle a block without rows beside others unless both have a schema.
_PICKED = pa.schema({"group": pa.int64(), "example_id": pa.int64(), "vector": pa.binary()})
_MOST_PARTITIONS = 200


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What examples are compared by: the numbers of their pixels, or staged features."""

    storage: Storage
    version: DatasetVersion
    run: str = ""
    """Whose layer; "" for pixels."""
    layer: str = ""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Of a vector."""
        return np.float32 if self.run else np.uint8

    def of(self, record: ShardRecord, ids: Ints) -> dict[int, Vector]:
        """Those of some examples of a shard, by id; without images that do not decode."""
        if not self.run:
            shape = self.version.shape
            assert isinstance(shape, ImageShape)  # texts have no pixels
            return read_images(self.storage, self.version.name, record, shape, ids)
        path = features_path(self.run, self.layer, record.content)
        staged = read_features(self.storage, path)
        rows = np.flatnonzero(np.isin(staged.ids, ids))
        return dict(zip(staged.ids[rows].tolist(), staged.features[rows], strict=True))


def draw_maps(
    vectors: Vectors, wanted: Mapping[Group, Ints], settings: MapSettings
) -> dict[Group, Map]:
    """Map the examples of each group by themselves; on the cluster that this process has joined.

    Args:
        vectors: what they are compared by.
        wanted: group to the ids of its examples, ascending.
        settings: how.
    """
    names, pick = list(wanted), _Pick(vectors=vectors, groups=list(wanted.values()))
    shards = [{"shard": number} for number in pick.shards()]
    if not shards:
        return {}
    picked = ray.data.from_items(shards, override_num_blocks=len(shards)).map_batches(
        pick.rows,  # type: ignore[arg-type] # one format of the batches that its stub has
        batch_size=1,
    )
    drawn = picked.groupby("group", num_partitions=min(len(names), _MOST_PARTITIONS)).map_groups(
        partial(_draw, dtype=vectors.dtype, settings=settings), batch_format="numpy"
    )
    found: dict[int, list[dict[str, Any]]] = {}
    with Progress("map", len(names), "group") as progress:
        for row in drawn.iter_rows():
            if row["group"] not in found:
                progress.advance()
            found.setdefault(row["group"], []).append(row)
    return {names[group]: _map_of(rows) for group, rows in sorted(found.items())}


@dataclass(frozen=True, kw_only=True)
class _Pick:
    """Finds the vectors that one shard has for any group."""

    vectors: Vectors
    groups: Sequence[Ints]

    def shards(self) -> list[int]:
        """The numbers of the shards that have any."""
        records = self.vectors.version.shards
        return [n for n, record in enumerate(records) if any(map(len, self._here(record)))]

    def rows(self, batch: dict[str, Any]) -> pa.Table:
        """Group, id and vector of whatever the shard of this number has for a group."""
        record = self.vectors.version.shards[int(batch["shard"][0])]
        here = self._here(record)
        found = self.vectors.of(record, np.unique(np.concatenate(here)))
        rows = [
            {"group": group, "example_id": i, "vector": found[i].tobytes()}
            for group, ids in enumerate(here)
            for i in ids.tolist()
            if i in found
        ]
        return pa.Table.from_pylist(rows, schema=_PICKED)

    def _here(self, record: ShardRecord) -> list[Ints]:
        """Of each group, the ids of this shard."""
        ends = record.first_id, record.first_id + record.rows
        return [ids[slice(*np.searchsorted(ids, ends))] for ids in self.groups]


def _draw(
    picked: dict[str, Any], *, dtype: npt.DTypeLike, settings: MapSettings
) -> dict[str, npt.NDArray[Any]]:
    """One group."""
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
