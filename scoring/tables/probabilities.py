"""The table `probabilities`: what models that did not see an example make of each class."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from scoring.store.storage import Storage
from scoring.tables.schemas import PROBABILITIES
from scoring.tables.whole_partitions import PROBABILITIES_TABLE, keys_of, replace_partition


@dataclass(frozen=True, kw_only=True)
class ShardProbabilities:
    """The rows of a shard, N in its order."""

    staged: pa.Table
    """As `scoring.staged.probabilities` reads them."""
    labels: pa.ChunkedArray
    """Class indices, null where unknown."""
    wrong: pa.Array
    """Probabilities that labels are wrong, null where not judged."""
    suggested: pa.Array
    """Class indices, null where not judged."""


def published_keys(storage: Storage, dataset: str) -> dict[str, str]:
    """Return, by split, the hash of what a dataset's published probabilities are made of."""
    keys = keys_of(storage, PROBABILITIES_TABLE, {"dataset": dataset})
    return {split: key for (_, split), key in keys.items()}


def publish_probabilities(
    storage: Storage,
    dataset: str,
    split: str,
    key: str,
    shards: Iterable[ShardProbabilities],
    dataset_version: str,
) -> int:
    """Replace a partition of `probabilities` in one commit.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        split: the split of the examples.
        key: hash of what they are made of.
        shards: the rows of each shard, consumed one at a time.
        dataset_version: version of the split.

    Returns:
        The new version of `probabilities`.
    """
    partition = {"dataset": dataset, "split": split}
    rows = _batches(shards, dataset_version)
    return replace_partition(storage, PROBABILITIES_TABLE, partition, rows, key)


def _batches(
    shards: Iterable[ShardProbabilities], dataset_version: str
) -> Iterator[pa.RecordBatch]:
    for shard in shards:
        staged = shard.staged
        columns = {
            "example_id": staged["example_id"],
            "label": shard.labels,
            "models": pc.cast(staged["value"], pa.int32()),
            "wrong": shard.wrong,
            "suggested": shard.suggested,
            "status": staged["status"],
            "classes": staged["classes"],
            "probabilities": staged["probabilities"].cast(pa.list_(pa.float32())),
            "dataset_version": pa.repeat(dataset_version, len(staged)),
        }
        yield from pa.table(columns).cast(PROBABILITIES).combine_chunks().to_batches()
