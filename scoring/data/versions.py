"""Dataset versions: the shards that make up a split, named by the hash of their contents."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from scoring.data.corrections import Overlaid
from scoring.data.example_ids import check_ranges
from scoring.data.shapes import Inputs, InputShape
from scoring.data.shards import ShardRecord, read_shard
from scoring.data.training_set import TrainingSet
from scoring.errors import BadData, BadStore
from scoring.store.keys import Split, digest
from scoring.store.layout import version_path, versions_folder
from scoring.store.parallel import in_parallel
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage

_LARGE_IMAGE = 100_000  # bytes, decoded


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """One split of a dataset at one time."""

    name: str
    split: Split
    classes: tuple[str, ...]
    shape: InputShape
    shards: tuple[ShardRecord, ...]
    ranges: Mapping[str, tuple[int, int]]
    """Source piece (`file@start`) to (first example id, rows); vanished pieces stay listed."""
    forgotten: int = 0
    """Rows that the version once had and that were forgotten."""
    named: str = ""
    """Its name, if rows were forgotten: what is left would be named otherwise."""

    def __post_init__(self) -> None:
        check_ranges(self.ranges)

    @property
    def version(self) -> str:
        """Hash of the shards in order, the shape and the classes, before rows were forgotten."""
        if self.named:
            return self.named
        shards = [
            # What is corrected counts even if the content does not tell: a class given to the row
            # by the source, too, or a row excluded that had no label.
            (s.content, s.first_id, s.rows, *([s.overlaid] if s.overlaid else ()))
            for s in self.shards
        ]
        return digest([shards, self.shape, self.classes])

    @property
    def rows(self) -> int:
        """Rows of the split, undecodable ones included."""
        return sum(shard.rows for shard in self.shards)

    @property
    def rows_then(self) -> int:
        """Rows that the split had before any were forgotten."""
        return self.rows + self.forgotten

    @property
    def undecodable(self) -> int:
        """Rows whose image or text cannot be decoded."""
        return sum(shard.undecodable for shard in self.shards)

    @property
    def trainable(self) -> int:
        """Rows with a label and a decodable image or text."""
        return sum(shard.trainable for shard in self.shards)

    @property
    def overlaid(self) -> tuple[Overlaid, ...]:
        """Rows whose label is not the source's."""
        return tuple(row for shard in self.shards for row in shard.overlaid)

    def save(self, storage: Storage) -> None:
        """Write the version, unless it is in the store already."""
        path = version_path(self.name, self.split, self.version)
        if not storage.exists(path):
            write_twice(storage, path, self)


def load_version(storage: Storage, name: str, split: Split, version: str) -> DatasetVersion:
    """Read a version.

    Raises:
        BadStore: the file holds another version.
    """
    path = version_path(name, split, version)
    found = read_either(storage, path, DatasetVersion)
    if (found.name, found.split, found.version) != (name, split, version):
        got = f"{found.version} of {found.name}, {found.split}"
        raise BadStore(f"--store: expected the version that {path} is named after, got {got}")
    return found


def named_version(storage: Storage, name: str, split: Split, version: str) -> DatasetVersion:
    """Read a version that something else in the store names.

    Raises:
        BadStore: it is not there.
    """
    try:
        return load_version(storage, name, split, version)
    except FileNotFoundError:
        path = version_path(name, split, version)
        raise BadStore(f"--store: expected {path}, got neither it nor its copy") from None


def load_whole_version(storage: Storage, name: str, split: Split, version: str) -> DatasetVersion:
    """Read a version to make something of all its rows.

    Raises:
        BadData: some were forgotten.
    """
    found = load_version(storage, name, split, version)
    if found.forgotten:
        raise BadData(
            f"--models: expected all {split} rows of {name} that the published models were "
            f"trained on, got {found.rows} of {found.rows_then}, because the others were "
            "forgotten; run rescore --models retrain"
        )
    return found


def all_versions(storage: Storage, name: str, split: Split) -> list[DatasetVersion]:
    """Read every version of a split that the store holds, in no particular order."""
    names = storage.names(versions_folder(name, split))
    versions = sorted({file.partition(".")[0] for file in names if file.endswith(".json")})
    return list(in_parallel(partial(load_version, storage, name, split), versions))


def load_training_set(
    storage: Storage, version: DatasetVersion, into: Inputs | None = None
) -> TrainingSet:
    """Decode the trainable rows of a split: those with a label and a decodable image or text.

    Args:
        storage: the store that holds the shards.
        version: the split.
        into: array [rows, ...] of the shape's dtype to decode into, such as a mapped file; None:
            allocate one.
    """
    shape = version.shape
    inputs = np.empty((version.rows, *shape.dims), shape.dtype) if into is None else into
    ids, labels = np.empty((2, version.rows), dtype=np.int64)
    filled = 0
    in_order = sorted(version.shards, key=lambda shard: shard.first_id)
    # Pillow decodes without the interpreter lock, but small images take most of their time with it.
    at_once = 4 if shape.nbytes >= _LARGE_IMAGE else 1
    read = partial(read_shard, storage, version.name, shape=shape)
    for shard in in_parallel(read, in_order, at_once):
        usable = shard.decodable & (shard.labels >= 0)
        rows = slice(filled, filled + int(usable.sum()))
        ids[rows], labels[rows] = shard.ids[usable], shard.labels[usable]
        inputs[rows] = shard.inputs[usable]
        filled = rows.stop
    return TrainingSet(
        ids=ids[:filled],
        inputs=inputs[:filled],
        labels=labels[:filled],
        classes=len(version.classes),
    )
