"""Staged out-of-bag probabilities of a shard: lists of float16 beside the columns of its scores."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from scoring.arrays import Bools, Floats, Ints
from scoring.staged.scores import STAGED
from scoring.store.parquet import read_parquet
from scoring.store.storage import Storage

COLUMNS = pa.schema(
    [
        *(STAGED.field(name) for name in ("example_id", "value", "status")),
        pa.field("classes", pa.list_(pa.int32())),
        pa.field("probabilities", pa.list_(pa.float16())),
        pa.field("over_epochs", pa.list_(pa.float16())),
    ]
)


def probability_lists(
    classes: Ints, probabilities: Floats, over_epochs: Floats | None, known: Bools
) -> Mapping[str, pa.Array]:
    """Return classes and probabilities as columns of lists, null where nothing is known.

    Args:
        classes: [N, K], -1 at the end of rows with fewer than K classes.
        probabilities: [N, K] of those classes.
        over_epochs: [N, K] the same, averaged over epochs; None if unknown.
        known: [N].
    """
    used = (classes >= 0) & known[:, None]
    offsets = pa.array(np.append(0, np.cumsum(used.sum(axis=1))), pa.int32())
    unknown = pa.array(~known)

    def lists(values: Ints | Floats, dtype: type) -> pa.Array:
        flat = pa.array(values[used].astype(dtype))
        return pa.ListArray.from_arrays(offsets, flat, mask=unknown)

    return {
        "classes": lists(classes, np.int32),
        "probabilities": lists(probabilities, np.float16),
        "over_epochs": pa.nulls(len(known), pa.list_(pa.float16()))
        if over_epochs is None
        else lists(over_epochs, np.float16),
    }


def padded_lists(rows: pa.Table, name: str = "probabilities") -> tuple[Ints, Floats]:
    """Return the lists of rows that have some, [N, K] each: classes and their probabilities.

    Rows with fewer than K classes end with class -1 and probability 0.
    """
    classes, probabilities = rows["classes"].combine_chunks(), rows[name].combine_chunks()
    lengths = classes.value_lengths().to_numpy()
    used = np.arange(lengths.max(initial=0)) < lengths[:, None]
    padded, values = np.full(used.shape, -1, dtype=np.int64), np.zeros(used.shape)
    padded[used] = classes.flatten().to_numpy()
    values[used] = probabilities.flatten().to_numpy()
    return padded, values


def read_probabilities(storage: Storage, path: str) -> pa.Table:
    """Read `COLUMNS` of a staged shard, rows in the shard's order; `value` counts the models."""
    return read_parquet(storage, path, COLUMNS).select(COLUMNS.names)
