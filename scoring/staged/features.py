"""Staged features: the inputs and outputs of a layer of a run's net on a shard."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scoring.arrays import Floats32, Ints
from scoring.store.parquet import read_parquet, write_parquet
from scoring.store.storage import Storage

_ROWS = pa.list_(pa.float32(), 1)
_COLUMNS = pa.schema(
    [
        pa.field("example_id", pa.int64(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("features", _ROWS, nullable=False),
        pa.field("outputs", _ROWS, nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class StagedFeatures:
    """Features and outputs of the N decodable rows of a shard, in the shard's order."""

    ids: Ints
    """[N] example ids."""
    labels: Ints
    """[N], -1 where unknown."""
    features: Floats32
    """[N, D]; the last one is a constant 1 if the layer has a bias."""
    outputs: Floats32
    """[N, C] outputs of the layer, before any activation."""


def write_features(storage: Storage, path: str, staged: StagedFeatures) -> None:
    """Stage the features of a shard."""
    table = pa.table(
        {
            "example_id": staged.ids,
            "label": staged.labels,
            "features": _column(staged.features),
            "outputs": _column(staged.outputs),
        }
    )
    # Floats hardly ever repeat, so a dictionary or stronger compression would gain nothing.
    write_parquet(storage, path, table, compression="lz4", use_dictionary=False)


def read_features(storage: Storage, path: str) -> StagedFeatures:
    """Read what `write_features` staged; raises what `read_parquet` raises."""
    table = read_parquet(storage, path, _COLUMNS).combine_chunks()
    return StagedFeatures(
        ids=table["example_id"].to_numpy(),
        labels=table["label"].to_numpy(),
        features=_rows(table["features"]),
        outputs=_rows(table["outputs"]),
    )


def _column(rows: Floats32) -> pa.Array:
    values = pa.array(np.ascontiguousarray(rows).reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(values, rows.shape[1])


def _rows(column: pa.ChunkedArray) -> Floats32:
    if not column.num_chunks:
        return np.empty((0, column.type.list_size), np.float32)
    values = np.asarray(column.combine_chunks().flatten())
    return values.reshape(len(column), column.type.list_size)
