"""The names that a user gives, looked up among what is published."""

import json
from collections.abc import Mapping, Sequence

from deltalake import DeltaTable

from scoring.errors import UnknownName, UserError
from scoring.store.layout import version_path
from scoring.store.storage import Storage
from scoring.tables.manifest import Partition
from scoring.tables.publish import published
from scoring.tables.schemas import PARTITION_COLUMNS


def partitions(table: DeltaTable) -> list[Partition]:
    """The partitions of an open version of `scores`."""
    return [Partition(**partition) for partition in table.partitions()]


def check_published(known: Sequence[Partition], given: Mapping[str, str]) -> None:
    """Narrow down by one column after the other.

    Raises:
        UnknownName: the first that leaves nothing; the message lists what there is.
    """
    for column in PARTITION_COLUMNS:
        if column in given:
            there = {getattr(partition, column) for partition in known}
            if given[column] not in there:
                raise UnknownName(f"--{column}", given[column], there)
            known = [p for p in known if getattr(p, column) == given[column]]


def only_dataset(known: Sequence[Partition], metric: str) -> str:
    """The one dataset that has a metric.

    Raises:
        UnknownName: none has it.
        UserError: several have it.
    """
    datasets = {p.dataset for p in known if p.metric == metric}
    if not datasets:
        raise UnknownName("--metric", metric, {p.metric for p in known})
    if len(datasets) > 1:
        raise UserError(f"--dataset: expected one of {', '.join(sorted(datasets))}, got none")
    return datasets.pop()


def class_names(storage: Storage, table: DeltaTable, partition: Partition) -> list[str]:
    """Class names in the order of labels; empty where the dataset has none."""
    made = published(storage, table.version())[partition]
    # Scores published under another name keep the dataset that they were made from.
    dataset = made.settings.get("dataset", partition.dataset)
    path = version_path(dataset, partition.split, made.dataset_version)
    try:
        return list(json.loads(storage.read(path))["classes"])
    except FileNotFoundError:
        return []


def class_index(label: int | str, classes: Sequence[str], flag: str = "--label") -> int:
    """A class given by name or index, as index.

    Raises:
        UnknownName: there is none such.
    """
    if label in classes:
        return classes.index(str(label))
    if str(label).isdecimal() and (not classes or int(label) < len(classes)):
        return int(label)
    raise UnknownName(flag, str(label), classes or ["a class index"])
