"""Staged files: one metric's scores of one shard, and the logits of one run on one shard."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.arrays import Floats
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
_SCORED_AT = b"scored_at"


@dataclass(frozen=True, kw_only=True)
class StagedScores:
    """One metric's scores of the N rows of a shard, in the shard's order."""

    ids: npt.NDArray[np.int64]
    value: Floats
    """[N] float64, NaN where there is none; `spread` and `tiebreak` likewise."""
    spread: Floats
    tiebreak: Floats
    status: npt.NDArray[np.object_]
    """[N] texts, "" where there is a value."""
    scored_at: datetime


def write_scores(
    storage: Storage,
    path: str,
    *,
    ids: npt.NDArray[np.int64],
    value: Floats,
    spread: Floats | None,
    tiebreak: Floats | None,
    status: npt.NDArray[np.str_],
) -> None:
    """Stage the scores of a shard; NaN becomes null, and so does an empty status."""
    columns = {"value": value, "spread": spread, "tiebreak": tiebreak}
    table = pa.table(
        {
            "example_id": ids,
            **{
                name: pa.nulls(len(ids), pa.float64())
                if column is None
                else pa.array(column, mask=np.isnan(column))
                for name, column in columns.items()
            },
            "status": [text or None for text in status.tolist()],
        },
        schema=STAGED.with_metadata({_SCORED_AT: datetime.now(UTC).isoformat().encode()}),
    )
    storage.write(path, _to_bytes(table))


def read_scores(storage: Storage, path: str) -> StagedScores:
    """The scores of one shard as `write_scores` staged them."""
    table = pq.read_table(io.BytesIO(storage.read(path)))
    return StagedScores(
        ids=table["example_id"].to_numpy(),
        value=table["value"].to_numpy(),
        spread=table["spread"].to_numpy(),
        tiebreak=table["tiebreak"].to_numpy(),
        status=table["status"].fill_null("").to_numpy(),
        scored_at=datetime.fromisoformat(table.schema.metadata[_SCORED_AT].decode()),
    )


def write_logits(storage: Storage, path: str, logits: npt.NDArray[np.float32]) -> None:
    """Keep the [N, C] float32 logits of a shard, rows in the shard's order."""
    values = pa.array(logits.reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(values, logits.shape[1])
    storage.write(path, _to_bytes(pa.table({"logits": column})))


def read_logits(storage: Storage, path: str) -> npt.NDArray[np.float32]:
    """Logits [N, C] float32 as `write_logits` kept them."""
    column = pq.read_table(io.BytesIO(storage.read(path)))["logits"].combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), column.type.list_size)


def _to_bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
