"""Look up names given by a user among what is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deltalake import DeltaTable

from scoring.errors import UnknownName, UserError
from scoring.store.layout import version_path
from scoring.store.records import read_either
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import manifest_of
from scoring.tables.schemas import PARTITION_COLUMNS


@dataclass(frozen=True, kw_only=True)
class _Classes:
    """What is read of a dataset version."""

    classes: tuple[str, ...]


def partitions(table: DeltaTable) -> list[Partition]:
    """List the partitions of an open version of `scores`."""
    return [Partition(**partition) for partition in table.partitions()]


def check_published(known: Sequence[Partition], given: Mapping[str, str]) -> None:
    """Check that some partition has all the given values, one column after the other.

    Raises:
        UnknownName: the first value that no remaining partition has; the message lists theirs.
    """
    for column in PARTITION_COLUMNS:
        if column in given:
            values = {getattr(partition, column) for partition in known}
            if given[column] not in values:
                raise UnknownName(f"--{column}", given[column], values)
            known = [p for p in known if getattr(p, column) == given[column]]


def only_dataset(known: Sequence[Partition], metric: str) -> str:
    """Return the only dataset with a metric.

    Raises:
        UnknownName: no dataset has it.
        UserError: several have it.
    """
    datasets = {p.dataset for p in known if p.metric == metric}
    if not datasets:
        raise UnknownName("--metric", metric, {p.metric for p in known})
    if len(datasets) > 1:
        raise UserError(f"--dataset: expected one of {', '.join(sorted(datasets))}, got none")
    return datasets.pop()


def class_names(storage: Storage, table: DeltaTable, partition: Partition) -> list[str]:
    """Return the class names in the order of labels; empty if the dataset has none."""
    return names_of(storage, manifest_of(storage, table, partition))


def names_of(storage: Storage, manifest: Manifest) -> list[str]:
    """Return the class names of the dataset version that a manifest names; see `class_names`."""
    _, split, _ = manifest.partition
    # Scores published under another name still belong to the dataset they were made from.
    dataset = manifest.settings.get("dataset", manifest.partition.dataset)
    path = version_path(dataset, split, manifest.dataset_version)
    try:
        return list(read_either(storage, path, _Classes).classes)
    except FileNotFoundError:
        return []


def class_index(label: int | str, classes: Sequence[str], flag: str = "--label") -> int:
    """Return the index of a class given by name or index.

    Raises:
        UnknownName: there is no such class.
    """
    if label in classes:
        return classes.index(str(label))
    if str(label).isdecimal() and (not classes or int(label) < len(classes)):
        return int(label)
    raise UnknownName(flag, str(label), classes or ["a class index"])
