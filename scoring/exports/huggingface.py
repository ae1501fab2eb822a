"""A folder that Hugging Face `datasets` can load: typed Parquet with examples, classes and scores.

    README.md                            the files of each split
    data/train-00000-of-00012.parquet    one file for each shard

The schema of each file describes its columns (key `huggingface`), so `image` loads as an Image, and
`label` and `predicted` as ClassLabels. An image is {bytes, path}: the original file, or PNG; null
if Pillow cannot read it. A `text` is the original text, markup included. The other columns are
those of `scoring.exports.rows`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.data.images import file_suffix
from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection
from scoring.store.keys import Split

_CLASSES = ("label", "predicted")
_NOT_COLUMNS = ("split", "label_name", "predicted_name")  # splits are files, classes are typed
_VALUES = {pa.int64(): "int64", pa.float64(): "float64", pa.string(): "string"}
_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
_README = """---
configs:
- config_name: default
  data_files:
{files}
---

# {dataset}

Examples and how prototypical each one is, as published by protoscore. For each metric: its value in
its own unit, the percentile in the split and in the class (0 = most outlying, 100 = most
prototypical), and the status, which explains a missing value. Percentiles follow the value, or
class_z where a metric has that column.
"""


def write(selection: Selection, folder: Path, on_written: OnWritten) -> int:
    """Write a selection with its images or texts, a few hundred examples at a time."""
    (folder / "data").mkdir(parents=True)
    for split in selection.splits:
        _write_split(selection, split, folder / "data", on_written)
    files = "\n".join(f"  - split: {s}\n    path: data/{s}-*" for s in selection.splits)
    readme = _README.format(files=files, dataset=selection.snapshot.dataset)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return selection.rows


HUGGINGFACE = Format(
    suffix="-huggingface",
    read_with='datasets.load_dataset("{path}")',
    write=write,
    folder=True,
)


def _write_split(selection: Selection, split: Split, folder: Path, on_written: OnWritten) -> None:
    scored = selection.read(split)
    column = scored.version.shape.column
    schema = _schema(column, selection.schema, scored.version.classes)
    # Only classes repeat enough for a dictionary to pay.
    options = {"compression": "zstd", "use_dictionary": [*_CLASSES]}
    for i, shard in enumerate(scored.shards):
        path = folder / f"{split}-{i:05}-of-{len(scored.shards):05}.parquet"
        with pq.ParquetWriter(path, schema, **options) as writer:
            for table in scored.tables_with_files(shard):
                inputs = _images(table) if column == "image" else _texts(table)
                scores = table.select(schema.names[1:]).columns
                writer.write_table(pa.table([inputs, *scores], names=schema.names).cast(schema))
                on_written(len(table))


def _images(table: pa.Table) -> pa.Array:
    """Return structs [N], null where any metric's status says that the image cannot be decoded."""
    statuses = [table[name] for name in table.column_names if name.endswith("_status")]
    broken = [
        pc.equal(status, "undecodable_image").fill_null(False).to_numpy() for status in statuses
    ]
    ids, files = table["example_id"].to_pylist(), table["image"].to_pylist()
    return pa.array(
        [
            None if any(is_broken) else {"bytes": data, "path": f"{example_id}{file_suffix(data)}"}
            for example_id, data, *is_broken in zip(ids, files, *broken, strict=True)
        ],
        _IMAGE,
    )


def _texts(table: pa.Table) -> pa.Array:
    """Return texts [N], with bytes that are not UTF-8 replaced."""
    files = table["text"].to_pylist()
    return pa.array([data and data.decode(errors="replace") for data in files], pa.string())


def _schema(column: str, wide: pa.Schema, classes: Sequence[str]) -> pa.Schema:
    """Return the schema of a file, with the features that `datasets` reads from its metadata."""
    kept = [field for field in wide if field.name not in _NOT_COLUMNS]
    fields = [pa.field(column, _IMAGE if column == "image" else pa.string())] + [
        field.with_type(pa.int64()) if field.name in _CLASSES else field for field in kept
    ]
    info = {"info": {"features": {field.name: _feature(field, classes) for field in fields}}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})


def _feature(field: pa.Field, classes: Sequence[str]) -> dict[str, Any]:
    if field.name in _CLASSES:
        return {"names": list(classes), "_type": "ClassLabel"}
    if field.type == _IMAGE:
        return {"_type": "Image"}
    return {"dtype": _VALUES[field.type], "_type": "Value"}
