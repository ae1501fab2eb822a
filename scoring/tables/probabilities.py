"""The table `probabilities`: what models that did not see an example make of each class."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from scoring.store.storage import Storage
from scoring.tables.schemas import PROBABILITIES
from scoring.tables.whole_partitions import PROBABILITIES_TABLE, keys_of, replace_partition


def published_keys(storage: Storage, dataset: str) -> dict[str, str]:
    """Return, by split, the hash of what a dataset's published probabilities are made of."""
    keys = keys_of(storage, PROBABILITIES_TABLE, {"dataset": dataset})
    return {split: key for (_, split), key in keys.items()}


def publish_probabilities(
    storage: Storage,
    dataset: str,
    split: str,
    key: str,
    shards: Iterable[tuple[pa.Table, pa.ChunkedArray]],
    dataset_version: str,
) -> int:
    """Replace a partition of `probabilities` in one commit.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        split: the split of the examples.
        key: hash of what they are made of.
        shards: staged rows and labels of each shard, null where unknown; consumed one at a time.
        dataset_version: version of the split.

    Returns:
        The new version of `probabilities`.
    """
    partition = {"dataset": dataset, "split": split}
    rows = _batches(shards, dataset_version)
    return replace_partition(storage, PROBABILITIES_TABLE, partition, rows, key)


def _batches(
    shards: Iterable[tuple[pa.Table, pa.ChunkedArray]], dataset_version: str
) -> Iterator[pa.RecordBatch]:
    for staged, labels in shards:
        columns = {
            "example_id": staged["example_id"],
            "label": labels,
            "models": pc.cast(staged["value"], pa.int32()),
            "status": staged["status"],
            "classes": staged["classes"],
            "probabilities": staged["probabilities"].cast(pa.list_(pa.float32())),
            "dataset_version": pa.repeat(dataset_version, len(staged)),
        }
        yield from pa.table(columns).cast(PROBABILITIES).combine_chunks().to_batches()
