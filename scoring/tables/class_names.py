"""Class names, for views over tables that hold class indices.

They are in the files of dataset versions, which partitions name in their manifests: dozens of small
files, so a query that needs no name does without.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import pyarrow as pa
from deltalake import DeltaTable

from scoring.store.layout import table_path
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage
from scoring.tables.delta import files, lacking
from scoring.tables.lookup import names_of
from scoring.tables.manifest import Partition
from scoring.tables.publish import manifests_of
from scoring.tables.schemas import PARTITION_COLUMNS, SCORES_TABLE, commented
from scoring.tables.sql import deferred, files_sql
from scoring.tables.values import literal, values_sql

Names = Mapping[str, Sequence[str]]
"""Dataset version to its class names, in the order of labels; none if the dataset has none."""
INDICES = ("label", "given_label", "predicted", "suggested")
"""The columns with class indices, in whatever view."""


def with_names(schema: pa.Schema) -> pa.Schema:
    """Return a table's columns with the name of a class after each class index."""
    for index in INDICES:
        if index in schema.names:
            name = commented({f"{index}_name": (pa.string(), f"name of the class {index}")})
            schema = schema.insert(schema.get_field_index(index) + 1, name.field(0))
    return schema


_NAMES = pa.schema({"dataset_version": pa.string(), "names": pa.list_(pa.string())})

_CLASSES = """
    with scores as ({scores}),
    known as (
        select dataset, split, dataset_version,
               unnest(range(len(names)))::integer as label, unnest(names) as label_name
        from (select distinct dataset, split, dataset_version from scores)
        join ({names}) using (dataset_version)
    ),
    labelled as (
        select dataset, split, dataset_version, label, count(*) as rows,
               avg((predicted = label)::integer) as accuracy
        from scores where label is not null group by all
    ),
    guessed as (
        select dataset, split, predicted as label, count(*) as predicted_rows
        from scores where predicted is not null group by all
    )
    select dataset, split, dataset_version, label, label_name,
           coalesce(rows, 0) as rows, coalesce(predicted_rows, 0) as predicted_rows, accuracy
    from known full join labelled using (dataset, split, dataset_version, label)
    left join guessed using (dataset, split, label)
    order by dataset, split, label
"""


def read_names(storage: Storage, scores: DeltaTable) -> Names:
    """Read the class names of each dataset version behind an open version of `scores`."""
    manifests = manifests_of(storage, scores).values()
    versions = {manifest.dataset_version: manifest for manifest in manifests}
    names = in_parallel(partial(names_of, storage), versions.values())
    return dict(zip(versions, names, strict=True))


def named_sql(table: str, schema: pa.Schema, names: Names | None) -> str:
    """Return SQL over a table that adds the names of its class indices.

    Args:
        table: SQL of a table with class indices and `dataset_version`.
        schema: its columns, in order; `<index>_name` is the name of the class in `<index>`.
        names: class names; None: the columns of names are deferred.
    """
    indices = {f"{column}_name": column for column in schema.names}
    columns = ", ".join(_name_sql(indices[c], names) if c in indices else c for c in schema.names)
    return f"select {columns} from ({table})"


def _name_sql(index: str, names: Names | None) -> str:
    if names is None:
        return deferred(f"{index}_name")
    all_names = f"{literal([*names.values()])}::varchar[][]"
    place = f"list_position({literal([*names])}::varchar[], dataset_version)"
    name = f"list_extract(list_extract({all_names}, {place}), {index} + 1)"
    return f"{name} as {index}_name"


def classes_sql(storage: Storage, scores: DeltaTable) -> str:
    """Return SQL for the classes of each split, counted over the partition planned last."""
    manifests = sorted(manifests_of(storage, scores).values(), key=lambda found: found.planned)
    newest = {manifest.partition[:2]: manifest.partition for manifest in manifests}
    found = {
        table_path("scores", file["path"]): lacking(file, SCORES_TABLE)
        for file in files(scores)
        if Partition(*(file[f"partition.{c}"] for c in PARTITION_COLUMNS)) in newest.values()
    }
    table = files_sql([*found], SCORES_TABLE, PARTITION_COLUMNS, found)
    names = values_sql(read_names(storage, scores).items(), _NAMES)
    return _CLASSES.format(scores=table, names=names)
