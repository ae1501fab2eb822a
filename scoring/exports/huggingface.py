"""A folder that Hugging Face `datasets` loads: Parquet with examples, classes and scores typed.

    README.md                            which files make up which split
    data/train-00000-of-00012.parquet    one file a shard

Each file says in its schema what its columns are (`huggingface`), so `image` loads as an Image and
`label` and `predicted` as ClassLabels. An image is {bytes, path}: the file as it came, or PNG; null
where Pillow cannot read it. A `text` is as it came, markup and all. The other columns are those of
`scoring.exports.rows`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.data.images import file_suffix
from scoring.exports.format import Done, Format
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

Examples and how prototypical each is, as protoscore published it. Of every metric: its value in its
own unit, its percentile among the split and within the class (0 = most outlying, 100 = most
prototypical), and the status that says why there is no value.
"""


def write(selection: Selection, folder: Path, done: Done) -> int:
    """Write a selection with its images or texts, a few hundred examples at a time."""
    (folder / "data").mkdir(parents=True)
    for split in selection.splits:
        _write_split(selection, split, folder / "data", done)
    files = "\n".join(f"  - split: {s}\n    path: data/{s}-*" for s in selection.splits)
    readme = _README.format(files=files, dataset=selection.snapshot.dataset)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return selection.rows


HUGGINGFACE = Format(
    ending="-huggingface",
    read_with='datasets.load_dataset("{path}")',
    write=write,
    folder=True,
)


def _write_split(selection: Selection, split: Split, folder: Path, done: Done) -> None:
    scored = selection.read(split)
    column = scored.version.shape.column
    schema = _schema(column, selection.schema, scored.version.classes)
    # Images are compressed already, and no example comes twice.
    options = {"compression": "zstd", "use_dictionary": [*_CLASSES]}
    for i, shard in enumerate(scored.shards):
        path = folder / f"{split}-{i:05}-of-{len(scored.shards):05}.parquet"
        with pq.ParquetWriter(path, schema, **options) as writer:
            for table in scored.tables_with_files(shard):
                inputs = _images(table) if column == "image" else _texts(table)
                scores = table.select(schema.names[1:]).columns
                writer.write_table(pa.table([inputs, *scores], names=schema.names).cast(schema))
                done(len(table))


def _images(table: pa.Table) -> pa.Array:
    """[N] structs; null where any metric's status says that the image does not decode."""
    said = [table[name] for name in table.column_names if name.endswith("_status")]
    broken = [pc.equal(status, "undecodable_image").fill_null(False).to_numpy() for status in said]
    ids, files = table["example_id"].to_pylist(), table["image"].to_pylist()
    return pa.array(
        [
            None if any(is_broken) else {"bytes": data, "path": f"{example_id}{file_suffix(data)}"}
            for example_id, data, *is_broken in zip(ids, files, *broken, strict=True)
        ],
        _IMAGE,
    )


def _texts(table: pa.Table) -> pa.Array:
    """[N] texts; what is not UTF-8 in them is replaced."""
    files = table["text"].to_pylist()
    return pa.array([data and data.decode(errors="replace") for data in files], pa.string())


def _schema(column: str, wide: pa.Schema, classes: Sequence[str]) -> pa.Schema:
    """The columns of a file, and beside them what they are to `datasets`."""
    kept = [field for field in wide if field.name not in _NOT_COLUMNS]
    fields = [pa.field(column, _IMAGE if column == "image" else pa.string())] + [
        field.with_type(pa.int64()) if field.name in _CLASSES else field for field in kept
    ]
    about = {"info": {"features": {field.name: _feature(field, classes) for field in fields}}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(about)})


def _feature(field: pa.Field, classes: Sequence[str]) -> dict[str, Any]:
    if field.name in _CLASSES:
        return {"names": list(classes), "_type": "ClassLabel"}
    if field.type == _IMAGE:
        return {"_type": "Image"}
    return {"dtype": _VALUES[field.type], "_type": "Value"}
