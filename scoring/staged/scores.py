"""Staged scores of a metric on a shard, and stored logits of a run on a shard."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from scoring.arrays import Floats, Floats32, Ints, Strings
from scoring.store.parquet import read_parquet, write_parquet
from scoring.store.sealed import damaged
from scoring.store.storage import Storage

STAGED = pa.schema(
    [
        pa.field("example_id", pa.int64(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("spread", pa.float64()),
        pa.field("tiebreak", pa.float64()),
        pa.field("status", pa.string()),
    ]
)
_LOGITS = pa.schema([pa.field("logits", pa.list_(pa.float32(), 1), nullable=False)])
_SCORED_AT = b"scored_at"
_NO_LISTS: Mapping[str, pa.Array] = {}


@dataclass(frozen=True, kw_only=True)
class StagedScores:
    """A metric's scores of the N rows of a shard, in the shard's order."""

    ids: Ints
    value: Floats
    """[N] float64, NaN where there is none, as in `spread` and `tiebreak`."""
    spread: Floats
    tiebreak: Floats
    status: Strings
    """[N] strings: why there is no value, "" where there is one."""
    scored_at: datetime


def write_scores(
    storage: Storage,
    path: str,
    *,
    ids: Ints,
    value: Floats,
    spread: Floats | None,
    tiebreak: Floats | None,
    status: Strings,
    lists: Mapping[str, pa.Array] = _NO_LISTS,
) -> None:
    """Stage the scores of a shard; NaN and empty statuses become null.

    `lists` are columns [N] of lists beside them.
    """
    columns = {"value": value, "spread": spread, "tiebreak": tiebreak}
    more = [pa.field(name, column.type) for name, column in lists.items()]
    scored_at = {_SCORED_AT: datetime.now(UTC).isoformat().encode()}
    table = pa.table(
        {
            "example_id": ids,
            **{
                name: pa.nulls(len(ids), pa.float64())
                if column is None
                else pa.array(column, mask=np.isnan(column))
                for name, column in columns.items()
            },
            "status": [reason or None for reason in status.tolist()],
            **lists,
        },
        schema=pa.schema([*STAGED, *more], scored_at),
    )
    write_parquet(storage, path, table)


def read_scores(storage: Storage, path: str) -> StagedScores:
    """Read what `write_scores` staged; raises what `read_parquet` raises."""
    table = read_parquet(storage, path, STAGED)
    try:
        scored_at = datetime.fromisoformat((table.schema.metadata or {})[_SCORED_AT].decode())
    except (KeyError, ValueError) as error:
        raise damaged(storage, path) from error
    return StagedScores(
        ids=table["example_id"].to_numpy(),
        value=table["value"].to_numpy(),
        spread=table["spread"].to_numpy(),
        tiebreak=table["tiebreak"].to_numpy(),
        status=table["status"].fill_null("").to_numpy(),
        scored_at=scored_at,
    )


def write_logits(storage: Storage, path: str, logits: Floats32) -> None:
    """Store the logits [N, C] of a shard, rows in the shard's order."""
    values = pa.array(logits.reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(values, logits.shape[1])
    write_parquet(storage, path, pa.table({"logits": column}))


def read_logits(storage: Storage, path: str) -> Floats32:
    """Read the logits [N, C] that `write_logits` stored; raises what `read_parquet` raises."""
    column = read_parquet(storage, path, _LOGITS)["logits"].combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), column.type.list_size)
