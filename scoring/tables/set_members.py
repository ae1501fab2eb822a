"""The table `example_sets`: members of the sets that the newest scores define."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from scoring.store.storage import Storage
from scoring.tables.schemas import EXAMPLE_SETS
from scoring.tables.whole_partitions import EXAMPLE_SETS_TABLE, replace_partition


def publish_example_sets(
    storage: Storage,
    dataset: str,
    split: str,
    columns: Mapping[str, npt.NDArray[Any] | Sequence[str | None]],
    command: str,
) -> int:
    """Replace the example sets of a split of a dataset, in one commit.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        split: train or test.
        columns: the columns of `EXAMPLE_SETS` up to `y`, [K] each, rows in any order; NaN, even in
            `cluster`, becomes null. Without `given_label`, no label is corrected.
        command: the command that was run.

    Returns:
        The new version of the table.
    """
    arrays = {
        field.name: pa.array(columns[field.name], from_pandas=True).cast(field.type)
        for field in EXAMPLE_SETS
        if field.name in columns
    }
    count = len(arrays["example_id"])
    arrays.setdefault("given_label", pa.nulls(count, pa.int32()))
    arrays["evaluated_at"] = pa.repeat(
        pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), count
    )
    arrays["command"] = pa.repeat(command, count)
    data = pa.table(arrays, schema=EXAMPLE_SETS)
    order = [(name, "ascending") for name in ("set", "label", "example_id")]
    partition = {"dataset": dataset, "split": split}
    rows = data.sort_by(order).to_batches()
    return replace_partition(storage, EXAMPLE_SETS_TABLE, partition, rows)
