"""What kind of file a path of a store names.

`layout` spells the paths; here they are read back. A path that has none of these shapes is not one
of ours, and is neither removed nor moved.
"""

import re
from urllib.parse import unquote

from scoring.store.layout import (
    CORRECTIONS,
    DAMAGED,
    DATASETS,
    EXPLANATIONS,
    FEATURES,
    FORGOTTEN,
    IMPORTS,
    JOBS,
    LAYOUTS,
    MANIFESTS,
    NIGHTS,
    OUTPUTS,
    RECEIPTS,
    REVIEWS,
    RUNS,
    SAMPLE,
    SHARDS,
    STAGING,
    STUDIES,
    TABLES,
    TALLY,
    TRAINING,
    UNFINISHED,
)

_HASH = "[0-9a-f]{32}"
_JOB = r"\d{8}T\d{6}Z-[0-9a-f]{8}"
_SHAPES = {
    DATASETS: rf"[^/]+/(shards/{_HASH}\.parquet|corrections/{_JOB}(\.copy)?\.json"
    rf"|[^/]+/{_HASH}(\.copy)?\.json)",
    IMPORTS: rf"{_HASH}\.safetensors",
    RUNS: rf"{_HASH}/(run\.json|layer\.json|(model|training|layer)\.safetensors|epochs\.parquet"
    r"|checkpoints/epoch-\d{4,}\.safetensors)",
    OUTPUTS: rf"{_HASH}/{_HASH}({SAMPLE})?\.parquet",
    FEATURES: rf"{_HASH}/[^/]+/{_HASH}\.parquet",
    STAGING: rf"[a-z0-9_]+/{_HASH}\.parquet",
    EXPLANATIONS: rf"{_HASH}/{_HASH}\.parquet",
    TABLES: rf"manifests/{_HASH}-[0-9a-f]{{8}}(\.copy)?\.json|log_copies/[a-z_]+/\d{{20}}\.json"
    rf"|[a-z_]+/(\w+=[^/]*/)*({_HASH}(-[0-9a-f]{{8}})?|{_JOB}-[0-9a-f]{{8}})\.parquet",
    NIGHTS: rf"{_JOB}\.json",
    JOBS: rf"{_JOB}\.json",
    FORGOTTEN: rf"{_JOB}(\.copy)?\.json",
    STUDIES: rf"{_HASH}(\.copy)?\.json",
    REVIEWS: rf"{_HASH}(\.copy)?\.json",
    DAMAGED: r".+\.[0-9a-f]{8}",
}
_UNFINISHED = re.compile(rf"(?P<folder>(.*/)?)\.(?P<name>[^/]+)\.{_HASH}{re.escape(UNFINISHED)}")


def is_ours(path: str) -> bool:
    """Return whether a path has the shape of one that we write, whole or unfinished."""
    folder, _, rest = path.partition("/")
    shape = _SHAPES.get(folder)
    return shape is not None and re.fullmatch(shape, unfinished(rest) or rest) is not None


def unfinished(path: str) -> str:
    """Return the path of the file that an unfinished one was to become; "" if it is finished."""
    found = _UNFINISHED.fullmatch(path)
    return found["folder"] + found["name"] if found else ""


def is_twice(path: str) -> bool:
    """Return whether a file of ours is a record that is written twice, or its copy."""
    folder = path.partition("/")[0]
    if folder == DATASETS:
        return is_version(path) or is_correction(path)
    written_twice = folder in (FORGOTTEN, STUDIES, REVIEWS)
    return written_twice or (folder == TABLES and table_of(path) == MANIFESTS)


def dataset_of(path: str) -> str:
    """Return the dataset that a file of `datasets` belongs to."""
    return path.split("/")[1]


def is_shard(path: str) -> bool:
    """Return whether a file of `datasets` is a shard."""
    return path.split("/")[2] == SHARDS


def is_receipt(path: str) -> bool:
    """Return whether a file of `datasets` is a receipt."""
    return path.split("/")[2] == RECEIPTS and path.endswith(".json")


def is_version(path: str) -> bool:
    """Return whether a file of `datasets` is a dataset version."""
    folder = path.split("/")[2]
    return folder not in (SHARDS, RECEIPTS, LAYOUTS, CORRECTIONS) and path.endswith(".json")


def is_correction(path: str) -> bool:
    """Return whether a file of `datasets` is a record of corrected labels."""
    return path.split("/")[2] == CORRECTIONS and path.endswith(".json")


def run_of(path: str) -> str:
    """Return the run that a file of `runs`, `outputs` or `features` belongs to."""
    return path.split("/")[1]


def is_training(path: str) -> bool:
    """Return whether a file of `runs` holds an unfinished training."""
    return path.endswith(f"/{TRAINING}")


def is_tally(path: str) -> bool:
    """Return whether a file of `runs` holds what a run added up of examples over its epochs."""
    return path.endswith(f"/{TALLY}")


def is_of_sample(path: str) -> bool:
    """Return whether a file of `outputs` holds the logits of only some rows of a shard."""
    return path.endswith(f"{SAMPLE}.parquet")


def table_of(path: str) -> str:
    """Return the table that a file of `tables` belongs to; `manifests` for a manifest."""
    return path.split("/")[1]


def partition_of(path: str) -> dict[str, str]:
    """Return the partition columns and their values that the path of a data file names."""
    folders = (folder.partition("=") for folder in path.split("/")[:-1])
    return {column: unquote(value) for column, _, value in folders}
