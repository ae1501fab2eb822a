"""The table `issues`: examples whose label a person should look at, the likeliest mistake first."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from scoring.store.storage import Storage
from scoring.tables.schemas import ISSUES
from scoring.tables.whole_partitions import ISSUES_TABLE, keys_of, replace_partition

_UNRANKED = pa.schema([f for f in ISSUES if f.name not in ("rank", "dataset_version")])
_ORDER = (("wrong", "descending"), ("label_probability", "ascending"), ("example_id", "ascending"))


def published_keys(storage: Storage, dataset: str) -> dict[str, str]:
    """Return, by split, the hash of what a dataset's published issues are made of."""
    keys = keys_of(storage, ISSUES_TABLE, {"dataset": dataset})
    return {split: key for (_, split), key in keys.items()}


def publish_issues(
    storage: Storage,
    dataset: str,
    split: str,
    key: str,
    parts: Sequence[pa.Table],
    dataset_version: str,
) -> int:
    """Rank issues, and replace a partition of `issues` in one commit.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        split: the split of the examples.
        key: hash of what they are made of.
        parts: rows with all columns but `rank` and `dataset_version`.
        dataset_version: version of the split.

    Returns:
        The new version of `issues`.
    """
    empty = _UNRANKED.empty_table()
    rows = pa.concat_tables([empty, *(part.cast(_UNRANKED) for part in parts)]).sort_by([*_ORDER])
    ranked = pa.table(
        {
            **{name: rows[name] for name in rows.column_names},
            "rank": np.arange(len(rows)),
            "dataset_version": pa.repeat(dataset_version, len(rows)),
        }
    )
    batches = ranked.select(ISSUES.names).cast(ISSUES).combine_chunks().to_batches()
    return replace_partition(
        storage, ISSUES_TABLE, {"dataset": dataset, "split": split}, batches, key
    )
